from __future__ import annotations

import itertools

import numpy as np
import pytest

from bayesfuse.report.layout import separate, spring_layout

# Two triangles that hang together by the first node.
EDGES = [(0, 1), (1, 2), (2, 0), (0, 3), (3, 4), (4, 0)]
HOPS = [0, 1, 1, 1, 1]


def test_the_first_is_in_the_middle_and_all_are_inside() -> None:
    places = spring_layout(EDGES, HOPS, 300, 200)
    assert places[0].tolist() == [150, 100]
    assert (places >= -1e-9).all()
    assert (places <= np.array([300, 200]) + 1e-9).all()
    assert places[:, 0].min() == pytest.approx(0) or places[:, 0].max() == pytest.approx(300)


def test_joined_nodes_are_nearer_than_others() -> None:
    places = spring_layout(EDGES, HOPS)
    distance = {
        frozenset(pair): float(np.linalg.norm(places[pair[0]] - places[pair[1]]))
        for pair in itertools.combinations(range(5), 2)
    }
    joined = [distance[frozenset(pair)] for pair in EDGES]
    others = [
        length
        for pair, length in distance.items()
        if tuple(sorted(pair)) not in {tuple(sorted(edge)) for edge in EDGES}
    ]
    assert max(joined) < min(others)


def test_the_same_graph_is_drawn_the_same() -> None:
    np.testing.assert_array_equal(spring_layout(EDGES, HOPS), spring_layout(EDGES, HOPS))


def test_one_node_and_nodes_without_edges() -> None:
    assert spring_layout([], [0], 10, 20).tolist() == [[5, 10]]
    places = spring_layout([], [0, 1, 1])
    assert np.isfinite(places).all()
    assert len(np.unique(places, axis=0)) == 3


def covered(places: np.ndarray, sizes: np.ndarray) -> int:  # type: ignore[type-arg]
    pairs = itertools.combinations(range(len(places)), 2)
    return sum(
        bool((np.abs(places[i] - places[j]) < 0.99 * (sizes[i] + sizes[j]) / 2).all())
        for i, j in pairs
    )


def test_boxes_are_pushed_apart_and_stay_inside() -> None:
    rng = np.random.default_rng(0)
    places = rng.random((40, 2)) * [1000, 700]
    places[5] = places[6]  # in one place
    sizes = np.stack([rng.uniform(40, 130, 40), np.full(40, 30.0)], axis=1)
    assert covered(places, sizes) > 5
    moved = separate(places, sizes, 1000, 700)
    assert covered(moved, sizes) == 0
    assert (moved >= sizes / 2 - 1e-9).all()
    assert (moved <= np.array([1000, 700]) - sizes / 2 + 1e-9).all()


def test_too_many_boxes_end_all_the_same() -> None:
    sizes = np.full((30, 2), 50.0)
    moved = separate(np.random.default_rng(1).random((30, 2)), sizes, 100, 100)
    assert np.isfinite(moved).all()
    assert (moved >= 25).all()
    assert (moved <= 75).all()


def test_a_box_that_is_wider_than_the_area_is_in_its_middle() -> None:
    assert separate(np.array([[1.0, 1.0]]), [[50, 2]], 20, 10).tolist() == [[10.0, 1.0]]
