"""The embedded catalogue, in memory and on disk."""

from __future__ import annotations

import errno
import io
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import norm

from bayesfuse.data import demo as demo_module
from bayesfuse.data.demo import DemoCatalogue, make_demo, write_demo
from bayesfuse.data.demo_posters import POSTER_SIZE
from bayesfuse.errors import BayesfuseError, ConfigError, UserError

FILES = ["README.md", "catalog.toml", "items.parquet", "posters.parquet", "truth.parquet"]


@pytest.fixture(scope="module")
def demo() -> DemoCatalogue:
    return make_demo(600, seed=1)


def test_the_table_is_complete(demo):
    table = demo.table
    assert list(table) == [
        "id", "title", "plot", "poster", "genres", "director", "writer", "year", "split",
    ]  # fmt: skip
    assert table["id"].is_unique
    assert table["split"].value_counts().to_dict() == {"train": 360, "val": 120, "test": 120}
    assert set(table["genres"].explode()) == set(demo.label_names)
    assert table["director"].map(len).eq(1).all()
    assert set(table["writer"].map(len)) == {1, 2}
    assert 30 <= table["poster"].isna().sum() <= 120
    assert 20 <= table["plot"].isna().sum() <= 90
    assert not (table["poster"].isna() & table["plot"].isna()).any()


def test_plots_are_text_and_posters_are_pictures(demo):
    for plot in demo.table["plot"].dropna():
        assert plot[0].isupper()
        assert plot.endswith(".")
        assert 12 <= len(plot.split()) <= 60
        assert not set("{}") & set(plot)
    for png in demo.table["poster"].dropna()[:50]:
        picture = Image.open(io.BytesIO(png))
        picture.load()
        assert picture.size == POSTER_SIZE


def test_the_truth_fits_the_table(demo):
    truth = demo.truth
    assert list(truth) == ["id", "label", "text_image", "text", "image", "all"]
    assert truth["id"].tolist() == np.repeat(demo.table["id"], 8).tolist()
    assert truth["label"].tolist() == list(demo.label_names) * 600
    assert truth.iloc[:, 2:].stack().between(0, 1, inclusive="neither").all()
    no_plot = truth["id"].isin(demo.table.loc[demo.table["plot"].isna(), "id"])
    assert truth.loc[no_plot, "text"].groupby(truth["label"]).nunique().eq(1).all()
    pd.testing.assert_series_equal(
        truth.loc[no_plot, "text_image"], truth.loc[no_plot, "image"], check_names=False
    )


def test_more_evidence_makes_surer_and_truer_probabilities(demo):
    has = np.array(
        [[name in genres for name in demo.label_names] for genres in demo.table["genres"]]
    )
    nll = {
        column: -np.log(np.where(has.ravel(), demo.truth[column], 1 - demo.truth[column])).mean()
        for column in ("text_image", "text", "image", "all")
    }
    assert nll["all"] < nll["text_image"] < nll["text"] < nll["image"]


def shared_people_p_value(labels: np.ndarray, people: np.ndarray) -> float:
    """Compare the labels that items of one person share with those under shuffled people."""

    def overlap(person: np.ndarray) -> float:
        pairs = np.triu(person[:, None] == person, k=1)
        return float((labels @ labels.T)[pairs].mean())

    rng = np.random.default_rng(0)
    shuffled = [overlap(rng.permutation(people)) for _ in range(60)]
    return float(norm.sf((overlap(people) - np.mean(shuffled)) / np.std(shuffled)))


def test_people_make_movies_of_a_kind(demo, failure_rate):
    labels = np.array(
        [[name in genres for name in demo.label_names] for genres in demo.table["genres"]], float
    )
    directors = demo.table["director"].str[0].to_numpy()
    assert shared_people_p_value(labels, directors) < failure_rate
    anyone = np.random.default_rng(1).permutation(directors)
    assert shared_people_p_value(labels, anyone) > failure_rate


