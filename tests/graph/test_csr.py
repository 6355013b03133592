from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.graph.csr import (
    Adjacency,
    check_adjacency,
    edges_of_rows,
    kept_indptr,
    nodes_to_loop,
    transposed_order,
    with_loops,
)


def of_dense(dense: NDArray[np.bool_]) -> Adjacency:
    matrix = sparse.csr_array(dense)
    return Adjacency(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64))


def dense_of(graph: Adjacency) -> NDArray[np.bool_]:
    dense = np.zeros((graph.num_nodes, graph.num_nodes), dtype=np.bool_)
    dense[graph.rows(), graph.indices] = True
    return dense


@pytest.fixture
def dense() -> NDArray[np.bool_]:
    rng = np.random.default_rng(3)
    matrix = rng.random((12, 12)) < 0.2
    matrix |= matrix.T
    matrix[5] = matrix[:, 5] = False  # one that is alone
    return matrix


def test_rows_degrees_and_loops_are_those_of_the_matrix(dense: NDArray[np.bool_]) -> None:
    graph = of_dense(dense)
    assert (dense_of(graph) == dense).all()
    np.testing.assert_array_equal(graph.degrees(), (dense & ~np.eye(12, dtype=bool)).sum(axis=1))
    assert graph.is_loop().sum() == np.trace(dense)
    assert dense.trace() > 0


def test_symmetry_is_seen_and_its_lack_too(dense: NDArray[np.bool_]) -> None:
    assert of_dense(dense).is_symmetric()
    i, j = np.argwhere(np.triu(dense, 1))[0]
    dense[i, j] = False
    assert not of_dense(dense).is_symmetric()
    dense[:] = False
    dense[[0, 1, 2], [1, 2, 0]] = True  # a ring: every degree is the same both ways
    assert not of_dense(dense).is_symmetric()


def test_pairs_are_counted_once(dense: NDArray[np.bool_]) -> None:
    assert of_dense(dense).num_pairs() == np.triu(dense, 1).sum()
    one_way = np.triu(dense)
    one_way[9, 0] = one_way[0, 9]
    assert of_dense(one_way).num_pairs() == np.triu(dense, 1).sum()


def test_the_transposed_order_finds_the_reverse_of_every_edge(dense: NDArray[np.bool_]) -> None:
    graph = of_dense(dense)
    order = transposed_order(graph)
    np.testing.assert_array_equal(graph.rows()[order], graph.indices)
    np.testing.assert_array_equal(graph.indices[order], graph.rows())


def test_edges_of_rows_in_any_order(dense: NDArray[np.bool_]) -> None:
    graph = of_dense(dense)
    rows = np.array([7, 0, 5, 7])
    starts, edges = edges_of_rows(graph.indptr, rows)
    for i, row in enumerate(rows):
        neighbours = graph.indices[edges[starts[i] : starts[i + 1]]]
        np.testing.assert_array_equal(neighbours, np.flatnonzero(dense[row]))


def test_keeping_edges(dense: NDArray[np.bool_]) -> None:
    graph = of_dense(dense)
    mask = np.random.default_rng(0).random(len(graph.indices)) < 0.5
    kept = graph.keep(mask)
    expected = np.zeros_like(dense)
    expected[graph.rows()[mask], graph.indices[mask]] = True
    assert (dense_of(kept) == expected).all()
    np.testing.assert_array_equal(kept.indptr, kept_indptr(graph.indptr, mask))


@pytest.mark.parametrize(("choice", "looped"), [("none", 0), ("isolated", 2), ("all", 12)])
def test_self_loops_in_their_sorted_places(
    dense: NDArray[np.bool_], choice: str, looped: int
) -> None:
    bare = of_dense(dense & ~np.eye(12, dtype=bool))
    graph, old = with_loops(bare, nodes_to_loop(bare, choice))
    check_adjacency(*graph)
    assert graph.is_loop().sum() == looped
    np.testing.assert_array_equal(old[~graph.is_loop()], np.arange(len(bare.indices)))
    assert (old[graph.is_loop()] == -1).all()
    np.testing.assert_array_equal(graph.degrees(), bare.degrees())


def test_loops_that_are_there_are_not_added_again(dense: NDArray[np.bool_]) -> None:
    graph = of_dense(dense)
    again, _ = with_loops(graph, nodes_to_loop(graph, "all"))
    assert again.is_loop().sum() == 12
    check_adjacency(*again)


def test_an_unknown_choice_of_loops_is_named() -> None:
    with pytest.raises(ConfigError, match='Did you mean "isolated"'):
        nodes_to_loop(Adjacency(np.zeros(1, np.int64), np.zeros(0, np.int64)), "isolate")


@pytest.mark.parametrize(
    ("indptr", "indices", "message"),
    [
        ([0, 2, 1], [0], "indptr does not fit"),
        ([0, 1], [0, 0], "indptr does not fit"),
        ([1, 1], [0], "indptr does not fit"),
        ([], [], "indptr does not fit"),
        ([0, 1, 1], [2], "expected nodes from 0 to 1"),
        ([0, 1, 1], [-1], "expected nodes from 0 to 1"),
        ([0, 2, 2], [1, 0], "not sorted"),
        ([0, 2, 2], [1, 1], "twice"),
        ([0.0, 1.0], [0], "expected whole numbers"),
        ([[0, 1]], [0], "expected whole numbers"),
    ],
)
def test_arrays_that_are_no_rows_are_refused(
    indptr: list[int], indices: list[int], message: str
) -> None:
    with pytest.raises(FeatureError, match=message):
        check_adjacency(indptr, indices)


def test_a_row_may_begin_below_the_end_of_the_last() -> None:
    graph = check_adjacency(np.array([0, 1, 2], dtype=np.int32), [1, 0])
    assert graph.indices.dtype == np.int64
