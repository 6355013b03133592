"""Whom an item hears most: as the network attends, with what joins them, over posterior draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bayesfuse import FusionClassifier
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.explanations import SCHEMA, iter_explanations

NUM_ITEMS = 80
SETTINGS = {
    "graph": "people",
    "hidden": 6,
    "classifier_hidden": 6,
    "graph_heads": 2,
    "graph_width": 3,
    "epochs": 3,
    "annealing_epochs": 1,
    "batch_size": 40,
    "draws": 5,
    "val_draws": 2,
    "init_scale": 0.1,
    "device": "cpu",
}


def make_catalog(num_items: int = NUM_ITEMS, first: int = 0) -> Catalog:
    rng = np.random.default_rng(first)
    director = [[f"Dîr {i % 9}"] if i % 4 else [] for i in range(num_items)]
    values = {m: rng.normal(size=(num_items, 3)).astype(np.float32) for m in ("text", "image")}
    return Catalog(
        source="items",
        ids=np.array([f"i{first + i}" for i in range(num_items)]),
        titles=[f"Item {first + i}" for i in range(num_items)],
        label_names=("A", "B"),
        labels=(rng.random((num_items, 2)) < 0.5).astype(np.float32),
        labelled=np.ones(num_items, dtype=np.bool_),
        split=rng.choice(["train", "val"], num_items, p=[0.8, 0.2]),
        features=FeatureTable.from_arrays(values),
        raw={},
        encoders={},
        people={"director": director, "writer": [[f"w{i % 5}"][: i % 3] for i in range(num_items)]},
    )


@pytest.fixture(scope="module")
def fitted() -> FusionClassifier:
    return FusionClassifier(**SETTINGS).fit(make_catalog())


def explained(fitted: FusionClassifier, catalog: Catalog, **options: object) -> pd.DataFrame:
    linked = fitted.link(catalog)
    tables = list(iter_explanations(fitted, linked, np.arange(len(catalog)), **options))
    return pa.concat_tables(tables).to_pandas()


def test_neighbours_are_those_of_the_graph_with_what_joins_them(fitted):
    found = explained(fitted, make_catalog(), most=NUM_ITEMS)
    assert list(found) == SCHEMA.names
    assert set(found["about"]) == {"neighbour"}
    links = fitted.links_
    place = {name: node for node, name in enumerate(links.ids.tolist())}
    for node, name in enumerate(links.ids.tolist()):
        mine = found[found["id"] == name]
        heard = set(links.graph.neighbours(node).tolist()) - {node}
        assert {place[other] for other in mine["name"]} == heard
        for row in mine.itertuples():
            joined = "; ".join(f"{r}: {n}" for r, n in links.graph.shared(node, place[row.name]))
            assert row.shared == joined
            assert row.title == links.titles[place[row.name]]
        if heard:
            assert mine["attention_mean"].sum() == pytest.approx(1, abs=1e-5)
            assert mine["rank"].tolist() == list(range(1, len(mine) + 1))
            assert mine["attention_mean"].is_monotonic_decreasing
    assert (found["attention_sd"] > 0).mean() > 0.9


def test_new_items_are_explained_by_the_nodes_of_the_fit(fitted):
    new = make_catalog(6, first=1000)
    found = explained(fitted, new)
    assert set(found["id"]) <= set(new.ids)
    assert set(found["name"]) <= set(fitted.links_.ids)
    assert found.groupby("id").size().max() == 5
    assert found[found["id"] == "i1001"]["shared"].str.contains("director: Dîr 1").all()


def test_it_is_the_same_for_any_chunks_and_seed_draws_count(fitted, monkeypatch):
    whole = explained(fitted, make_catalog())
    monkeypatch.setattr("bayesfuse.estimator.explanations.ITEMS_AT_ONCE", 7)
    pd.testing.assert_frame_equal(explained(fitted, make_catalog()), whole, atol=1e-6)
    other = explained(fitted, make_catalog(), seed=3)
    assert not np.array_equal(other["attention_sd"], whole["attention_sd"])
    one = explained(fitted, make_catalog(), draws=1)
    assert (one["attention_sd"] == 0).all()


def test_a_graph_a_relation_tells_which_relation_mattered():
    fitted = FusionClassifier(**SETTINGS, graph_relations="each").fit(make_catalog())
    found = explained(fitted, make_catalog(), most=NUM_ITEMS)
    relations = found[found["about"] == "relation"]
    assert set(relations["name"]) == {"director", "writer"}
    totals = relations.groupby("id")["attention_mean"].sum()
    assert totals.to_numpy() == pytest.approx(1, abs=1e-5)
    neighbours = found[found["about"] == "neighbour"].groupby("id")["attention_mean"].sum()
    assert neighbours.to_numpy() == pytest.approx(1, abs=1e-5)
    # a relation's attention goes to those that it joins: to who shares nothing else, and in part
    # to who shares another name too
    mine = found[(found["id"] == "i1") & (found["about"] == "neighbour")]
    writer = float(relations.query("id == 'i1' and name == 'writer'")["attention_mean"].iloc[0])
    both = mine["shared"].str.contains(";")
    alone = mine["shared"].str.startswith("writer") & ~both
    assert alone.any()
    least = mine[alone]["attention_mean"].sum()
    assert least - 1e-5 <= writer <= least + mine[both]["attention_mean"].sum() + 1e-5


def test_a_twin_has_one_draw():
    fitted = FusionClassifier(**{**SETTINGS, "elbo": "none"}).fit(make_catalog())
    assert (explained(fitted, make_catalog())["attention_sd"] == 0).all()


def test_without_a_graph_or_neighbours(fitted, tmp_path: Path):
    plain = FusionClassifier(**{**SETTINGS, "graph": "none"}).fit(make_catalog())
    with pytest.raises(ConfigError, match=r"fitted without a graph. Fit with --graph people"):
        explained(plain, make_catalog())
    with pytest.raises(ConfigError, match=r"number of neighbours is 0; expected at least 1"):
        explained(fitted, make_catalog(), most=0)
