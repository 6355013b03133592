"""What a fit is kept by: the whole content and all settings, in files that are whole."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from bayesfuse import Catalog, FeatureTable
from bayesfuse.config import FitConfig
from bayesfuse.errors import StorageError, UserError
from bayesfuse.estimator.tables import results
from bayesfuse.estimator.tables.fitting import RowResult, scores_of
from bayesfuse.estimator.tables.results import ResultFolder, catalog_digest, row_key

RNG = np.random.default_rng(0)
P = RNG.random((30, 2)).astype(np.float32)
Y = (RNG.random(P.shape) < P).astype(np.float32)
HALF = np.array([0.5, 0.5])
RESULT = RowResult(P, HALF, scores_of(P, Y, HALF, 7), 1.5, 0.25, 99, 2, 3, ("Beware.",))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path / "made" / "here")
    file = folder.file("gmu (Bayes)", 3, "abc")
    assert file.name == "gmu-bayes-seed3-abc.npz"
    assert folder.read(file) is None
    folder.write(file, RESULT)
    found = folder.read(file)
    assert found is not None
    np.testing.assert_array_equal(found.probability, P)
    for name, score in RESULT.scores.items():
        np.testing.assert_array_equal(found.scores[name].replicates, score.replicates)
        assert found.scores[name].estimate == score.estimate
        assert found.scores[name].resampled == score.resampled
    rest = {"probability": P, "thresholds": HALF, "scores": {}}
    told = [dataclasses.astuple(dataclasses.replace(each, **rest))[3:] for each in (found, RESULT)]
    assert told[0] == told[1]


def test_a_file_that_is_not_whole_counts_as_missing(tmp_path: Path) -> None:
    said: list[str] = []
    folder = ResultFolder(tmp_path, said.append)
    file = folder.file("gmu", 0, "abc")
    folder.write(file, RESULT)
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no archive"):
        file.write_bytes(content)
        assert folder.read(file) is None
        assert "is not whole" in said.pop()
    assert not said


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ResultFolder(tmp_path)
    file = folder.file("gmu", 0, "abc")
    folder.write(file, RESULT)
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(results.os, "replace", full)
    with pytest.raises(StorageError, match="No space left"):
        folder.write(file, dataclasses.replace(RESULT, num_parameters=1))
    assert file.read_bytes() == before
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_a_folder_with_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    folder.check()  # empty
    ResultFolder(tmp_path / "none").check()
    (tmp_path / "thesis.tex").write_text("\\begin{document}")
    with pytest.raises(UserError, match="left as it is"):
        folder.check()
    with pytest.raises(UserError, match="Choose another --results"):
        ResultFolder(tmp_path / "thesis.tex").check()
    folder.write(folder.file("gmu", 0, "abc"), RESULT)
    folder.check()


def test_the_digest_is_of_all_the_content(catalog: Catalog) -> None:
    same = dataclasses.replace(catalog, source="elsewhere.csv", titles=["x"] * len(catalog))
    assert catalog_digest(same) == catalog_digest(catalog)
    labels, labelled = catalog.labels.copy(), catalog.labelled.copy()
    labels[7, 1], labelled[5] = 1 - labels[7, 1], False
    values, observed = catalog.features.batch(slice(None))
    values["image"][200, 3] += 1
    moved = FeatureTable.from_arrays(values, {"image": observed[:, 1]})
    others = [
        dataclasses.replace(catalog, labels=labels),
        dataclasses.replace(catalog, labelled=labelled),
        dataclasses.replace(catalog, features=moved),
        dataclasses.replace(catalog, people={}),
        dataclasses.replace(catalog, ids=np.roll(catalog.ids, 1)),
        dataclasses.replace(catalog, split=np.roll(catalog.split, 1)),
    ]
    found = {catalog_digest(each) for each in (catalog, *others)}
    assert len(found) == 1 + len(others)


def test_steps_of_a_sequence_are_in_the_digest(catalog: Catalog) -> None:
    steps = np.zeros((len(catalog), 2, 3))
    steps[:, 0], steps[:, 1] = 1, -1  # the mean over steps is the same either way
    tables = [FeatureTable.from_arrays({"text": each}) for each in (steps, steps[:, ::-1].copy())]
    one, other = (catalog_digest(dataclasses.replace(catalog, features=each)) for each in tables)
    assert one != other


def test_the_key_is_of_all_that_the_fit_hangs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    config = FitConfig(hidden=8)
    first = row_key("content", config, "val")
    assert row_key("content", FitConfig(hidden=8, encoded="elsewhere"), "val") == first
    keys = {
        first,
        row_key("other", config, "val"),
        row_key("content", config, "test"),
        row_key("content", FitConfig(hidden=9), "val"),
        row_key("content", FitConfig(hidden=8, seed=1), "val"),
        row_key("content", FitConfig(hidden=8, modalities=("text",)), "val"),
        row_key("content", config, "val", 0.5),
    }
    monkeypatch.setattr(results.importlib.metadata, "version", lambda _: "99")
    keys.add(row_key("content", config, "val"))
    assert len(keys) == 8
