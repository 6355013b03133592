"""Gates of items, chunk by chunk."""

from __future__ import annotations

import numpy as np
import pytest

from bayesfuse import FusionClassifier
from bayesfuse.estimator.gate_means import iter_gates
from tests.estimator.test_explanations import SETTINGS, make_catalog


@pytest.fixture(scope="module")
def fitted() -> FusionClassifier:
    return FusionClassifier(**SETTINGS).fit(make_catalog())


def test_gates_are_the_same_whatever_the_chunks(fitted):
    items = fitted.link(make_catalog()).features
    (whole,) = iter_gates(fitted, items, 4, 0)
    parts = list(iter_gates(fitted, items, 4, 0, items_at_once=7))
    assert len(parts) > 1
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)
    assert whole.shape == (4, len(items), 3)  # text, image, graph
    assert ((whole > 0) & (whole < 1)).all()
    assert whole.std(axis=0).max() > 0  # draws differ
    (other,) = iter_gates(fitted, items, 4, 1)
    assert not np.array_equal(other, whole)


def test_a_fusion_without_gates_has_none():
    plain = FusionClassifier(**{**SETTINGS, "graph": "none", "fusion": "concat"})
    assert list(iter_gates(plain.fit(make_catalog()), make_catalog().features, 2, 0)) == []
