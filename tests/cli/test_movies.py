"""The main job, on the movie catalogue: fit, predict and evaluate as a user types them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Ran

DETERMINISTIC_MACRO_AP = 0.50
DETERMINISTIC_NLL = 0.185


@pytest.mark.slow
@pytest.mark.movies
def test_the_main_job(
    movies_path: Path,
    tmp_path: Path,
    bayesfuse: Callable[..., Ran],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = bayesfuse("fit", movies_path, "--elbo", "annealed", "--epochs", "12", "-o", "run")
    assert done.code == 0, done.err
    assert "before the annealing has ended" not in done.err

    found = bayesfuse("evaluate", "run", movies_path, "--split", "val", "--json")
    assert found.code == 0, found.err
    assert found.json["average_precision"]["macro"] > DETERMINISTIC_MACRO_AP
    assert found.json["nll"] < DETERMINISTIC_NLL

    done = bayesfuse("predict", "run", movies_path, "--split", "test", "-o", "tags.parquet")
    assert done.code == 0, done.err
    table = pq.read_table("tags.parquet").to_pandas()
    items, labels = table["id"].nunique(), table["label"].nunique()
    assert len(table) == items * labels
    assert labels == found.json["num_labels"]
    assert table[["mean", "q05", "q95"]].stack().between(0, 1).all()
    assert (table["mutual_information"] >= 0).all()
    assert (table["sd"] > 0).mean() > 0.99
