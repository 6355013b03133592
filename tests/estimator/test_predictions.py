"""Predictions as a long table, streamed to a Parquet file that was not there before."""

from __future__ import annotations

import errno
import itertools
import json
import os
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayesfuse import FusionClassifier
from bayesfuse.errors import StorageError, UserError
from bayesfuse.estimator import predictions
from bayesfuse.estimator.predictions import SCHEMA, iter_predictions, write_predictions
from bayesfuse.inference.predictive import PosteriorPredictive

NUM_ITEMS, NAMES = 50, ("Drama", "Noir", "Never")
IDS = np.array([f"tt{number:03d}" for number in range(NUM_ITEMS)])
rng = np.random.default_rng(0)
X = rng.normal(size=(NUM_ITEMS, 4))


@pytest.fixture(scope="module")
def fitted() -> FusionClassifier:
    y = np.column_stack([X[:, :2] > 0, np.zeros(NUM_ITEMS)]).astype(int)
    found = FusionClassifier(
        hidden=6, classifier_hidden=6, epochs=4, annealing_epochs=1, draws=8, device="cpu"
    ).fit(X, y)
    found.label_names_ = NAMES
    found.thresholds_ = np.array([0.2, 0.8, 0.5])
    return found


def frame(tables: Iterator[pa.Table]):
    return pa.concat_tables(list(tables)).to_pandas()


def test_the_schema_is_that_of_the_contract():
    assert SCHEMA.names == [
        *("id", "label", "mean", "sd", "q05", "q95", "mutual_information", "decision")
    ]
    assert [str(t) for t in SCHEMA.types] == [*["string"] * 2, *["float"] * 5, "bool"]


def test_a_row_is_an_item_and_a_label(fitted):
    found = frame(iter_predictions(fitted, X, IDS))
    expected = fitted.uncertainty(X)
    assert list(zip(found["id"], found["label"], strict=True)) == list(
        itertools.product(IDS, NAMES)
    )
    for column, values in {
        "mean": fitted.predict_proba(X),
        "sd": expected.sd,
        "q05": expected.quantiles[0.05],
        "q95": expected.quantiles[0.95],
        "mutual_information": expected.epistemic,
    }.items():
        np.testing.assert_allclose(found[column], values.ravel(), rtol=1e-5, atol=1e-7)
    assert (found["decision"].to_numpy() == fitted.predict(X).ravel()).all()


def test_values_are_in_range(fitted):
    found = frame(iter_predictions(fitted, X, IDS))
    assert found[["mean", "sd", "q05", "q95"]].stack().between(0, 1).all()
    assert (found["q05"] <= found["q95"]).all()
    assert found["mutual_information"].between(0, np.log(2)).all()
    assert (found["sd"] > 0).all()
    never = found[found["label"] == "Never"]
    assert never["q05"].gt(0).all()
    assert never["mean"].between(0, 0.05).all()


def test_decisions_by_rule(fitted):
    half, f1 = (
        frame(iter_predictions(fitted, X, IDS, decision=rule)).pivot(
            index="id", columns="label", values="decision"
        )
        for rule in ("half", "f1")
    )
    mean = fitted.predict_proba(X)
    assert (half[[*NAMES]].to_numpy() == (mean > 0.5)).all()
    assert (f1[[*NAMES]].to_numpy() == (mean > [0.2, 0.8, 0.5])).all()
    assert (half != f1).any(axis=None)


def test_draws_and_seed_are_those_asked_for(fitted):
    one = frame(iter_predictions(fitted, X, IDS, draws=1))
    assert (one["sd"] == 0).all()
    assert (one["mutual_information"] == 0).all()
    seeds = [frame(iter_predictions(fitted, X, IDS, seed=seed))["mean"] for seed in (None, 0, 1)]
    assert (seeds[0] == seeds[1]).all()
    assert (seeds[0] != seeds[2]).any()


def test_it_streams_in_chunks(fitted, monkeypatch):
    whole = frame(iter_predictions(fitted, X, IDS))
    usual = FusionClassifier.iter_proba
    small = {"memory_budget": 3000}
    monkeypatch.setattr(
        FusionClassifier, "iter_proba", lambda *given, **named: usual(*given, **small | named)
    )
    tables = list(iter_predictions(fitted, X, IDS))
    assert len(tables) > 3
    assert sum(table.num_rows for table in tables) == NUM_ITEMS * len(NAMES)
    chunked = frame(iter(tables))
    assert (chunked[["id", "label"]] == whole[["id", "label"]]).all(axis=None)
    np.testing.assert_allclose(chunked["mean"], whole["mean"], rtol=0, atol=1e-6)


