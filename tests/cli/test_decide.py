"""`bayesfuse decide`: what it prints and keeps, and who goes by it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Ran

Bayesfuse = Callable[..., Ran]


@pytest.fixture
def run(place: Path, fitted: Path) -> Path:
    """Return a run folder of one's own, in the folder where one stands."""
    return Path(shutil.copytree(fitted, "run"))


def predicted(bayesfuse: Bayesfuse, *args: object, out: str) -> tuple[pd.DataFrame, Ran]:
    done = bayesfuse("predict", "run", "new.csv", *args, "-o", out)
    assert done.code == 0, done.err
    return pq.read_table(out).to_pandas(), done


def test_predict_and_report_go_by_it(run: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse("decide", run, "--top-k", "2")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("top-k: ")
    assert lines[0].endswith("films.csv, val, 4 posterior draws")
    assert lines[-1] == "Kept in run/decision.json: predict and report go by it from now on."
    table, told = predicted(bayesfuse, out="p.parquet")
    assert (table.groupby("id")["decision"].sum() == 2).all()
    assert "tags decided by top-k" in told.out
    kept = json.loads(pq.read_schema("p.parquet").metadata[b"bayesfuse"])
    assert kept["decision"]["top_k"] == 2
    half, told = predicted(bayesfuse, "--decision", "half", out="q.parquet")
    assert (half["decision"] == (half["mean"] >= 0.5)).all()
    assert "decided" not in told.out


def test_one_document_and_the_same_on_other_items(run: Path, bayesfuse: Bayesfuse) -> None:
    args = ["--goal", "f1", "--hold-out", "0.5", "--json"]
    told = bayesfuse("decide", run, *args).json
    assert (told["goal"], told["split"], told["draws"]) == ("f1", "val", 4)
    assert told["on_others"] is True
    assert told["achieved"]["num_items"] == 9
    assert json.loads((run / "decision.json").read_text())["thresholds"] == told["thresholds"]
    found = bayesfuse("evaluate", run, "--split", "test", "--decision", "decided", "--json").json
    assert found["decision"]["thresholds"] == told["thresholds"]
    assert found["achieved"]["num_items"] == found["num_items"]
    printed = bayesfuse("evaluate", run, "--split", "test", "--decision", "decided").out
    assert "\ntags decided by f1\n" in printed
    assert "tags an item" in printed


def test_what_cannot_be_guaranteed_is_warned_about(run: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse("decide", run, "--min-precision", "0.95", "--guarantee", "label")
    assert done.code == 0
    assert "These items chose the epoch of the fit, too" in done.err
    told = done.err.partition("cannot be guaranteed with confidence 0.9")[2]
    assert all(label in told for label in ("Comedy", "Drama", "Horror"))
    table, _ = predicted(bayesfuse, out="p.parquet")
    assert not table["decision"].any()


def test_what_has_no_effect_is_told(run: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse("decide", run, "--goal", "half", "--confidence", "0.8")
    assert done.code == 0
    assert "Warning: --confidence: no effect without --min-precision" in done.err


def test_nothing_was_decided_yet(run: Path, bayesfuse: Bayesfuse) -> None:
    for command in (["predict", run, "new.csv", "-o", "p.parquet"], ["evaluate", run]):
        done = bayesfuse(*command, "--decision", "decided")
        assert (done.code, done.out) == (2, "")
        assert "Nothing was decided for this run yet" in done.err
    assert not Path("p.parquet").exists()
