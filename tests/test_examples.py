"""Every example runs, on a catalogue that is small enough for a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
ARGUMENTS = {"choices.py": ["--seeds", "1", "--epochs", "1", "--variants", "default", "ensemble"]}


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    arrays = {"text": rng.normal(size=(90, 6)), "image": rng.normal(size=(90, 4))}
    np.savez(tmp_path / "features.npz", **{k: v.astype(np.float16) for k, v in arrays.items()})
    labels = [
        [name for c, name in enumerate("AB") if row[c] > 0] or ["B"] for row in arrays["text"]
    ]
    split = np.where(np.arange(90) % 3 == 0, "val", "train")
    ids = [f"i{i}" for i in range(90)]
    pd.DataFrame({"id": ids, "labels": labels, "split": split}).to_parquet(tmp_path / "t.parquet")
    (tmp_path / "catalog.toml").write_text(
        'table = "t.parquet"\nid = "id"\nlabels = "labels"\nsplit = "split"\n'
        '[modalities.text]\nfeatures = "features.npz:text"\n'
        '[modalities.image]\nfeatures = "features.npz:image"\n'
    )
    return tmp_path


def test_every_example_is_listed() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*ARGUMENTS, "own_table.py"}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_example_runs(name: str, catalogue: Path) -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), str(catalogue)]
    done = subprocess.run([*command, *ARGUMENTS[name]], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert [row.split("|")[1].strip() for row in rows] == ["variant", "---", "default", "ensemble"]
    scores = [float(cell) for cell in rows[2].split("|")[2:6]]
    assert all(0 <= score <= 1 for score in scores)


def test_four_commands_take_a_table_of_ones_own_to_a_report(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    command = [sys.executable, "-W", "error", str(EXAMPLES / "own_table.py"), str(shop)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    ran = [line for line in done.stdout.splitlines() if line.startswith("$ bayesfuse")]
    assert [line.split()[2] for line in ran] == ["encode", "fit", "predict", "report"]
    tags = pd.read_parquet(shop / "predictions.parquet")
    assert len(tags) == 20 * 3
    assert tags["mean"].between(0, 1).all()
    broken = pd.read_csv(shop / "items.encoded" / "encode_report.csv")
    assert set(broken["id"]) == {"A007", "A011"}
    page = (shop / "run" / "report.html").read_text(encoding="utf-8")
    assert "kitchen" in page
