"""`--without text`: what predict, evaluate, rank and report say of items without their text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from tests.cli.conftest import Ran

Bayesfuse = Callable[..., Ran]


def test_predict_is_what_a_catalogue_without_the_column_gets(
    place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    done = bayesfuse("predict", fitted, "new.csv", "--without", "text", "-o", "w.parquet")
    assert done.code == 0, done.err
    assert "4 posterior draws, without text: w.parquet" in done.out
    metadata = json.loads(pq.read_schema("w.parquet").metadata[b"bayesfuse"])
    assert metadata["without"] == ["text"]
    pd.read_csv("new.csv").drop(columns="plot").to_csv("untold.csv", index=False)
    assert bayesfuse("predict", fitted, "untold.csv", "-o", "u.parquet").code == 0
    assert bayesfuse("predict", fitted, "new.csv", "-o", "a.parquet").code == 0
    hidden, untold, whole = (pd.read_parquet(f"{name}.parquet")["mean"] for name in "wua")
    np.testing.assert_allclose(hidden, untold, atol=1e-6)
    assert (hidden - whole).abs().max() > 1e-3


def test_evaluate_rank_and_report_say_so(place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse("evaluate", fitted, "--without", "text,image", "--json")
    assert done.code == 0, done.err
    assert done.json["without"] == ["text", "image"]
    whole = bayesfuse("evaluate", fitted, "--json").json
    assert whole["without"] == []
    assert whole["nll"] != done.json["nll"]
    told = bayesfuse("rank", fitted, "--label", "Drama", "--without", "image").out
    assert "4 posterior draws, without image" in told.splitlines()[0]
    run = shutil.copytree(fitted, place / "run")
    assert bayesfuse("report", run, "--without", "text", "-o", "page.html").code == 0
    assert "Hidden of every item (--without): text." in Path("page.html").read_text()


def test_what_is_not_there_cannot_be_hidden(fitted: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse("evaluate", fitted, "--without", "text,txt")
    assert (done.code, done.out) == (2, "")
    assert 'In --without: Unknown modality "txt"; expected one of image, text.' in done.err
