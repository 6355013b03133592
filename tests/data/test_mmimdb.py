"""MM-IMDb made a catalogue: the folder, the HDF5 file, and both."""

from __future__ import annotations

import errno
import gc
import os
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.mmimdb import write_mmimdb
from bayesfuse.data.mmimdb_protocol import GENRES
from bayesfuse.errors import BayesfuseError, CatalogError, ConfigError, StorageError, UserError
from tests.data.mmimdb_files import movie_id, split_array, write_folder, write_hdf5

SPLITS = {"train": [9, 1, 4, 7, 3, 2], "dev": [5, 8], "test": [10, 6]}
IDS = [movie_id(number) for part in SPLITS.values() for number in part]
HDF5 = "multimodal_imdb.hdf5"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "mmimdb", SPLITS)


@pytest.fixture
def hdf5(root: Path) -> Path:
    pytest.importorskip("h5py", reason="pip install 'bayesfuse[hdf5]'")
    return write_hdf5(root / HDF5, SPLITS)


def numbers(values: Any) -> list[int]:
    """Return which movie a row of features is of."""
    return [int(row[0]) for row in values]


def test_the_folder_becomes_a_catalogue(root: Path, tmp_path: Path) -> None:
    done = write_mmimdb(root, tmp_path / "new" / "catalogue")
    assert done.splits == {"train": 6, "val": 2, "test": 2}
    assert done.warnings == ()
    assert str(done) == f"10 movies (train 6, val 2, test 2), 23 genres: {done.path}"
    assert sorted(entry.name for entry in done.path.iterdir()) == ["catalog.toml", "movies.parquet"]
    catalog = Catalog.read(done.path)
    assert catalog.ids.tolist() == IDS
    assert catalog.split.tolist() == ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    assert catalog.label_names == GENRES
    assert catalog.labelled.all()
    eight = catalog.ids.tolist().index(movie_id(8))
    assert np.array(GENRES)[catalog.labels[eight] == 1].tolist() == ["Horror", "Short"]
    assert catalog.titles is not None
    assert catalog.titles[eight] == "Film 8"
    assert catalog.raw["text"].kind == "text"
    assert catalog.raw["text"][eight] == "A much longer knife scream story, number 8."
    assert catalog.raw["image"].kind == "path"
    assert Path(str(catalog.raw["image"][eight])).read_bytes() == (
        (root / "dataset" / "0000008.jpeg").read_bytes()
    )
    assert {relation: names[eight] for relation, names in catalog.people.items()} == {
        "director": ["Dora 2"],
        "producer": ["Pat Producer", "Paul 0"],
        "writer": ["Will Writer"],
        "cinematographer": ["Cid 8"],
        "art_director": ["Art Dee"],
    }


def test_posters_are_found_after_a_move_of_both(root: Path, tmp_path: Path) -> None:
    write_mmimdb(root, tmp_path / "catalogue")
    (tmp_path / "there").mkdir()
    for name in ("mmimdb", "catalogue"):
        (tmp_path / name).rename(tmp_path / "there" / name)
    image = Catalog.read(tmp_path / "there" / "catalogue").raw["image"]
    assert all(Path(str(path)).is_file() for path in image)


