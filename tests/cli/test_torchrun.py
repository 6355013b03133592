"""Commands in several processes, as torchrun starts them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import CSV, ENCODE, SMALL

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def two(*args: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [*TORCHRUN, "-m", "bayesfuse", *map(str, args)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd=cwd, env=dict(os.environ)
    )


@pytest.mark.slow
def test_torchrun_fits_one_model_and_prints_once(place: Path) -> None:
    done = two("fit", "films.csv", *CSV, *ENCODE, *SMALL, "-o", "run", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["run"] == "run"
    with (place / "run" / "history.csv").open() as file:
        assert len(list(csv.DictReader(file))) == told["epochs"]
    assert [path.name for path in place.glob("run*")] == ["run"]
    # what one process cannot do ends all of them
    again = two("fit", "films.csv", *CSV, *ENCODE, *SMALL, "-o", "run", cwd=place)
    assert again.returncode != 0
    assert "run exists already and is left as it is." in again.stderr
    assert "bayesfuse/cli" not in again.stderr  # the only traceback is torchrun's own


@pytest.mark.slow
def test_torchrun_predicts_and_encodes_what_one_process_does(place: Path, fitted: Path) -> None:
    done = two("predict", fitted, "new.csv", "-o", "tags.parquet", cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("4 posterior draws: tags.parquet\n")
    assert len(list((place / "tags.parquet").glob("part-*.parquet"))) == 2
    alone = [sys.executable, "-m", "bayesfuse", "predict", fitted, "new.csv", "-o", "alone.parquet"]
    subprocess.run(alone, check=True, cwd=place, capture_output=True, timeout=300)
    found, expected = (pd.read_parquet(place / f"{n}.parquet") for n in ("tags", "alone"))
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4, atol=1e-6)
    encoded = two("encode", "films.csv", *CSV, *ENCODE, "--json", cwd=place)
    assert encoded.returncode == 0, encoded.stderr
    assert (place / json.loads(encoded.stdout)["folder"] / "features.npz").is_file()
    refused = two("evaluate", fitted, cwd=place)
    assert "2 processes were started together, and evaluate is for one" in refused.stderr
