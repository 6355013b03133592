"""From a command's options to a catalogue: a folder, a file, or the embedded demo."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesfuse.config import CatalogConfig, FitConfig
from bayesfuse.data.demo import write_demo
from bayesfuse.errors import CatalogError, ConfigError
from bayesfuse.estimator import catalogs
from bayesfuse.estimator.catalogs import DEMO, options_as_fitted, read_catalog


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    return write_demo(tmp_path_factory.mktemp("demo") / "catalogue", num_items=60)


@pytest.fixture(autouse=True)
def small_demo(monkeypatch):
    """Make the embedded catalogue one of 40 items; its size is tested with the demo's data."""
    monkeypatch.setattr(catalogs, "write_demo", functools.partial(write_demo, num_items=40))


@pytest.fixture
def table(tmp_path) -> Path:
    frame = pd.DataFrame(
        {
            "key": [f"a{i}" for i in range(30)],
            "name": "x",
            "plot": ["a war", "a love", "a ship"] * 10,
            "genres": ["War|Drama", "Drama", "War"] * 10,
            "who": ["A", "B", "C"] * 10,
            "part": (["train"] * 4 + ["val"]) * 6,
        }
    )
    frame.to_csv(tmp_path / "items.csv", index=False)
    return tmp_path / "items.csv"


FLAGS = {
    "id": "key",
    "title": "name",
    "text": "plot",
    "labels": "genres",
    "labels_separator": "|",
    "people": "who",
    "split": "part",
}


@pytest.mark.parametrize("source", [None, "demo"])
def test_the_embedded_demo(source):
    found = read_catalog(source, CatalogConfig())
    assert found.source == DEMO
    assert len(found) == 40
    assert set(found.raw) == {"text", "image"}
    assert sum(cell is not None for cell in found.raw["image"]) > 30  # read after the folder went


def test_without_modalities_only_the_table_is_read(demo):
    for source in (None, str(demo)):
        found = read_catalog(source, CatalogConfig(), with_modalities=False)
        assert (found.raw, found.features.names) == ({}, ())
        assert set(found.people) == {"director", "writer"}


