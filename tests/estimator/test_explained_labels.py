"""What tells each label: means over the items that have it, draw by draw."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from bayesfuse import FusionClassifier
from bayesfuse.errors import ConfigError, UserError
from bayesfuse.estimator.contributions import modality_draws
from bayesfuse.estimator.explained_labels import explain_labels
from bayesfuse.estimator.gate_means import iter_gates
from bayesfuse.estimator.workflow import Run
from tests.estimator.test_explanations import SETTINGS, make_catalog


@pytest.fixture(scope="module")
def run() -> Run:
    catalog = make_catalog()
    fitted = FusionClassifier(**SETTINGS).fit(catalog)
    return Run(fitted, None, fitted.link(catalog), np.arange(len(catalog)))


def test_means_are_over_the_items_that_have_the_label(run):
    found = explain_labels(run, draws=3, seed=0, items_at_once=7)
    catalog, classifier = run.catalog, run.classifier
    labelled = np.flatnonzero(catalog.labelled)
    items = catalog.features.take(labelled)
    names, added = modality_draws(classifier, items, 3, 0)
    (gates,) = iter_gates(classifier, items, 3, 0)
    assert found.labels == tuple(classifier.label_names_)
    assert found.contributions.modalities == names == ("text", "image", "graph")
    for row, label in enumerate(found.labels):
        having = catalog.labels[labelled][:, catalog.label_names.index(label)] > 0
        assert found.num_items[row] == having.sum()
        draws = added[:, :, having, row].mean(axis=2)
        np.testing.assert_allclose(found.contributions.mean[row], draws.mean(axis=1), rtol=1e-5)
        low = np.quantile(draws, 0.05, axis=1)
        np.testing.assert_allclose(found.contributions.low[row], low, rtol=1e-5)
        expected = gates[:, having].mean(axis=(0, 1))
        np.testing.assert_allclose(found.gates.mean[row], expected, rtol=1e-5)


def test_one_label_prints_and_goes_into_json(run):
    found = explain_labels(run, ["B"], draws=2, seed=0)
    assert found.labels == ("B",)
    told = json.loads(json.dumps(found.to_dict()))
    assert set(told["B"]) == {"items", "contributions", "gates"}
    assert told["B"]["contributions"]["graph"]["mean"] == found.contributions.mean[0, 2]
    assert "mean gate of each modality" in str(found)


def test_a_label_that_no_item_has_is_a_gap(run):
    labels = run.catalog.labels.copy()
    labels[:, 0] = 0
    nobody = dataclasses.replace(run, catalog=dataclasses.replace(run.catalog, labels=labels))
    found = explain_labels(nobody, draws=2, seed=0)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["A"]["items"] == 0
    assert told["A"]["contributions"]["text"] == {"mean": None, "q05": None, "q95": None}
    assert "nan" not in str(found)


def test_without_gates_there_are_contributions_alone():
    plain = FusionClassifier(**{**SETTINGS, "graph": "none", "fusion": "concat"})
    catalog = make_catalog()
    run = Run(plain.fit(catalog), None, catalog, np.arange(len(catalog)))
    found = explain_labels(run, draws=2, seed=0)
    assert found.gates is None
    assert "gate" not in str(found)
    assert "gates" not in found.to_dict()["A"]


def test_what_cannot_be_explained(run):
    with pytest.raises(ConfigError, match='Unknown label "C"'):
        explain_labels(run, ["C"], draws=1, seed=0)
    nothing = dataclasses.replace(run.catalog, labelled=np.zeros(len(run.catalog), dtype=np.bool_))
    with pytest.raises(UserError, match="no labelled items here"):
        explain_labels(dataclasses.replace(run, catalog=nothing), draws=1, seed=0)
