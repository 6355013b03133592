"""`bayesfuse predict --explain` and `--item`, and `fit --graph people --neighbour-labels`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import CSV, ENCODE, SMALL, Ran

Bayesfuse = Callable[..., Ran]
PEOPLE = ["--people", "director", "--title", "title", "--split", "part"]


@pytest.fixture(scope="module")
def graph_run(films: Path, bayesfuse: Bayesfuse, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("graph") / "run"
    graph = ["--graph", "people", "--neighbour-labels", "--graph-width", "4"]
    flags = [*CSV, *ENCODE, *PEOPLE, *SMALL, *graph, "-o", out, "--encoded", out.parent / "enc"]
    done = bayesfuse("fit", films / "films.csv", *flags)
    assert done.code == 0, done.err
    return out


@pytest.fixture
def run(graph_run: Path, place: Path) -> Path:
    return Path(shutil.copytree(graph_run, place / "linked"))


def test_whom_two_films_hear(run: Path, bayesfuse: Bayesfuse) -> None:
    items = ["--item", "Film 9", "--item", "f2"]
    args = ["predict", run, "films.csv", *items, "--explain", "why.csv", "-o", "p.parquet"]
    done = bayesfuse(*args, "--explain-neighbours", "3")
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "2 items, 6 rows, 4 posterior draws: p.parquet",
        "6 neighbours and relations: why.csv",
    ]
    assert pd.read_parquet("p.parquet")["id"].unique().tolist() == ["f9", "f2"]
    why = pd.read_csv("why.csv")
    assert why["id"].tolist() == ["f9"] * 3 + ["f2"] * 3
    assert set(why["shared"]) == {"director: d2"}  # 9 and 2 are both 2 modulo 7
    assert (why["name"].str[1:].astype(int) % 7 == 2).all()
    assert (why["title"] == "Film " + why["name"].str[1:]).all()
    assert why["attention_mean"].between(0, 1).all()
    assert (why["attention_sd"] > 0).all()
    # refused before anything is read, and what is there stays
    again = bayesfuse(*args[:-1], "q.parquet")
    assert (again.code, again.out) == (2, "")
    assert "why.csv exists already and is left as it is" in again.err
    assert not Path("q.parquet").exists()


def test_new_items_without_a_title_column(run: Path, bayesfuse: Bayesfuse) -> None:
    films = pd.read_csv("films.csv").head(4)
    films["id"] = [f"n{i}" for i in range(4)]
    films[["id", "plot", "poster", "director"]].to_csv("later.csv", index=False)
    done = bayesfuse("predict", run, "later.csv", "--item", "n3", "--explain", "why.parquet")
    assert done.code == 0, done.err
    why = pd.read_parquet("why.parquet")
    assert set(why["id"]) == {"n3"}
    assert set(why["shared"]) == {"director: d3"}


def test_items_hear_new_ones_if_that_is_asked_for(run: Path, bayesfuse: Bayesfuse) -> None:
    later = pd.read_csv("films.csv").head(6).assign(id=[f"n{i}" for i in range(6)], director="new")
    later.to_csv("later.csv", index=False)
    assert bayesfuse("predict", run, "later.csv", "-o", "kept.parquet").code == 0
    flags = ["--update-old", "--explain", "why.csv", "-o", "updated.parquet"]
    done = bayesfuse("predict", run, "later.csv", *flags)
    assert done.code == 0, done.err
    why = pd.read_csv("why.csv")
    assert set(why.loc[why["id"] == "n0", "name"]) == {f"n{i}" for i in range(1, 6)}
    kept, updated = (pd.read_parquet(f"{name}.parquet") for name in ("kept", "updated"))
    assert (kept["mean"] - updated["mean"]).abs().groupby(kept["id"]).max().min() > 1e-6


def test_without_a_graph_there_is_nothing_to_update(
    place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    done = bayesfuse("predict", fitted, "new.csv", "--update-old", "-o", "p.parquet")
    assert done.code == 2
    assert "--update-old: the run has no graph (--graph none); leave it out." in done.err
    assert not Path("p.parquet").exists()


def test_a_run_without_a_graph_or_an_item_that_is_not_there(
    run: Path, place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    done = bayesfuse("predict", fitted, "new.csv", "--explain", "why.csv", "-o", "p.parquet")
    assert done.code == 2
    assert "fitted without a graph. Fit with --graph people" in done.err
    assert not Path("p.parquet").exists()
    done = bayesfuse("predict", run, "films.csv", "--item", "Film 200")
    assert done.code == 2
    assert 'No item has the id or title "Film 200"' in done.err


# ---- why an item has its tags


def test_why_a_film_has_its_tags(run: Path, bayesfuse: Bayesfuse) -> None:
    films = pd.read_csv("films.csv")
    film = films[films["plot"].notna() & films["poster"].notna()].iloc[0]
    done = bayesfuse("explain", run, film["title"], "films.csv", "--label", "Horror", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert (found["id"], found["title"], found["draws"]) == (film["id"], film["title"], 4)
    (tag,) = found["labels"]
    assert tag["label"] == "Horror"
    assert 0 <= tag["q05"] <= tag["mean"] <= tag["q95"] <= 1
    names = ["text", "image", "neighbour_labels", "graph"]
    assert [part["part"] for part in found["modalities"]["Horror"]] == names
    assert list(found["gates"]) == names
    assert all(0 < gate["mean"] < 1 for gate in found["gates"].values())
    words = [part["part"] for part in found["parts"]["text"]["Horror"]]
    assert words == film["plot"].split()
    assert len(found["parts"]["image"]["Horror"]) == 12
    assert {row["about"] for row in found["neighbours"]} == {"neighbour"}
    assert found["notes"] == []


def test_it_prints_what_it_knows_and_says_what_it_cannot(run: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse("explain", run, "f5", "films.csv", "--words", "3", "--regions", "none")
    assert done.code == 0, done.err  # f5 has no plot
    assert done.out.startswith("Film 5 (f5)\n\nwhat each modality adds to the log-odds")
    assert "text: no raw cell to look into." in done.out
    assert "neighbour" in done.out
    assert "row 1, column 1" not in done.out
    assert done.out.endswith("4 posterior draws\n")
    done = bayesfuse("explain", run, "f6", "films.csv", "--words", "3", "--regions", "2x2")
    assert "text: what " in done.out
    assert "row 2, column 2" in done.out
    done = bayesfuse("explain", run, "f6", "films.csv", "--label", "Horor")
    assert done.code == 2
    assert 'Did you mean "Horror"' in done.err


def test_without_a_graph_there_are_no_neighbours(
    place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    done = bayesfuse("explain", fitted, "f6", "films.csv", "--json")
    assert done.code == 0, done.err
    assert done.json["neighbours"] == []
    assert len(done.json["labels"]) == 3


def test_what_is_hidden_is_not_looked_into(run: Path, bayesfuse: Bayesfuse) -> None:
    flags = ["films.csv", "--without", "text,graph", "--regions", "2x2"]
    done = bayesfuse("explain", run, "f6", *flags, "--json")
    assert done.code == 0, done.err
    assert set(done.json["parts"]) == {"image"}
    assert done.json["neighbours"] == []
    (first, *_) = done.json["modalities"].values()
    added = {part["part"]: part["mean"] for part in first}
    assert added["text"] == 0
    assert added["image"] != 0


# ---- what tells each label


def test_what_tells_each_label_of_a_catalogue(run: Path, bayesfuse: Bayesfuse) -> None:
    flags = ["films.csv", "--by-label", "--split", "val", "--label", "Horror"]
    done = bayesfuse("explain", run, *flags, "--figure", "labels.svg")
    assert done.code == 0, done.err
    assert done.out.startswith("films.csv, val, 4 posterior draws")
    assert "mean gate of each modality" in done.out
    assert "Horror" in Path("labels.svg").read_text()
    again = bayesfuse("explain", run, *flags, "--figure", "labels.svg")
    assert (again.code, again.out) == (2, "")
    assert "labels.svg exists already" in again.err
    found = bayesfuse("explain", run, *flags, "--json").json["labels"]
    assert list(found) == ["Horror"]
    films = pd.read_csv("films.csv")
    having = films[(films["part"] == "val") & films["genres"].str.contains("Horror", na=False)]
    assert found["Horror"]["items"] == len(having) > 0


def test_an_item_or_labels_but_not_neither_nor_both(run: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse("explain", run)
    assert (done.code, done.out) == (2, "")
    assert "Expected an ITEM to explain, by id or title, or --by-label." in done.err
    done = bayesfuse("explain", run, "f6", "films.csv", "--by-label")
    assert done.code == 2
    assert "--by-label explains no single item" in done.err
    done = bayesfuse("explain", run, "f6", "films.csv", "--figure", "labels.png")
    assert done.code == 2
    assert "Expected --by-label" in done.err