@pytest.mark.parametrize("place", ["mmimdb/catalogue", "far/away/catalogue"])
def test_posters_are_found_wherever_the_catalogue_lies(
    root: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = write_mmimdb("mmimdb", place)
    table = pd.read_parquet(done.path / "movies.parquet")
    assert os.path.isabs(table["poster"][0]) == place.startswith("far")
    image = Catalog.read(place).raw["image"]
    assert all(Path(str(path)).is_file() for path in image)


def test_the_hdf5_file_becomes_a_catalogue(hdf5: Path, tmp_path: Path) -> None:
    done = write_mmimdb(hdf5, tmp_path / "catalogue")
    assert done.label_names == ("Drama", "Comedy", "Horror", "Short")
    catalog = Catalog.read(done.path)
    assert catalog.ids.tolist() == IDS
    assert catalog.label_names == ("Drama", "Comedy", "Horror", "Short")
    assert catalog.raw == {}
    assert catalog.features.widths == {"text": 6, "image": 10}
    values, observed = catalog.features.batch(range(10))
    assert observed.all()
    for name in ("text", "image"):
        assert [movie_id(number) for number in numbers(values[name])] == IDS
    assert sorted(entry.name for entry in done.path.iterdir()) == ["catalog.toml", "movies.parquet"]
    words = pd.read_parquet(done.path / "movies.parquet")["words"]
    assert [list(row) for row in words[:4]] == [[0], [0], [], [0, 1, 2]]


def test_both_are_joined_on_the_id(hdf5: Path, root: Path, tmp_path: Path) -> None:
    hdf5.unlink()
    other = {"train": [1, 2, 3, 4, 7], "dev": [8, 5], "test": [6, 10]}  # another order, and no 9
    write_hdf5(hdf5, other)
    done = write_mmimdb(root, tmp_path / "catalogue")
    assert done.warnings == ("1 movies are not in the HDF5 file (0000009): they have no features.",)
    catalog = Catalog.read(done.path)
    assert catalog.ids.tolist() == [
        movie_id(number) for number in (1, 2, 3, 4, 7, 9, 8, 5, 6, 10)
    ]  # fmt: skip
    assert sorted(entry.name for entry in done.path.iterdir()) == [
        "catalog.toml", "image.npy", "movies.parquet", "text.npy",
    ]  # fmt: skip
    values, observed = catalog.features.batch(range(10))
    assert np.flatnonzero(~observed.all(axis=1)).tolist() == [5]
    for name in ("text", "image"):
        assert numbers(values[name]) == [1, 2, 3, 4, 7, 0, 8, 5, 6, 10]
    assert catalog.raw["text"][5] == "A much longer tears rain story, number 9."
    assert catalog.label_names == GENRES


def test_both_in_one_order_share_the_file(hdf5: Path, root: Path, tmp_path: Path) -> None:
    done = write_mmimdb(tmp_path, tmp_path / "catalogue")
    assert sorted(entry.name for entry in done.path.iterdir()) == ["catalog.toml", "movies.parquet"]
    settings = tomllib.loads((done.path / "catalog.toml").read_text())
    assert settings["modalities"]["image"] == {
        "column": "poster",
        "kind": "image",
        "features": "../mmimdb/multimodal_imdb.hdf5:vgg_features",
        "observed": "has_image",
    }
    values, _ = Catalog.read(done.path).features.batch(range(10))
    assert [movie_id(number) for number in numbers(values["text"])] == IDS


def test_a_file_beside_the_folder_is_not_taken_unasked(hdf5: Path, root: Path) -> None:
    hdf5.rename(root.parent / HDF5)
    assert Catalog.read(write_mmimdb(root, root.parent / "a").path).features.widths == {}
    assert Catalog.read(write_mmimdb(root.parent, root.parent / "b").path).features.widths


def test_what_the_two_do_not_agree_on_is_told(hdf5: Path, root: Path, tmp_path: Path) -> None:
    import h5py

    with h5py.File(hdf5, "r+") as file:
        file["genres"][0] = 1
        file["features"][3] = np.nan
        file.attrs["split"] = split_array({"train": (0, 5), "dev": (5, 8), "test": (8, 10)})
    done = write_mmimdb(root, tmp_path / "catalogue")
    assert done.warnings == (
        "1 movies have features that are no numbers (0000007): these count as missing.",
        "1 movies are in another split of the HDF5 file (0000002); split.json holds.",
        "1 movies have other genres in the HDF5 file (0000009); their JSON holds.",
    )
    catalog = Catalog.read(done.path)
    assert catalog.split.tolist() == ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    row = catalog.ids.tolist().index(movie_id(7))
    assert catalog.features.observed[row].tolist() == [False, True]
    assert catalog.labels[catalog.ids.tolist().index(movie_id(9))].sum() == 1


def test_movies_of_the_hdf5_file_have_to_be_in_the_folder(
    hdf5: Path, root: Path, tmp_path: Path
) -> None:
    hdf5.unlink()
    write_hdf5(hdf5, {"train": [1, 2, 77], "test": [6]})
    with pytest.raises(CatalogError, match=r"1 of 4 movies of .* are not in split.json \(0000077"):
        write_mmimdb(root, tmp_path / "catalogue")
    assert write_mmimdb(hdf5, tmp_path / "catalogue").splits == {"train": 3, "val": 0, "test": 1}


def test_the_mmbt_protocol_copies_the_features_of_those_that_stay(
    hdf5: Path, root: Path, tmp_path: Path
) -> None:
    import json

    file = root / "dataset" / "0000001.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"genres": [*content["genres"], "News"]}))
    done = write_mmimdb(root, tmp_path / "catalogue", protocol="mmbt")
    assert str(done).startswith("9 movies (train 5, val 2, test 2, 1 left out), 23 genres: ")
    catalog = Catalog.read(done.path)
    values, observed = catalog.features.batch(range(9))
    assert observed.all()
    assert [movie_id(number) for number in numbers(values["text"])] == catalog.ids.tolist()
    assert movie_id(1) not in catalog.ids


def test_every_mistake_is_named_and_nothing_written(hdf5: Path, root: Path, tmp_path: Path) -> None:
    import h5py

    (root / "dataset" / "0000001.json").unlink()
    with h5py.File(hdf5, "r+") as file:
        del file["vgg_features"]
        del file.attrs["split"]
    with pytest.raises(CatalogError) as caught:
        write_mmimdb(root, tmp_path / "deep" / "catalogue")
    assert [problem.partition(": ")[2][:28] for problem in caught.value.problems] == [
        'no dataset "vgg_features"; i', "1 of 10 movies of split.json",
    ]  # fmt: skip
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["mmimdb"]


def test_damaged_movies_are_all_named_and_nothing_written(root: Path, tmp_path: Path) -> None:
    for name in ("0000001.json", "0000005.json"):
        (root / "dataset" / name).write_text("{")
    with pytest.raises(CatalogError, match=r"(?s)0000001.json: truncated.*0000005.json: truncated"):
        write_mmimdb(root, tmp_path / "deep" / "catalogue")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["mmimdb"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "no such file or folder"),
        ("mmimdb.tar.gz", r'an archive; extract it first \("tar -xf mmimdb.tar.gz"\)'),
        ("metadata.npy", "not MM-IMDb; expected the folder of split.json and dataset/"),
        ("folder", r"not MM-IMDb; .* It holds notes.txt\."),
        ("empty", r"It holds nothing\."),
        ("broken.hdf5", "truncated, damaged or no HDF5 file"),
    ],
)
def test_what_is_not_mm_imdb_is_said_to_be(tmp_path: Path, name: str, message: str) -> None:
    pytest.importorskip("h5py", reason="pip install 'bayesfuse[hdf5]'")
    for folder in ("folder", "empty"):
        (tmp_path / folder).mkdir()
    for file in ("mmimdb.tar.gz", "metadata.npy", "folder/notes.txt", "broken.hdf5"):
        (tmp_path / file).write_bytes(b"x")
    with pytest.raises(CatalogError, match=message):
        write_mmimdb(tmp_path / name, tmp_path / "catalogue")
    assert not (tmp_path / "catalogue").exists()


