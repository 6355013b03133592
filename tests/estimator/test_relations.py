"""A graph a relation, from fit to run folder: what is heard, what asks, and what mattered."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from bayesfuse import FusionClassifier
from bayesfuse.config import ModelConfig
from bayesfuse.data.batches import Batches
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.estimator.inputs import TrainingData
from bayesfuse.estimator.relations import (
    RelationWeights,
    check_relations,
    relation_weights,
    relations_that_count,
)
from bayesfuse.estimator.training_warnings import training_warnings
from bayesfuse.evaluation.metrics import nll
from bayesfuse.graph.backends import backend
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.linked_features import LinkedFeatures

NUM_ITEMS = 150
SMALL = {
    "graph": "people",
    "graph_relations": "each",
    "hidden": 6,
    "classifier_hidden": 6,
    "graph_heads": 2,
    "graph_width": 3,
    "epochs": 2,
    "annealing_epochs": 1,
    "batch_size": 40,
    "learning_rate": 0.03,
    "draws": 5,
    "val_draws": 2,
    "device": "cpu",
}
EACH = ModelConfig(graph="people", graph_relations="each")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_catalog(num_items: int = NUM_ITEMS, seed: int = 0, first: int = 0) -> Catalog:
    """Return items of two labels; nobody shares a cook, and a relation has a dot in its name."""
    rng = np.random.default_rng(seed)
    genres = rng.integers(2, size=num_items)
    people = {
        "director": [[f"D {g}{rng.integers(6)}"] if rng.random() < 0.8 else [] for g in genres],
        "co.writer": [[f"W {g}{rng.integers(9)}"] if rng.random() < 0.5 else [] for g in genres],
        "cook": [[f"C {first + item}"] for item in range(num_items)],
    }
    labels = np.stack([genres, 1 - genres], axis=1).astype(np.float32)
    values = {
        "text": rng.normal(size=(num_items, 3)),
        "image": labels @ rng.normal(size=(2, 4)) + rng.normal(size=(num_items, 4)),
    }
    return Catalog(
        source="made",
        ids=np.array([f"a{first + item}" for item in range(num_items)]),
        titles=None,
        features=FeatureTable.from_arrays(values),
        raw={},
        encoders={},
        labels=labels,
        labelled=np.ones(num_items, bool),
        label_names=("one", "two"),
        split=np.array(rng.choice(["train", "val", "test"], num_items, p=[0.7, 0.2, 0.1])),
        people=people,
    )


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return make_catalog()


@pytest.fixture(scope="module")
def fitted(catalog: Catalog) -> FusionClassifier:
    return FusionClassifier(**SMALL).fit(catalog)


def test_every_relation_that_a_training_item_has_is_heard(fitted):
    assert fitted.model_.network.relations == {"director": 0, "co.writer": 1}
    sites = {site.name for site in fitted.model_.lifted.sites}
    wanted = {"gat.director.0.weight", "gat.co_writer.0.attn_dst", "gat.relations.query.weight"}
    assert wanted <= sites
    assert not [name for name in sites if "cook" in name]
    told = " ".join(training_warnings(fitted))
    assert "No training item has a neighbour by cook: nothing could be learned of it" in told


def test_a_union_hears_all_and_is_told_nothing(catalog):
    union = FusionClassifier(**{**SMALL, "graph_relations": "union"}).fit(catalog)
    assert union.model_.network.relations == {}
    assert "cook" not in " ".join(training_warnings(union))
    with pytest.raises(ConfigError, match=r"no attention over relations.*graph-relations each"):
        relation_weights(union, catalog)


def test_attention_is_over_the_relations_of_an_item(fitted, catalog):
    found = relation_weights(fitted, catalog)
    assert found.relations == ("director", "co.writer")
    assert found.mean.shape == found.sd.shape == (NUM_ITEMS, 2)
    graph = EntityGraph.from_people(catalog.people)
    has = np.stack([graph.relation(name).degrees() > 0 for name in found.relations], axis=1)
    assert np.array_equal(found.mean > 0, has)
    np.testing.assert_allclose(found.mean.sum(axis=1), has.any(axis=1), atol=1e-6)
    both = has.all(axis=1)
    assert 10 < both.sum() < NUM_ITEMS
    assert (found.sd[both] > 0).all()
    assert (found.sd[~both] == 0).all()


def test_attention_is_the_mean_of_its_draws_however_many_items_come(fitted, catalog):
    found = relation_weights(fitted, catalog, draws=20, seed=3)
    table = fitted.link(catalog).features
    predictive = fitted.model_.predictive(3, torch.float32)
    batch = fitted._table(table).batch(slice(None))
    blocks = table.blocks(slice(None))
    inputs = {name: torch.from_numpy(values) for name, values in batch[0].items()}
    weights = [predictive.weights(draw) for draw in range(20)]
    with torch.no_grad():
        told = fitted.model_.network.relation_attention(
            weights, inputs, torch.from_numpy(batch[1]), blocks
        ).numpy()
    np.testing.assert_allclose(found.mean, told.mean(0), atol=1e-6)
    np.testing.assert_allclose(found.sd, told.std(0), atol=1e-6)
    few = relation_weights(fitted, table.take([4, 9]), draws=20, seed=3)
    np.testing.assert_allclose(few.mean, found.mean[[4, 9]], atol=1e-6)
    other = relation_weights(fitted, catalog, draws=20, seed=4)
    assert np.abs(other.mean - found.mean).max() > 1e-6
    with pytest.raises(ConfigError, match=r"draws is 0"):
        relation_weights(fitted, catalog, draws=0)


def test_chunks_of_attention_share_their_draws(fitted, catalog):
    batches = Batches(fitted.link(catalog).features)
    predictive = fitted.model_.predictive(0, torch.float32)
    (whole,) = predictive.relation_attention(batches, 4)
    parts = list(predictive.relation_attention(batches, 4, memory_budget=1))
    assert len(parts) > 3
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=0, atol=1e-6)


def test_attention_by_label():
    mean = np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 0.0]], np.float32)
    weights = RelationWeights(("a", "b"), mean, 0 * mean)
    found = weights.by_label(np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1]]))
    np.testing.assert_allclose(found, [[0.75, 0.25], [1.0, 0.0], [np.nan, np.nan]])
    with pytest.raises(FeatureError, match=r"shape \(2, 2\); expected 3 items x labels"):
        weights.by_label(np.ones((2, 2)))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"graph_layers": 2, "fan_out": (3, 2), "graph_version": "v2"},
        {"graph_query": ("all",), "neighbour_thinning": 0.5, "self_loops": "all"},
        {"graph_query": ("image",), "self_loops": "none", "modality_dropout": 0.3},
        {"elbo": "none"},
        {"parts": ("fusion",)},
        {"graph_relations": "union", "graph_edge_bias": "relation"},
    ],
    ids=lambda changes: next(iter(changes), "default"),
)
def test_a_run_comes_back_to_the_bit(catalog, tmp_path, changes):
    fitted = FusionClassifier(**{**SMALL, **changes}).fit(catalog)
    again = FusionClassifier.load(fitted.save(tmp_path / "run"), "cpu")
    later = make_catalog(40, seed=5, first=1000)
    for items in (catalog, later):
        assert np.array_equal(again.sample_proba(items), fitted.sample_proba(items))
    assert again.model_.network.relations == fitted.model_.network.relations
    if fitted.graph_relations == "each":
        found, before = relation_weights(again, later), relation_weights(fitted, later)
        assert np.array_equal(found.mean, before.mean)
        assert (found.sd.max() > 0) == ("elbo" not in changes and "parts" not in changes)


def test_dgl_says_the_same(catalog, fitted, tmp_path):
    pytest.importorskip("dgl")
    again = FusionClassifier.load(fitted.save(tmp_path / "run"), "cpu")
    for gat in again.model_.network.gat.gats:
        for layer in gat.layers:
            layer.backend = backend("dgl")
    np.testing.assert_allclose(
        again.sample_proba(catalog), fitted.sample_proba(catalog), rtol=0, atol=1e-5
    )


def test_a_new_item_that_shares_only_what_was_never_heard_is_alone(fitted, catalog):
    later = make_catalog(4, seed=5, first=1000)
    nobody = [[] for _ in range(4)]
    people = {"director": nobody, "co.writer": nobody, "cook": [["C 3"], [], ["C 4"], []]}
    cooked = dataclasses.replace(later, people=people)
    found = relation_weights(fitted, cooked)
    assert not found.mean.any()
    alone = dataclasses.replace(later, people={name: nobody for name in people})
    np.testing.assert_allclose(
        fitted.predict_proba(cooked), fitted.predict_proba(alone), rtol=0, atol=1e-6
    )


def test_the_text_asks_and_another_modality_does_not(fitted, catalog):
    before = relation_weights(fitted, catalog)
    values, _ = catalog.features.batch(slice(None))

    def moved(name: str) -> np.ndarray:
        changed = {**values, name: values[name] + np.float32(4)}
        features = FeatureTable.from_arrays(changed)
        return relation_weights(fitted, dataclasses.replace(catalog, features=features)).mean

    both = (before.mean > 0).all(axis=1)
    assert np.abs(moved("text") - before.mean)[both].max() > 1e-3
    assert fitted.model_.network.graph.query == ("text",)


def test_without_text_all_modalities_ask(catalog):
    only = dataclasses.replace(catalog, features=catalog.features.select(["image"]))
    fitted = FusionClassifier(**{**SMALL, "epochs": 1}).fit(only)
    assert fitted.model_.network.graph.query == ("image",)


# ---- it learns which relation matters


def planted() -> tuple[Catalog, np.ndarray]:
    """Return items whose text says whether their director or their writer tells the label.

    Half of the items have a director or a writer alone, and look as he does; they have no labels.
    The others have both and look like nothing.
    """
    rng = np.random.default_rng(0)
    looks = rng.choice([-1.0, 1.0], (2, 30))  # of directors, of writers
    alone = np.arange(180)
    role, name = alone % 2, alone // 2 % 30
    names = rng.integers(30, size=(300, 2))
    kind = rng.integers(2, size=480)
    truth = looks[kind[180:], names[np.arange(300), kind[180:]]] > 0
    people = {
        relation: [[f"{n}"] if r == bit else [] for r, n in zip(role, name, strict=True)]
        + [[f"{n}"] for n in names[:, bit]]
        for bit, relation in enumerate(("director", "writer"))
    }
    labels = np.zeros((480, 2), np.float32)
    labels[180:] = np.stack([truth, ~truth], axis=1)
    look = np.concatenate([looks[role, name], np.zeros(300)])
    catalog = dataclasses.replace(
        make_catalog(480),
        features=FeatureTable.from_arrays(
            {
                "text": np.stack([2.0 * kind - 1, rng.normal(size=480)], axis=1),
                "image": np.stack([look, rng.normal(size=480)], axis=1),
            }
        ),
        labels=labels,
        labelled=np.arange(480) >= 180,
        split=np.where(rng.random(480) < 0.6, "train", "test"),
        people=people,
    )
    return catalog, kind


@pytest.mark.slow
def test_the_posterior_learns_which_relation_matters_for_which_text():
    catalog, kind = planted()
    test = catalog.labelled & (catalog.split == "test")
    base = {
        **{**SMALL, "hidden": 16, "classifier_hidden": 16, "graph_width": 4, "draws": 16},
        **{"epochs": 15, "annealing_epochs": 5, "batch_size": 60, "learning_rate": 0.05},
        **{"classifier_learning_rate": 0.01, "dropout": 0.0},
    }

    def fitted(**changes: object) -> tuple[FusionClassifier, float]:
        made = FusionClassifier(**{**base, **changes}).fit(catalog)
        return made, nll(made.predict_proba(catalog)[test], catalog.labels[test])

    asked, loss = fitted()
    found = relation_weights(asked, catalog)
    by_kind = found.by_label(np.stack([test & (kind == 0), test & (kind == 1)], axis=1))
    assert loss < 0.2
    assert by_kind.diagonal().min() > 0.75
    # controls: an image that tells nothing asks (the fusion reads the text, and may yet choose by
    # it which relation's features count), and all relations are one graph
    unasked, _ = fitted(graph_query=("image",))
    told = relation_weights(unasked, catalog).by_label(np.stack([kind == 0, kind == 1], axis=1))
    assert np.abs(told[0] - told[1]).max() < 0.1
    assert fitted(graph_relations="union")[1] > loss + 0.2


# ---- mistakes


def linked(people: dict[str, list[list[str]]], rows: object = None) -> LinkedFeatures:
    count = len(next(iter(people.values())))
    table = FeatureTable.from_arrays({"image": np.eye(count, 2)})
    found = LinkedFeatures(table, table, EntityGraph.from_people(people))
    return found if rows is None else found.take(rows)


def data_of(train: FeatureTable, val: FeatureTable | None = None) -> TrainingData:
    return TrainingData(train, np.zeros((len(train), 1), np.float32), val, None)


def test_relations_count_if_a_training_item_has_them():
    people = {"a": [["x"], ["x"], [], []], "b": [[], [], ["y"], ["y"]]}
    assert relations_that_count(data_of(linked(people)), EACH) == {"a": 0, "b": 1}
    assert relations_that_count(data_of(linked(people, [2, 3])), EACH) == {"b": 1}
    union = ModelConfig(graph="people")
    assert relations_that_count(data_of(linked(people, [2, 3])), union) == {}
    biased = ModelConfig(graph="people", graph_edge_bias="relation")
    assert relations_that_count(data_of(linked(people, [2, 3])), biased) == {"a": 0, "b": 1}
    plain = data_of(FeatureTable.from_arrays({"image": np.eye(3)}))
    assert relations_that_count(plain, ModelConfig()) == {}


def test_nothing_to_hear_is_refused():
    alone = {"a": [["x"], ["y"]], "b": [[], []]}
    with pytest.raises(ConfigError, match=r"No training item shares anybody .*\(a, b\)"):
        relations_that_count(data_of(linked(alone)), EACH)


def test_relations_that_are_unknown_or_others_are_refused():
    table = linked({"a": [["x"], ["x"]], "b": [["y"], ["y"]]})
    bare = LinkedFeatures(table, table.nodes, table.graph)
    with pytest.raises(FeatureError, match=r"does not know the relations .* EntityGraph"):
        relations_that_count(data_of(bare), EACH)
    with pytest.raises(FeatureError, match=r"items without links"):
        relations_that_count(data_of(table.nodes), EACH)
    turned = linked({"b": [["y"], ["y"]], "a": [["x"], ["x"]]})
    for other, told in ((turned, "b, a"), (bare, r"\(unknown\)")):
        with pytest.raises(FeatureError, match=rf"by the relations {told}; the network .* a, b"):
            check_relations(other, {"a": 0, "b": 1})
        with pytest.raises(FeatureError, match=r"Link them by the same"):
            relations_that_count(data_of(table, other), EACH)
    assert check_relations(turned, {}) is turned
    assert check_relations(turned, {"a": 1}) is turned


def test_what_asks_must_be_there(catalog):
    with pytest.raises(ConfigError, match=r'for the graph\'s query "txt".*Did you mean "text"'):
        FusionClassifier(**{**SMALL, "graph_query": ("txt",)}).fit(catalog)