def test_a_chunk_is_summarised_a_part_at_a_time(fitted, monkeypatch):
    whole = frame(iter_predictions(fitted, X, IDS))
    monkeypatch.setattr(predictions, "SUMMARISED", 8 * len(NAMES) * 7)
    tables = list(iter_predictions(fitted, X, IDS))
    assert [table.num_rows for table in tables] == [7 * len(NAMES)] * 7 + [len(NAMES)]
    pd.testing.assert_frame_equal(frame(iter(tables)), whole)


def test_the_file_holds_everything_and_says_how_it_was_made(fitted, tmp_path):
    metadata = {"draws": 8, "seed": 0, "temperature": 0.5}
    told: list[int] = []
    tables = iter_predictions(fitted, X, IDS)
    rows = write_predictions(tables, tmp_path / "deep" / "P.parquet", metadata, told.append)
    file = pq.read_table(tmp_path / "deep" / "P.parquet")
    assert rows == told[-1] == file.num_rows == NUM_ITEMS * len(NAMES)
    assert file.schema.equals(SCHEMA, check_metadata=False)
    assert json.loads(file.schema.metadata[b"bayesfuse"]) == metadata
    assert [f.name for f in (tmp_path / "deep").iterdir()] == ["P.parquet"]


def never_asked() -> Iterator[pa.Table]:
    raise AssertionError("predicted although the file cannot be written")
    yield


@pytest.mark.parametrize("what", ["file", "folder", "link", "dangling link"])
def test_what_is_there_is_left_alone(tmp_path, what):
    path = tmp_path / "P.parquet"
    if what == "file":
        path.write_text("precious")
    elif what == "folder":
        path.mkdir()
    else:
        (tmp_path / "target").write_text("precious")
        path.symlink_to(tmp_path / ("target" if what == "link" else "nowhere"))
    before = sorted(f.name for f in tmp_path.iterdir())
    with pytest.raises(UserError, match="exists already and is left as it is"):
        write_predictions(never_asked(), path, {})
    assert sorted(f.name for f in tmp_path.iterdir()) == before
    if what == "file":
        assert path.read_text() == "precious"
    assert path.is_symlink() == what.endswith("link")


def test_a_file_of_the_same_name_but_partial_is_left_alone(fitted, tmp_path):
    (tmp_path / ".P.parquet.partial").write_text("precious")
    write_predictions(iter_predictions(fitted, X, IDS), tmp_path / "P.parquet", {})
    assert (tmp_path / ".P.parquet.partial").read_text() == "precious"


def test_a_relative_path(fitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_predictions(iter_predictions(fitted, X, IDS), Path("P.parquet"), {})
    assert os.listdir(tmp_path) == ["P.parquet"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), StorageError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_whatever_happens_no_half_of_a_file_stays(fitted, tmp_path, error, raised):
    def broken() -> Iterator[pa.Table]:
        yield next(iter_predictions(fitted, X, IDS))
        raise error

    with pytest.raises(raised) as caught:
        write_predictions(broken(), tmp_path / "P.parquet", {})
    assert list(tmp_path.iterdir()) == []
    if raised is StorageError:
        assert "No space left on device" in str(caught.value)
        assert "choose another --out" in str(caught.value)


def test_a_folder_that_is_a_file(fitted, tmp_path):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(UserError, match="Cannot write"):
        write_predictions(never_asked(), tmp_path / "file" / "P.parquet", {})


def test_a_chunk_of_draws_is_gone_before_the_next_one_is_made(fitted, monkeypatch):
    chunks: list[weakref.ref[np.ndarray]] = []
    alive: list[int] = []
    make, summarise = PosteriorPredictive._logits_of_draws, predictions.summarise

    def looks(self, *args):
        alive.append(sum(chunk() is not None for chunk in chunks))
        return make(self, *args)

    def told(part):
        chunks.append(weakref.ref(part.base))
        return summarise(part)

    monkeypatch.setattr(PosteriorPredictive, "_logits_of_draws", looks)
    monkeypatch.setattr(predictions, "summarise", told)
    monkeypatch.setattr(fitted, "iter_proba", partial(fitted.iter_proba, memory_budget=2000))
    assert len(frame(iter_predictions(fitted, X, IDS))) == NUM_ITEMS * len(NAMES)
    assert alive == [0] * len(chunks)
    assert len(chunks) > 2
