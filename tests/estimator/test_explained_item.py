"""What is put together for one item; see also tests/cli/test_explain.py."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bayesfuse import FusionClassifier
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.explained_item import Wanted, explain_item, load_run_encoders
from bayesfuse.estimator.workflow import Run
from tests.estimator.test_explanations import SETTINGS, make_catalog


@pytest.fixture(scope="module")
def run() -> Run:
    catalog = make_catalog()
    fitted = FusionClassifier(**SETTINGS, graph_relations="each").fit(catalog)
    return Run(fitted, None, fitted.link(catalog), np.arange(len(catalog)))


def test_features_alone_tell_of_modalities_relations_and_neighbours(run):
    found = explain_item(run, 1, {}, Wanted(), draws=5, seed=0)
    assert found.modalities.parts == ("text", "image", "graph")
    assert set(found.labels) == {"A", "B"}
    chance = run.classifier.sample_proba(run.catalog.features.take([1]), 5, 0)[:, 0]
    columns = [("A", "B").index(label) for label in found.labels]
    np.testing.assert_allclose(found.probability[0], chance.mean(axis=0)[columns], rtol=1e-5)
    assert found.probability[0, 0] >= found.probability[0, 1]
    assert {row["about"] for row in found.neighbours} == {"relation", "neighbour"}
    assert found.parts == {}
    text = str(found)
    assert "Item 1 (i1)" in text
    assert "mean gate" in text
    assert "relation" in text
    json.dumps(found.to_dict())


def test_one_label_and_no_neighbours(run):
    found = explain_item(run, 1, {}, Wanted(("B",), neighbours=0), draws=2, seed=0)
    assert (found.labels, list(found.neighbours)) == (("B",), [])
    assert found.modalities.mean.shape == (3, 1)
    with pytest.raises(ConfigError, match=r'"C"'):
        explain_item(run, 1, {}, Wanted(("C",)), draws=2, seed=0)


def test_a_fusion_without_gates(tmp_path):
    catalog = make_catalog()
    fitted = FusionClassifier(**{**SETTINGS, "graph": "none", "fusion": "concat"}).fit(catalog)
    plain = Run(fitted, None, catalog, np.arange(len(catalog)))
    found = explain_item(plain, 0, {}, Wanted(), draws=2, seed=0)
    assert found.gates == {}
    assert "mean gate" not in str(found)
    assert load_run_encoders(fitted.save(tmp_path / "run")) == {}
