"""What items are told of their neighbours' labels: of train alone, never their own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bayesfuse import FusionClassifier
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError, FeatureError, RunFolderError
from bayesfuse.estimator.links import Links
from bayesfuse.estimator.train_labels import TrainLabels

NUM_ITEMS = 400
SETTINGS = {
    "graph": "people",
    "neighbour_labels": True,
    "graph_features": ("image",),
    "hidden": 8,
    "classifier_hidden": 8,
    "dropout": 0.0,
    "graph_heads": 2,
    "graph_width": 4,
    "epochs": 12,
    "annealing_epochs": 2,
    "batch_size": 40,
    "learning_rate": 0.03,
    "classifier_learning_rate": 0.03,
    "draws": 8,
    "val_draws": 2,
    "device": "cpu",
}


def make_catalog(informative: bool, seed: int = 0) -> Catalog:
    """Return items in pairs by director; features are noise, and labels are of the director or not.

    Where they are not, a pair's labels have nothing to do with each other.
    """
    rng = np.random.default_rng(seed)
    director = np.repeat(np.arange(NUM_ITEMS // 4), 4)
    of_director = rng.random((NUM_ITEMS // 4, 2)) < 0.5
    labels = of_director[director] if informative else rng.random((NUM_ITEMS, 2)) < 0.5
    return Catalog(
        source="items",
        titles=None,
        raw={},
        encoders={},
        ids=np.array([f"i{i}" for i in range(NUM_ITEMS)]),
        label_names=("A", "B"),
        labels=labels.astype(np.float32),
        labelled=np.ones(NUM_ITEMS, dtype=np.bool_),
        split=rng.choice(["train", "val", "test"], NUM_ITEMS, p=[0.6, 0.2, 0.2]),
        people={"director": [[f"d{d}"] for d in director]},
        features=FeatureTable.from_arrays(
            {"image": rng.normal(size=(NUM_ITEMS, 3)).astype(np.float32)}
        ),
    )


def test_only_labels_of_train_are_kept():
    catalog = make_catalog(True)
    kept = TrainLabels.of_catalog(catalog)
    train = catalog.split == "train"
    assert np.array_equal(kept.train, train)
    assert np.array_equal(kept.labels, catalog.labels[train])
    hidden = dataclasses.replace(catalog, labels=np.where(train[:, None], catalog.labels, 0))
    told = kept.told(catalog.features, graph_of(catalog), np.arange(NUM_ITEMS))
    again = TrainLabels.of_catalog(hidden)
    other = again.told(catalog.features, graph_of(catalog), np.arange(NUM_ITEMS))
    assert told.names == ("image", "neighbour_labels")
    assert np.array_equal(
        told.batch(slice(None))[0]["neighbour_labels"],
        other.batch(slice(None))[0]["neighbour_labels"],
    )


def graph_of(catalog: Catalog):
    config = FusionClassifier(**SETTINGS).config()
    return Links.of_catalog(catalog, config).graph.adjacency


def auc(catalog: Catalog, split: str, **changes: object) -> float:
    fitted = FusionClassifier(**{**SETTINGS, **changes}).fit(catalog)
    rows = catalog.rows(split)
    probability = fitted.predict_proba(fitted.link(catalog).features.take(rows))
    return float(roc_auc_score(catalog.labels[rows], probability))


@pytest.mark.slow
def test_labels_of_neighbours_help_where_they_say_something():
    catalog = make_catalog(informative=True)
    assert auc(catalog, "test") > 0.85
    assert auc(catalog, "test", neighbour_labels=False) < 0.65


@pytest.mark.slow
def test_no_label_comes_back_to_its_own_item():
    """Labels that only the item itself knows cannot be learned; with a leak, train would be."""
    catalog = make_catalog(informative=False)
    assert auc(catalog, "train") < 0.70
    assert auc(leaking(catalog), "train") > 0.85


def leaking(catalog: Catalog) -> Catalog:
    """Return the catalogue with what a careless rate would tell: the item's own labels too."""
    rates = np.zeros((NUM_ITEMS, 2), dtype=np.float32)
    for director in range(NUM_ITEMS // 4):
        of = slice(4 * director, 4 * director + 4)
        rates[of] = catalog.labels[of].mean(axis=0)
        rates[of] += catalog.labels[of] / 4
    features = catalog.features.with_modality("text", rates, np.ones(NUM_ITEMS, dtype=np.bool_))
    return dataclasses.replace(catalog, features=features)


def test_a_run_comes_back_with_them(tmp_path: Path):
    catalog = make_catalog(informative=True)
    fitted = FusionClassifier(**{**SETTINGS, "epochs": 3}).fit(catalog)
    assert fitted.model_.network.names == ("image", "neighbour_labels")
    again = FusionClassifier.load(fitted.save(tmp_path / "run"), "cpu")
    assert np.array_equal(again.sample_proba(catalog), fitted.sample_proba(catalog))
    # what is predicted does not depend on what the catalogue to predict says of labels
    bare = dataclasses.replace(catalog, labels=np.zeros_like(catalog.labels))
    assert np.array_equal(again.sample_proba(bare), fitted.sample_proba(catalog))


def test_nodes_never_pass_labels_on():
    catalog = make_catalog(informative=True)
    fitted = FusionClassifier(**{**SETTINGS, "epochs": 3, "graph_features": ("all",)}).fit(catalog)
    assert fitted.model_.network.graph.features == ("image",)
    with pytest.raises(ConfigError, match=r"--graph-features: .*neighbour_labels"):
        FusionClassifier(**{**SETTINGS, "graph_features": ("neighbour_labels",)}).fit(catalog)


def test_a_catalogue_that_has_the_name_or_no_labels():
    catalog = make_catalog(informative=True)
    taken = catalog.features.with_modality(
        "neighbour_labels", np.zeros((NUM_ITEMS, 1)), np.ones(NUM_ITEMS, dtype=np.bool_)
    )
    with pytest.raises(ConfigError, match=r'"neighbour_labels", which is what --neighbour-labels'):
        TrainLabels.of_catalog(dataclasses.replace(catalog, features=taken))
    blank = dataclasses.replace(catalog, labelled=np.zeros(NUM_ITEMS, dtype=np.bool_))
    with pytest.raises(FeatureError, match=r"no labelled training items"):
        TrainLabels.of_catalog(blank)


def test_a_run_folder_with_labels_of_other_items_is_refused(tmp_path: Path):
    fitted = FusionClassifier(**{**SETTINGS, "epochs": 3}).fit(make_catalog(informative=True))
    labels = fitted.links_.labels
    fitted.links_ = dataclasses.replace(
        fitted.links_, labels=TrainLabels(labels.labels, labels.train[:-1])
    )
    run = fitted.save(tmp_path / "run")
    with pytest.raises(RunFolderError, match=r"does not hold the graph of this run"):
        FusionClassifier.load(run, "cpu")
