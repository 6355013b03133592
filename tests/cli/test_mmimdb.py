"""From the files of MM-IMDb to tags, by the command line alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import ENCODE, SMALL, Ran
from tests.data.mmimdb_files import GENRES, movie_id, write_folder, write_hdf5

Bayesfuse = Callable[..., Ran]

SPLITS = {"train": range(36), "dev": range(36, 48), "test": range(48, 60)}
ROLES = ["director", "producer", "writer", "cinematographer", "art_director"]


def steps(
    bayesfuse: Bayesfuse, tmp_path: Path, source: Path, *fit: str
) -> tuple[Ran, pd.DataFrame]:
    """Return what `describe` says, and the predictions for the test split."""
    catalogue, run, tags = tmp_path / "catalogue", tmp_path / "run", tmp_path / "tags.parquet"
    made = bayesfuse("data", "mmimdb", source, "--out", catalogue)
    assert (made.code, made.err) == (0, "")
    described = bayesfuse("data", "describe", catalogue, "--json")
    assert described.code == 0, described.err
    fitted = bayesfuse("fit", catalogue, *fit, *SMALL, "--out", run)
    assert fitted.code == 0, fitted.err
    predicted = bayesfuse("predict", run, catalogue, "--split", "test", "--out", tags)
    assert predicted.code == 0, predicted.err
    return described, pd.read_parquet(tags)


def test_the_raw_folder(tmp_path: Path, bayesfuse: Bayesfuse) -> None:
    root = write_folder(tmp_path / "mmimdb", SPLITS)
    described, tags = steps(bayesfuse, tmp_path, root, *ENCODE)
    assert {name: part["items"] for name, part in described.json["splits"].items()} == {
        "train": 36, "val": 12, "test": 12,
    }  # fmt: skip
    assert list(described.json["people"]) == ROLES
    assert sorted(set(tags["id"])) == [movie_id(number) for number in SPLITS["test"]]
    assert len(tags) == 12 * 23
    assert tags["mean"].between(0, 1).all()


def test_the_hdf5_file(tmp_path: Path, bayesfuse: Bayesfuse) -> None:
    pytest.importorskip("h5py", reason="pip install 'bayesfuse[hdf5]'")
    file = write_hdf5(tmp_path / "multimodal_imdb.hdf5", SPLITS)
    described, tags = steps(bayesfuse, tmp_path, file)
    assert {part["name"]: part["width"] for part in described.json["modalities"]} == {
        "text": 6, "image": 10,
    }  # fmt: skip
    assert set(tags["label"]) == {*GENRES, "Short"}
    assert len(tags) == 12 * 4


def test_both(tmp_path: Path, bayesfuse: Bayesfuse) -> None:
    pytest.importorskip("h5py", reason="pip install 'bayesfuse[hdf5]'")
    root = write_folder(tmp_path / "mmimdb", SPLITS)
    write_hdf5(root / "multimodal_imdb.hdf5", SPLITS)
    described, tags = steps(bayesfuse, tmp_path, root)
    modalities = {part["name"]: part for part in described.json["modalities"]}
    assert [(part["width"], part["raw"]) for part in modalities.values()] == [
        (6, "text"), (10, "path"),
    ]  # fmt: skip
    assert len(tags) == 12 * 23