def test_a_folder_of_that_name_is_not_the_embedded_demo(demo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").symlink_to(demo)
    found = read_catalog("demo", CatalogConfig())
    assert len(found) == 60
    assert found.source == str(tmp_path / "demo")


@pytest.mark.parametrize("flags", [{"text": "plot"}, {"labels_separator": "|", "id": "key"}])
def test_flags_without_a_catalogue(flags):
    with pytest.raises(ConfigError, match=r"no CATALOG was named") as caught:
        read_catalog(None, CatalogConfig.parse(flags))
    for name in flags:
        assert f"--{name.replace('_', '-')}" in str(caught.value)


@pytest.mark.parametrize("source", [None, "folder"])
def test_a_choice_of_modalities(source, demo):
    found = read_catalog(str(demo) if source else None, CatalogConfig(modalities="text"))
    assert set(found.raw) == {"text"}
    with pytest.raises(ConfigError, match=r'modality "txt".*Did you mean "text"'):
        read_catalog(str(demo) if source else None, CatalogConfig(modalities="txt,image"))


def test_a_choice_of_features(tmp_path, table):
    np.savez(tmp_path / "f.npz", a=np.zeros((30, 2)), b=np.ones((30, 3)))
    flags = {**FLAGS, "features": "one=f.npz:a,two=f.npz:b"}
    assert read_catalog(str(table), CatalogConfig.parse(flags)).features.names == ("one", "two")
    only = CatalogConfig.parse({**flags, "modalities": "two"})
    found = read_catalog(str(table), only)
    assert found.features.widths == {"two": 3}
    assert found.raw == {}


@pytest.mark.parametrize("features", ["text", "=f.npz", "text=", "text=f.npz,oops"])
def test_features_without_a_name_or_a_file(table, features):
    with pytest.raises(ConfigError, match=r"--features got .*expected NAME=FILE"):
        read_catalog(str(table), CatalogConfig.parse({**FLAGS, "features": features}))


def test_every_flag_of_one_file_is_used(table):
    found = read_catalog(str(table), CatalogConfig.parse(FLAGS))
    assert found.ids[0] == "a0"
    assert found.titles == ["x"] * 30
    assert found.label_names == ("Drama", "War")
    assert found.people["who"][:2] == [["A"], ["B"]]
    assert len(found.rows("val")) == 6
    ordered = CatalogConfig.parse({**FLAGS, "label_set": "War,Drama,Noir"})
    assert read_catalog(str(table), ordered).label_names == ("War", "Drama", "Noir")


def test_every_mistake_of_one_file_is_told(table):
    with pytest.raises(CatalogError) as caught:
        read_catalog(str(table), CatalogConfig.parse({**FLAGS, "text": "plt", "labels": "genre"}))
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_the_delimiter_is_used(table, delimiter):
    pd.read_csv(table).to_csv(table, index=False, sep=delimiter)
    flags = {**FLAGS, "delimiter": delimiter}
    assert len(read_catalog(str(table), CatalogConfig.parse(flags))) == 30


def test_a_file_without_splits_is_split_alike_every_time(table):
    flags = CatalogConfig.parse({name: value for name, value in FLAGS.items() if name != "split"})
    first, again = (read_catalog(str(table), flags, require_labels=False) for _ in range(2))
    assert first.split.tolist() == again.split.tolist()
    assert len(set(first.split.tolist())) > 1


# ---- options of a run


def test_the_catalogue_of_the_fit_is_read_as_in_the_fit(table):
    fitted = FitConfig.parse({**FLAGS, "features": "x=f.npz:a", "modalities": "text"})
    found, notes = options_as_fitted(str(table), CatalogConfig(), fitted, same=True)
    assert found == CatalogConfig.parse({**FLAGS, "features": "x=f.npz:a"})
    assert notes == []


def test_what_is_asked_for_counts_more(table):
    asked = CatalogConfig.parse({"text": "name", "modalities": "text"})
    found, _ = options_as_fitted(str(table), asked, FitConfig.parse(FLAGS), same=True)
    assert found == CatalogConfig.parse({**FLAGS, "text": "name", "modalities": "text"})


def test_a_file_that_lacks_columns_of_the_fit(table):
    lean = table.with_name("lean.csv")
    pd.read_csv(table)[["key", "plot"]].to_csv(lean, index=False)
    fitted = FitConfig.parse({**FLAGS, "label_set": "War,Drama", "features": "x=f.npz:a"})
    found, notes = options_as_fitted(str(lean), CatalogConfig(), fitted, same=False)
    assert found.model_dump(exclude_none=True) == {"id": "key", "text": "plot"}
    told = " ".join(notes)
    for role in ("title", "labels", "people", "split"):
        assert f"--{role} in the fit" in told
    assert "--features" in told
    assert len(read_catalog(str(lean), found, require_labels=False)) == 30


def test_a_column_that_is_asked_for_and_not_there_is_a_mistake(table):
    asked = CatalogConfig(labels="tags")
    found, notes = options_as_fitted(str(table), asked, FitConfig.parse(FLAGS), same=False)
    assert (found.labels, notes) == (("tags",), [])
    with pytest.raises(CatalogError, match='no column "tags"'):
        read_catalog(str(table), found)


def test_a_file_of_another_kind_has_no_delimiter(table):
    other = table.with_suffix(".parquet")
    pd.read_csv(table).to_parquet(other)
    fitted = FitConfig.parse({**FLAGS, "delimiter": ";"})
    found, notes = options_as_fitted(str(other), CatalogConfig(), fitted, same=False)
    assert found.delimiter is None
    assert notes == []
    assert len(read_catalog(str(other), found)) == 30


def test_a_folder_tells_itself(demo):
    asked = CatalogConfig(modalities="text")
    for source in (str(demo), str(demo / "catalog.toml"), DEMO):
        assert options_as_fitted(source, asked, FitConfig.parse(FLAGS), same=False) == (asked, [])


def test_a_file_that_cannot_be_read_is_left_to_the_reader(tmp_path):
    (tmp_path / "items.csv").write_bytes(b"\xff\xfe\x00")
    source = str(tmp_path / "items.csv")
    found, _ = options_as_fitted(source, CatalogConfig(), FitConfig.parse(FLAGS), same=False)
    with pytest.raises(CatalogError):
        read_catalog(source, found)
