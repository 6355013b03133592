"""From a list of pairs, in any order and repeated or not, to sorted rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesfuse.graph.csr import Adjacency, Int64

Masks = NDArray[np.uint64]


class Merged(NamedTuple):
    """Pairs, sorted and merged.

    Attributes:
        graph: The rows.
        order: The positions of the given pairs, sorted by row, neighbour and position.
        starts: Where in `order` the pairs of each edge begin, `edges`.
    """

    graph: Adjacency
    order: Int64
    starts: Int64

    def either(self, masks: Masks) -> Masks:
        """Return the bits that any pair of an edge has, `edges`."""
        if not len(self.starts):
            return np.zeros(0, dtype=np.uint64)
        return np.bitwise_or.reduceat(masks[self.order], self.starts)

    def first(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the value of the first pair of each edge, `edges`."""
        return values[self.order[self.starts]]


def merge_pairs(rows: Int64, neighbours: Int64, num_nodes: int) -> Merged:
    """Sort pairs into rows; what is there twice becomes one edge.

    Args:
        rows: The node that hears, `pairs`.
        neighbours: The node that is heard, `pairs`.
        num_nodes: The number of nodes.

    Returns:
        The rows, and which pairs went into which edge.

    Example:
        >>> merged = merge_pairs(np.array([1, 0, 1]), np.array([0, 2, 0]), 3)
        >>> merged.graph.indptr.tolist(), merged.graph.indices.tolist()
        ([0, 1, 2, 2], [2, 0])
    """
    keys = rows * num_nodes + neighbours
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    unique = keys[starts]
    indptr = np.searchsorted(unique, np.arange(num_nodes + 1, dtype=np.int64) * num_nodes)
    return Merged(Adjacency(indptr.astype(np.int64), unique % max(num_nodes, 1)), order, starts)
