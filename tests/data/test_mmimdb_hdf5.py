"""The authors' HDF5 file of MM-IMDb."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bayesfuse.data.findings import Findings
from bayesfuse.data.mmimdb_hdf5 import MovieVectors
from bayesfuse.errors import FeatureError, MissingExtraError
from tests.data.mmimdb_files import movie_id, split_array, write_hdf5

h5py = pytest.importorskip("h5py", reason="pip install 'bayesfuse[hdf5]'")

SPLITS = {"train": [3, 1, 4], "dev": [5], "test": [2, 6]}
ORDER = [3, 1, 4, 5, 2, 6]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_hdf5(tmp_path / "multimodal_imdb.hdf5", SPLITS)


def read(path: Path) -> MovieVectors:
    findings = Findings()
    vectors = MovieVectors.read(path, findings)
    assert findings == Findings()
    assert vectors is not None
    return vectors


def problems(path: Path) -> list[str]:
    findings = Findings()
    assert MovieVectors.read(path, findings) is None
    return [problem.removeprefix(f"{path}: ") for problem in findings.problems]


def replace(path: Path, name: str, values: Any) -> None:
    with h5py.File(path, "r+") as file:
        attributes = dict(file[name].attrs)
        del file[name]
        file[name] = values
        file[name].attrs.update(attributes)


def test_the_file_is_read(path: Path) -> None:
    vectors = read(path)
    assert vectors.ids == tuple(map(movie_id, ORDER))
    assert vectors.splits == ("train", "train", "train", "val", "test", "test")
    assert vectors.genre_names == ("Drama", "Comedy", "Horror", "Short")
    assert [vectors.genres_of(row) for row in range(3)] == [
        ["Drama"], ["Comedy"], ["Comedy", "Short"],
    ]  # fmt: skip
    assert {name: values.shape for name, values in vectors.features.items()} == {
        "text": (6, 6),
        "image": (6, 10),
    }
    for values in vectors.features.values():
        np.testing.assert_array_equal(np.floor(values[:]), np.outer(ORDER, np.ones(len(values[0]))))
    assert all(finite.all() for finite in vectors.finite.values())


def test_word_numbers_are_read_in_any_order(path: Path) -> None:
    vectors = read(path)
    assert vectors.has_words
    assert vectors.words([5, -1, 0, 2, 0]) == [[0, 1], None, [0, 1, 2], [], [0, 1, 2]]
    assert vectors.words([-1]) == [None]
    with h5py.File(path, "r+") as file:
        del file["sequences"]
    assert not read(path).has_words


@pytest.mark.parametrize("chunked", [False, True])
def test_some_rows_are_copied_in_any_order(path: Path, chunked: bool, monkeypatch: Any) -> None:
    monkeypatch.setattr("bayesfuse.data.rows.CHUNK_VALUES", 20)  # two movies at a time
    if chunked:
        with h5py.File(path, "r+") as file:
            values = file["vgg_features"][:]
            del file["vgg_features"]
            file.create_dataset("vgg_features", data=values, chunks=(4, 10), compression="gzip")
    vectors = read(path)
    out = path.with_name("image.npy")
    vectors.copy("image", np.array([4, -1, 0, 5, 1]), out)
    copied = np.load(out)
    assert copied.dtype == np.float32
    expected = vectors.features["image"][:][[4, 0, 0, 5, 1]]
    expected[1] = 0
    np.testing.assert_array_equal(copied, expected)


def test_features_that_are_no_numbers_are_marked(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["features"][1] = np.nan
        file["vgg_features"][4, 7] = np.inf
    vectors = read(path)
    assert np.flatnonzero(~vectors.finite["text"]).tolist() == [1]
    assert np.flatnonzero(~vectors.finite["image"]).tolist() == [4]


def test_all_that_is_missing_is_named(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["vgg_features"]
        file.move("imdb_ids", "imdb_id")
    found = problems(path)
    assert found[0].startswith('no dataset "imdb_ids"; it holds features, genres, ')
    assert found[0].endswith('Did you mean "imdb_id"?')
    assert found[1].startswith('no dataset "vgg_features"')
    assert len(found) == 2


@pytest.mark.parametrize(
    ("name", "values", "problem"),
    [
        ("features", np.zeros((5, 6), "f4"), r"features has shape \(5, 6\) of float32; .* 6 rows"),
        ("vgg_features", np.zeros((6, 2, 2), "f4"), r"vgg_features has shape \(6, 2, 2\)"),
        ("genres", np.zeros((6, 3), "i4"), "genres has 3 columns, but target_names names 4"),
        ("genres", np.full((6, 4), 2, "i4"), "genres holds other numbers than 0 and 1"),
        ("imdb_ids", np.array([b"1", b"2", b"3", b"1", b"5", b"6"]), r"imdb_ids: 1 come more than"),
        ("sequences", np.zeros((6, 2)), "sequences: expected one list a movie"),
    ],
)
def test_wrong_shapes_and_values_are_named(
    path: Path, name: str, values: np.ndarray, problem: str
) -> None:
    replace(path, name, values)
    (found,) = problems(path)
    assert re.match(problem, found), found


@pytest.mark.parametrize(
    ("ranges", "problem"),
    [
        ({"train": (0, 3), "dev": (3, 4), "trial": (4, 6)}, 'unknown split "trial"; expected'),
        ({"train": (0, 3), "test": (4, 6)}, "1 of 6 movies are in no split"),
        ({"train": (0, 4), "test": (3, 6)}, r'split "test" is rows \(3, 6\) of 6; expected'),
        ({"train": (0, 3), "test": (3, 7)}, r'split "test" is rows \(3, 7\) of 6; expected'),
    ],
)
def test_splits_that_do_not_fit_are_named(
    path: Path, ranges: dict[str, tuple[int, int]], problem: str
) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["split"] = split_array(ranges)
    assert re.match(problem, problems(path)[0]), problems(path)


def test_splits_that_differ_between_datasets_are_named(path: Path) -> None:
    records = split_array({"train": (0, 3), "test": (3, 6)})
    wanted = [i for i, record in enumerate(records) if record["source"] == b"genres"]
    records["stop"][wanted[0]] = 2
    with h5py.File(path, "r+") as file:
        file.attrs["split"] = records
    (found,) = problems(path)
    assert found.startswith('split "train" is rows (0, 2), (0, 3) of 6; expected the same rows in')


def test_datasets_that_are_not_read_or_not_there_may_differ(path: Path) -> None:
    records = split_array({"train": (0, 3), "dev": (3, 4), "test": (4, 6)})
    for record in records:
        if record["source"] == b"images":
            record["stop"] = 0
        if record["source"] == b"features":
            record["available"], record["start"], record["stop"] = False, 0, 0
    with h5py.File(path, "r+") as file:
        file.attrs["split"] = records
    assert read(path).splits == ("train", "train", "train", "val", "test", "test")


def test_attributes_that_are_missing_are_named(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file.attrs["split"]
        del file["genres"].attrs["target_names"]
    found = problems(path)
    assert found[0].startswith('no attribute "split" as Fuel writes it')
    assert found[1].startswith('genres has no attribute "target_names"')


def test_genres_that_are_none_are_named(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["genres"].attrs["target_names"] = json.dumps(["Drama", "Comdy", "Drama", "Short"])
    assert problems(path) == [
        'target_names: "Comdy" is no genre of MM-IMDb. Did you mean "Comedy"?',
        "target_names: a genre is named twice.",
    ]


def test_names_of_genres_may_be_bytes(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        names = file["genres"].attrs["target_names"]
        file["genres"].attrs["target_names"] = np.bytes_(names)
    assert read(path).genre_names == ("Drama", "Comedy", "Horror", "Short")


def test_a_truncated_file_is_said_to_be(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(FeatureError, match="truncated"):
        MovieVectors.read(path, Findings())


def test_without_h5py_the_extra_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bayesfuse\[hdf5\]'"):
        MovieVectors.read(path, Findings())