def test_options_are_checked_first(hdf5: Path, root: Path, tmp_path: Path) -> None:
    for wrong in ({"plots": "shortest"}, {"protocol": "23"}):
        with pytest.raises(ConfigError, match="Unknown"):
            write_mmimdb(tmp_path / "absent", tmp_path / "catalogue", **wrong)
    with pytest.raises(ConfigError, match=r"--plots first: .* holds no plots"):
        write_mmimdb(hdf5, tmp_path / "catalogue", plots="first")
    with pytest.raises(ConfigError, match=r"--protocol mmbt: .* does not say which movies"):
        write_mmimdb(hdf5, tmp_path / "catalogue", protocol="mmbt")


def test_only_an_earlier_catalogue_is_overwritten(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "catalogue"
    write_mmimdb(root, target)
    before = (target / "catalog.toml").read_bytes()
    with pytest.raises(UserError, match=r"not empty.*--overwrite"):
        write_mmimdb(root, target, plots="all")
    assert (target / "catalog.toml").read_bytes() == before
    write_mmimdb(root, target, plots="all", overwrite=True)
    assert "--plots all" in (target / "catalog.toml").read_text()
    with pytest.raises(UserError, match=r"dataset, which is not part of a catalogue of MM-IMDb"):
        write_mmimdb(root, root, overwrite=True)
    assert len(list((root / "dataset").iterdir())) == 20


def test_a_full_disk_leaves_everything_as_it_was(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_mmimdb(root, tmp_path / "catalogue")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    with pytest.raises(BayesfuseError, match="No space left on device") as caught:
        write_mmimdb(root, tmp_path / "catalogue", plots="all", overwrite=True)
    assert isinstance(caught.value, StorageError)
    gc.collect()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_progress_is_told_of(root: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_mmimdb(root, tmp_path / "c", on_progress=lambda done, total: told.append((done, total)))
    assert told == [(10, 10)]


def test_the_same_files_give_the_same_bytes(hdf5: Path, root: Path, tmp_path: Path) -> None:
    first, second = (write_mmimdb(root, tmp_path / name).path for name in ("a", "b"))
    for name in ("catalog.toml", "movies.parquet"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
