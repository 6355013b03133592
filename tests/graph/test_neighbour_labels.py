"""Labels of neighbours as features: right, and never an item's own."""

from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.errors import FeatureError
from bayesfuse.graph.csr import Adjacency
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.neighbour_labels import SHRINKAGE, neighbour_label_rates


@pytest.fixture
def random() -> tuple[EntityGraph, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    people = {
        "director": [[f"d{rng.integers(12)}"] for _ in range(50)],
        "writer": [[f"w{rng.integers(40)}"] for _ in range(50)],
    }
    graph = EntityGraph.from_people(people, self_loops="all")
    return graph, (rng.random((50, 3)) < 0.4).astype(int), rng.random(50) < 0.6


def test_rates_are_those_of_a_loop(random):
    graph, labels, train = random
    rates, known = neighbour_label_rates(graph.adjacency, labels[train], train)
    base = labels[train].mean(axis=0)
    for node in range(50):
        told = [n for n in graph.neighbours(node).tolist() if train[n] and n != node]
        assert known[node] == bool(told)
        if told:
            expected = (labels[told].sum(axis=0) + SHRINKAGE * base) / (len(told) + SHRINKAGE)
            np.testing.assert_allclose(rates[node, :3], expected, rtol=1e-6)
            assert rates[node, 3] == pytest.approx(np.log1p(len(told)))
        else:
            assert not rates[node].any()
    assert 5 < known.sum() < 50


def test_an_items_own_labels_say_nothing_about_it(random):
    """Whatever an item's labels are, its features are the same, but for the rates of all items."""
    graph, labels, train = random
    before, _ = neighbour_label_rates(graph.adjacency, labels[train], train)
    for node in np.flatnonzero(train)[:10]:
        other = labels.copy()
        # exchanged with an item that is no neighbour, so that the rates of all stay as they are
        far = next(
            n
            for n in np.flatnonzero(train)
            if n not in graph.neighbours(node)
            and labels[n].tolist() != labels[node].tolist()
            and not set(graph.neighbours(n).tolist()) & set(graph.neighbours(node).tolist())
        )
        other[[node, far]] = labels[[far, node]]
        after, _ = neighbour_label_rates(graph.adjacency, other[train], train)
        assert np.array_equal(before[node], after[node])
        heard = [n for n in graph.neighbours(node).tolist() if n != node]
        assert not heard or not np.array_equal(before[heard], after[heard])


def test_new_items_are_told_and_tell_nothing():
    graph = EntityGraph.from_people({"director": [["A"], ["A"], ["B"]]})
    longer = graph.extended({"director": [["A"], ["C"]]})
    train = np.array([True, True, False])
    rates, known = neighbour_label_rates(longer.adjacency, [[1], [0]], train)
    assert known.tolist() == [True, True, False, True, False]
    assert rates[3, 0] == pytest.approx((1 + SHRINKAGE / 2) / (2 + SHRINKAGE))


@pytest.mark.parametrize(
    ("labels", "train", "message"),
    [
        ([[1], [0]], [1, 1, 0], r"train is int64 of shape \(3,\); expected bool"),
        ([[1]], [True, True, False], r"labels have shape \(1, 1\); expected \(2, labels\)"),
        ([[1], [2]], [True, True, False], r"something else than 0 and 1"),
        (np.zeros((0, 2)), [False] * 3, r"at least one"),
        ([[1]], [True, False, False, False], r"one for each of the 3 nodes"),
    ],
)
def test_what_does_not_fit_is_refused(labels, train, message):
    graph = Adjacency(np.array([0, 1, 2, 2]), np.array([1, 0]))
    with pytest.raises(FeatureError, match=message):
        neighbour_label_rates(graph, labels, train)