def test_the_seed_fixes_everything(demo):
    again, other = make_demo(600, seed=1), make_demo(600, seed=2)
    pd.testing.assert_frame_equal(demo.table, again.table)
    pd.testing.assert_frame_equal(demo.truth, again.truth)
    assert not demo.table["plot"].equals(other.table["plot"])
    assert not demo.table["poster"].equals(other.table["poster"])
    assert not demo.table["split"].equals(other.table["split"])


@pytest.mark.parametrize(
    ("num_items", "seed", "named"), [(9, 0, "num_items is 9"), (10, -1, "seed")]
)
def test_bad_arguments_are_refused(num_items, seed, named):
    with pytest.raises(ConfigError, match=named):
        make_demo(num_items, seed)


def test_the_smallest_catalogue_has_every_split():
    assert set(make_demo(10).table["split"]) == {"train", "val", "test"}


def test_the_folder_holds_the_catalogue(tmp_path):
    folder = write_demo(tmp_path / "made" / "here", num_items=30, seed=5)
    demo = make_demo(30, seed=5)
    assert sorted(entry.name for entry in folder.iterdir()) == FILES
    settings = tomllib.loads((folder / "catalog.toml").read_text())
    assert settings["modalities"]["text"] == {"column": "plot", "encoder": "tfidf"}
    items = pd.read_parquet(folder / settings["table"])
    assert items["plot"].isna().tolist() == demo.table["plot"].isna().tolist()
    assert [list(genres) for genres in items["genres"]] == demo.table["genres"].tolist()
    posters = pd.read_parquet(folder / "posters.parquet").set_index("id")["png"]
    expected = demo.table.set_index("id")["poster"]
    assert posters.dropna().to_dict() == expected.dropna().to_dict()
    assert list(posters.index) == list(expected.index)
    pd.testing.assert_frame_equal(
        pd.read_parquet(folder / "truth.parquet"), demo.truth, check_dtype=False
    )
    assert "30 movies" in (folder / "README.md").read_text()


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    first = write_demo(tmp_path / "first", num_items=12)
    second = write_demo(tmp_path / "second", num_items=12)
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_an_empty_folder_may_be_used(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert write_demo(".", num_items=10) == tmp_path / "empty"
    assert sorted(entry.name for entry in (tmp_path / "empty").iterdir()) == FILES


def test_a_catalogue_is_replaced_only_when_asked(tmp_path):
    folder = write_demo(tmp_path / "demo", num_items=10)
    before = (folder / "items.parquet").read_bytes()
    with pytest.raises(UserError, match=r"not empty.*--overwrite"):
        write_demo(folder, num_items=12)
    assert (folder / "items.parquet").read_bytes() == before
    write_demo(folder, num_items=12, overwrite=True)
    assert len(pd.read_parquet(folder / "items.parquet")) == 12
    assert [entry.name for entry in tmp_path.iterdir()] == ["demo"]


def test_other_files_are_never_overwritten(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"thesis\.txt, which is not part of a demo catalogue"):
        write_demo(tmp_path, num_items=10, overwrite=True)
    with pytest.raises(UserError, match="a file or a link"):
        write_demo(tmp_path / "thesis.txt", num_items=10, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("existing", [False, True])
def test_a_full_disk_leaves_everything_as_it_was(tmp_path, monkeypatch, existing):
    if existing:
        write_demo(tmp_path / "demo", num_items=10)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(self: Path, *args: object, **kwargs: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(BayesfuseError, match="No space left on device") as caught:
        write_demo(tmp_path / "demo", num_items=12, overwrite=True)
    assert caught.value.exit_code == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_failed_replacement_brings_the_old_catalogue_back(tmp_path, monkeypatch):
    folder = write_demo(tmp_path / "demo", num_items=10)
    before = (folder / "items.parquet").read_bytes()
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(BayesfuseError, match="Input/output error"):
        write_demo(folder, num_items=12, overwrite=True)
    assert (folder / "items.parquet").read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["demo"]


def test_the_readme_names_every_file():
    assert sorted(demo_module._FILES) == FILES
    for name in FILES[1:]:
        assert name in demo_module._README
