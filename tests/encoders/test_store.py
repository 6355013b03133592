"""The folder of encoded features is a file of features like any other."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bayesfuse.data.arrays import member_names, open_array
from bayesfuse.encoders.store import (
    EncodedModality,
    default_folder,
    make_folder,
    read_features,
    write_features,
)
from bayesfuse.errors import UserError


@pytest.fixture
def modality(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.save(tmp_path / "values.npy", values)
    mask = np.array([True, False, True, True])
    return EncodedModality(tmp_path / "values.npy", mask, "0123abcd")


def test_features_are_read_through_a_memory_map(tmp_path, modality):
    ids = np.array(["a", "b", "c", "d"])
    path = write_features(tmp_path, "movie", ids, {"text": modality, "plot 2": modality})
    assert member_names(path) == (
        "movie",
        *("text", "text_observed", "text_encoder"),
        *("plot 2", "plot 2_observed", "plot 2_encoder"),
    )
    values = open_array(path, "text")
    assert isinstance(values, np.memmap)
    np.testing.assert_array_equal(values, np.arange(12).reshape(4, 3))
    assert open_array(path, "movie").tolist() == ids.tolist()
    assert open_array(path, "text_observed").tolist() == modality.observed.tolist()
    assert str(open_array(path, "plot 2_encoder")) == "0123abcd"
    with np.load(path) as whole:  # numpy checks the sums that it was written with
        assert whole["plot 2"].shape == (4, 3)


def test_an_earlier_file_stays_until_the_new_one_is_whole(tmp_path, modality):
    ids = np.array(["a", "b", "c", "d"])
    path = write_features(tmp_path, "id", ids, {"text": modality})
    before = path.read_bytes()
    gone = EncodedModality(tmp_path / "none.npy", modality.observed, "")
    with pytest.raises(UserError, match="Cannot write"):
        write_features(tmp_path, "id", ids, {"image": gone})
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["features.npz", "values.npy"]


def test_features_lie_beside_the_catalogue(tmp_path):
    (tmp_path / "catalog.toml").touch()
    assert default_folder(tmp_path) == tmp_path / "encoded"
    assert default_folder(tmp_path / "catalog.toml") == tmp_path / "encoded"
    assert default_folder(Path("shop") / "items.csv.gz") == Path("shop") / "items.encoded"


def test_a_folder_that_is_none_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"Cannot write .*Choose another folder with --out"):
        make_folder(tmp_path / "file")
    make_folder(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_somebody_else_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="Choose another folder"):
        make_folder(tmp_path / "encoded")


def test_sequences_are_stored_with_their_places(tmp_path, modality):
    steps = np.arange(10, dtype=np.float16).reshape(5, 2)
    np.save(tmp_path / "steps.npy", steps)
    starts, lengths = np.array([3, 0, 0, 2]), np.array([2, 2, 0, 1])
    kept = EncodedModality(tmp_path / "steps.npy", lengths > 0, "ff", starts, lengths)
    path = write_features(tmp_path, "id", np.array(list("abcd")), {"text": kept})
    assert member_names(path) == (
        *("id", "text", "text_starts", "text_lengths", "text_observed", "text_encoder"),
    )
    stored = kept.stored(open_array(path, "text"))
    assert stored.shape == (4, 2, 2)
    np.testing.assert_array_equal(stored.read(np.array([0, 3]))[0][1, 0], steps[2])
    assert modality.stored(steps) is steps


def test_another_process_reads_what_was_written(tmp_path, modality):
    steps = np.arange(14, dtype=np.float32).reshape(7, 2)
    np.save(tmp_path / "steps.npy", steps)
    starts, lengths = np.array([0, 3, 3, 6]), np.array([3, 0, 3, 1])
    long = EncodedModality(tmp_path / "steps.npy", lengths > 0, "4567", starts, lengths)
    write_features(tmp_path, "id", np.array(list("abcd")), {"text": modality, "plot": long})
    values, observed = read_features(tmp_path, "text")
    np.testing.assert_array_equal(values, np.load(modality.values))
    np.testing.assert_array_equal(observed, modality.observed)
    values, observed = read_features(tmp_path, "plot")
    found, used = values.read(np.array([0, 3]))
    np.testing.assert_array_equal(found[used], steps[[0, 1, 2, 6]])
    np.testing.assert_array_equal(observed, [True, False, True, True])
