from __future__ import annotations

import inspect
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bayesfuse.errors import FeatureError
from bayesfuse.graph import homophily as module
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.homophily import Homophily, homophily

People = dict[str, list[list[str]]]
LABELS = ("a", "b", "c")


@pytest.fixture(scope="module")
def graph(make_people: Callable[..., People]) -> EntityGraph:
    return EntityGraph.from_people(make_people(200, seed=6, num_names=120))


@pytest.fixture(scope="module")
def train() -> NDArray[np.bool_]:
    return np.random.default_rng(0).random(200) < 0.7


@pytest.fixture(scope="module")
def labels(train: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return labels that know nothing of the graph; some items have none."""
    rng = np.random.default_rng(1)
    return (rng.random((int(train.sum()), 3)) < [0.5, 0.2, 0.1]).astype(np.float32)


def union(found: Homophily) -> module.RelationHomophily:
    return found.relations[-1]


def plain_jaccard(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    one, two = set(np.flatnonzero(first)), set(np.flatnonzero(second))
    return len(one & two) / len(one | two) if one | two else 1.0


def test_the_numbers_are_the_plain_programs(
    graph: EntityGraph, train: NDArray[np.bool_], labels: NDArray[np.float32]
) -> None:
    found = homophily(graph, labels, train, LABELS, num_permutations=0)
    nodes = np.flatnonzero(train).tolist()
    for row in found.relations:
        adjacency = graph.adjacency if row.name == "union" else graph.relation(row.name)
        edges = set(zip(adjacency.rows().tolist(), adjacency.indices.tolist(), strict=True))
        pairs = [
            (i, j)
            for i, j in itertools.permutations(range(len(nodes)), 2)
            if (nodes[i], nodes[j]) in edges
        ]
        assert row.num_pairs == len(pairs) // 2 > 30
        mean = np.mean([plain_jaccard(labels[i], labels[j]) for i, j in pairs])
        assert row.jaccard == pytest.approx(mean)
        for c in range(3):
            heard = [labels[j, c] for i, j in pairs if labels[i, c]]
            assert row.shares[c] == pytest.approx(np.mean(heard))
        assert row.spread is None
    everyone = itertools.combinations(range(len(nodes)), 2)
    chance = np.mean([plain_jaccard(labels[i], labels[j]) for i, j in everyone])
    assert union(found).chance == pytest.approx(chance)
    count = labels.sum(axis=0)
    assert found.label_chances == pytest.approx((count - 1) / (len(nodes) - 1))


def test_labels_that_know_nothing_are_as_chance_has_it_and_planted_ones_are_not(
    graph: EntityGraph, train: NDArray[np.bool_], labels: NDArray[np.float32]
) -> None:
    row = union(homophily(graph, labels, train, LABELS))
    assert row.jaccard is not None
    assert row.chance is not None
    assert row.spread is not None
    assert abs(row.jaccard - row.chance) < 4 * row.spread
    # The control: one after the other, items take over the labels of their first neighbour.
    planted = labels.copy()
    place = np.cumsum(train) - 1
    for node in np.flatnonzero(train):
        heard = [j for j in graph.neighbours(int(node)) if train[j]]
        if heard:
            planted[place[node]] = planted[place[heard[0]]]
    row = union(homophily(graph, planted, train, LABELS))
    assert row.jaccard is not None
    assert row.chance is not None
    assert row.spread is not None
    assert row.jaccard - row.chance > 6 * row.spread


def test_permutations_are_on_average_the_expectation(
    graph: EntityGraph, train: NDArray[np.bool_], labels: NDArray[np.float32]
) -> None:
    rng = np.random.default_rng(2)
    dealt = [
        union(homophily(graph, labels[rng.permutation(len(labels))], train, LABELS))
        for _ in range(60)
    ]
    jaccards = np.array([row.jaccard for row in dealt], dtype=np.float64)
    chance, spread = dealt[0].chance, dealt[0].spread
    assert chance is not None
    assert spread is not None
    assert abs(jaccards.mean() - chance) < 4 * jaccards.std() / 60**0.5
    assert spread == pytest.approx(jaccards.std(), rel=0.4)


def test_many_label_sets_are_compared_by_a_sample(
    graph: EntityGraph,
    train: NDArray[np.bool_],
    labels: NDArray[np.float32],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact = union(homophily(graph, labels, train, LABELS))
    monkeypatch.setattr(module, "MAX_SETS", 2)
    monkeypatch.setattr(module, "_CHUNK", 100)
    sampled = union(homophily(graph, labels, train, LABELS))
    assert sampled.jaccard == pytest.approx(exact.jaccard)
    assert sampled.shares == pytest.approx(exact.shares)
    assert sampled.chance == pytest.approx(exact.chance, abs=0.005)
    assert sampled.chance != exact.chance


def test_labels_of_others_cannot_be_given(
    graph: EntityGraph, train: NDArray[np.bool_], labels: NDArray[np.float32]
) -> None:
    with pytest.raises(FeatureError, match="train items alone"):
        homophily(graph, np.zeros((200, 3)), train, LABELS)
    # Neither is anything else told of them.
    assert set(inspect.signature(homophily).parameters) == {
        *("graph", "labels", "train", "label_names", "num_permutations", "seed")
    }


def test_pairs_with_an_item_that_is_not_of_train_do_not_count() -> None:
    graph = EntityGraph.from_people({"director": [["A"], ["A"], ["A"], ["B"]]})
    train = np.array([True, True, False, True])
    labels = np.array([[1], [1], [0]])
    row = union(homophily(graph, labels, train, ["x"]))
    assert row.num_pairs == 1
    assert row.jaccard == 1.0


def test_without_pairs_there_is_nothing_to_say() -> None:
    graph = EntityGraph.from_people({"director": [["A"], ["B"]]})
    found = homophily(graph, [[1, 0]], [True, False], ["x", "y"])
    assert union(found).jaccard is None
    assert union(found).chance is None
    assert union(found).shares == (None, None)
    assert found.label_chances == (None, None)
    json.dumps(found.to_dict(), allow_nan=False)
    assert str(found).count("-") > 4


@pytest.mark.parametrize(
    ("train", "labels", "message"),
    [
        ([1, 0], [[1]], "expected bool"),
        ([True], [[1]], "expected bool of shape"),
        ([True, True], [[1], [2]], "something else than 0 and 1"),
        ([True, True], [[1], [float("nan")]], "something else than 0 and 1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    train: list[object], labels: list[list[float]], message: str
) -> None:
    graph = EntityGraph.from_people({"director": [["A"], ["B"]]})
    with pytest.raises(FeatureError, match=message):
        homophily(graph, labels, train, ["x"])


def test_the_seed_decides(
    graph: EntityGraph, train: NDArray[np.bool_], labels: NDArray[np.float32]
) -> None:
    first, again, other = (
        union(homophily(graph, labels, train, LABELS, seed=seed)).spread for seed in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.movies
def test_movies_of_one_crew_share_genres(movies_path: Path) -> None:
    from bayesfuse.data.catalog import Catalog

    catalog = Catalog.read(movies_path)
    train = np.zeros(len(catalog), dtype=np.bool_)
    train[catalog.labelled_rows("train")] = True
    graph = EntityGraph.from_people(catalog.people)
    found = homophily(graph, catalog.labels[train], train, catalog.label_names)
    row = union(found)
    assert row.num_pairs == 22_358
    assert row.jaccard == pytest.approx(0.288, abs=0.001)
    assert row.chance == pytest.approx(0.216, abs=0.001)
    assert row.spread is not None
    assert row.jaccard - row.chance > 10 * row.spread
    assert "Animation                   46.8%       2.5%" in str(found)
