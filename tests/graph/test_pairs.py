from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bayesfuse.graph.csr import check_adjacency
from bayesfuse.graph.pairs import merge_pairs

NODES = st.integers(0, 6)


@given(st.lists(st.tuples(NODES, NODES, st.integers(1, 7)), max_size=40))
def test_pairs_are_sorted_and_their_bits_joined(pairs: list[tuple[int, int, int]]) -> None:
    rows, neighbours, bits = np.array(pairs, dtype=np.int64).reshape(-1, 3).T
    merged = merge_pairs(rows, neighbours, 7)
    check_adjacency(*merged.graph)
    expected: dict[tuple[int, int], int] = {}
    for row, neighbour, bit in pairs:
        expected[row, neighbour] = expected.get((row, neighbour), 0) | bit
    edges = zip(merged.graph.rows().tolist(), merged.graph.indices.tolist(), strict=True)
    found = dict(zip(edges, merged.either(bits.astype(np.uint64)).tolist(), strict=True))
    assert found == expected


def test_the_first_value_of_an_edge_counts() -> None:
    merged = merge_pairs(np.array([1, 0, 1]), np.array([0, 1, 0]), 2)
    values = merged.first(np.array([3, 4, 5], dtype=np.float32))
    assert values.tolist() == [4, 3]


def test_no_pairs_of_no_nodes() -> None:
    none = np.zeros(0, dtype=np.int64)
    merged = merge_pairs(none, none, 0)
    assert merged.graph.num_nodes == 0
    assert merged.either(none.astype(np.uint64)).shape == (0,)
