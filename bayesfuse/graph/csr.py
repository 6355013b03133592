"""Graphs in compressed sparse rows: row i lists the neighbours whose messages node i receives.

Every graph of this package is held so: `indptr` (nodes + 1) says where each row begins, `indices`
(edges) lists the neighbours, sorted and without duplicates. A pair of nodes that are joined both
ways is two entries. What an edge carries (a weight, its relations) is an array in the same order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from bayesfuse.errors import ConfigError, FeatureError, unknown_option

Int64 = NDArray[np.int64]

SELF_LOOPS = ("isolated", "all", "none")
"""Which nodes hear themselves: those with no neighbour (the paper's choice), all, or none."""


class Adjacency(NamedTuple):
    """Who hears whom.

    Attributes:
        indptr: Where each row begins, and where the last ends, `nodes + 1`, int64.
        indices: The neighbours, row after row, sorted within a row, `edges`, int64.
    """

    indptr: Int64
    indices: Int64

    @property
    def num_nodes(self) -> int:
        """Return the number of nodes."""
        return len(self.indptr) - 1

    def rows(self) -> Int64:
        """Return the row of every edge, `edges`."""
        return np.repeat(np.arange(self.num_nodes), np.diff(self.indptr))

    def is_loop(self) -> NDArray[np.bool_]:
        """Return which edges join a node to itself, `edges`."""
        return np.asarray(self.indices == self.rows())

    def degrees(self) -> Int64:
        """Return the number of neighbours of each node, itself not counted, `nodes`."""
        own = self.indices[self.is_loop()]
        return np.diff(self.indptr) - np.bincount(own, minlength=self.num_nodes)

    def num_pairs(self) -> int:
        """Return the number of joined pairs, each counted once, self-loops not."""
        rows = self.rows()
        low, high = np.minimum(rows, self.indices), np.maximum(rows, self.indices)
        others = low < high
        if self.is_symmetric():
            return int(others.sum()) // 2
        return len(np.unique(low[others] * self.num_nodes + high[others]))

    def is_symmetric(self) -> bool:
        """Return whether every edge is there both ways."""
        order = transposed_order(self)
        heard = np.bincount(self.indices, minlength=self.num_nodes)
        return np.array_equal(np.diff(self.indptr), heard) and np.array_equal(
            self.indices, self.rows()[order]
        )

    def keep(self, mask: NDArray[np.bool_]) -> Adjacency:
        """Return the graph of the edges that a mask keeps, in the same order."""
        return Adjacency(kept_indptr(self.indptr, mask), self.indices[mask])


def kept_indptr(indptr: Int64, mask: NDArray[np.bool_]) -> Int64:
    """Return where each row begins once only the edges of a mask are left.

    Example:
        >>> kept_indptr(np.array([0, 2, 2, 3]), np.array([True, False, True])).tolist()
        [0, 1, 1, 2]
    """
    before = np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])
    return np.asarray(before[indptr], dtype=np.int64)


def edges_of_rows(indptr: Int64, rows: Int64) -> tuple[Int64, Int64]:
    """Find the edges of some rows.

    Args:
        indptr: Where each row begins.
        rows: Which rows, in any order, repeated or not.

    Returns:
        Where each of the rows begins in what follows, `len(rows) + 1`, and the position of every
        edge of theirs.

    Example:
        >>> [part.tolist() for part in edges_of_rows(np.array([0, 2, 2, 5]), np.array([2, 0]))]
        [[0, 3, 5], [2, 3, 4, 0, 1]]
    """
    counts = indptr[rows + 1] - indptr[rows]
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    shift = np.repeat(indptr[rows] - starts[:-1], counts)
    return starts, np.arange(starts[-1], dtype=np.int64) + shift


def transposed_order(graph: Adjacency) -> Int64:
    """Return the positions of the edges in the order of the transposed graph.

    Where the graph is symmetric, entry e is the position of the reverse of edge e.
    """
    size = graph.num_nodes
    positions = np.arange(len(graph.indices), dtype=np.int64)
    matrix = sparse.csr_array((positions, graph.indices, graph.indptr), shape=(size, size))
    return np.asarray(matrix.tocsc().data, dtype=np.int64)


def loop_places(graph: Adjacency, nodes: Int64) -> Int64:
    """Return where in `indices` a self-loop of each node belongs, so that rows stay sorted.

    Args:
        graph: The graph; the nodes have no self-loop yet.
        nodes: Which nodes, in ascending order.
    """
    below = graph.rows()[graph.indices < graph.rows()]
    return graph.indptr[nodes] + np.bincount(below, minlength=graph.num_nodes)[nodes]


def nodes_to_loop(graph: Adjacency, self_loops: str) -> Int64:
    """Return the nodes that need a self-loop and have none, in ascending order.

    Args:
        graph: The graph.
        self_loops: One of `SELF_LOOPS`.

    Raises:
        ConfigError: If the choice is unknown.
    """
    check_self_loops(self_loops)
    if self_loops == "none":
        return np.zeros(0, dtype=np.int64)
    if self_loops == "isolated":
        return np.flatnonzero(np.diff(graph.indptr) == 0)
    looped = np.zeros(graph.num_nodes, dtype=np.bool_)
    looped[graph.indices[graph.is_loop()]] = True
    return np.flatnonzero(~looped)


def with_loops(graph: Adjacency, nodes: Int64) -> tuple[Adjacency, Int64]:
    """Give nodes a self-loop.

    Args:
        graph: The graph; the nodes have no self-loop yet.
        nodes: Which nodes, in ascending order.

    Returns:
        The graph, and for every edge its position in the old one, -1 for a new self-loop.
    """
    if not len(nodes):
        return graph, np.arange(len(graph.indices), dtype=np.int64)
    places = loop_places(graph, nodes)
    added = np.zeros(graph.num_nodes + 1, dtype=np.int64)
    added[nodes + 1] = 1
    old = np.insert(np.arange(len(graph.indices), dtype=np.int64), places, -1)
    indices = np.insert(graph.indices, places, nodes)
    return Adjacency(graph.indptr + np.cumsum(added), indices), old


def check_self_loops(self_loops: str) -> None:
    """Raise a `ConfigError` if this is none of `SELF_LOOPS`."""
    if self_loops not in SELF_LOOPS:
        raise ConfigError(unknown_option("choice of self-loops", self_loops, SELF_LOOPS))


def check_adjacency(indptr: ArrayLike, indices: ArrayLike, what: str = "graph") -> Adjacency:
    """Check arrays that come from elsewhere.

    Args:
        indptr: Where each row begins.
        indices: The neighbours.
        what: What they are called in the message.

    Returns:
        The same as int64.

    Raises:
        FeatureError: If they are no rows of sorted, unrepeated neighbours.
    """
    starts, ends = np.asarray(indptr), np.asarray(indices)
    for name, array in (("indptr", starts), ("indices", ends)):
        if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
            raise FeatureError(
                f"The {what}'s {name} is {array.dtype} of shape {array.shape}; expected whole "
                "numbers in one dimension."
            )
    starts, ends = starts.astype(np.int64), ends.astype(np.int64)
    graph = Adjacency(starts, ends)
    if not len(starts) or starts[0] != 0 or starts[-1] != len(ends) or (np.diff(starts) < 0).any():
        raise FeatureError(
            f"The {what}'s indptr does not fit its {len(ends)} edges; expected numbers from 0 to "
            f"{len(ends)} that never fall, one more than there are nodes."
        )
    if len(ends) and (ends.min() < 0 or ends.max() >= graph.num_nodes):
        raise FeatureError(
            f"The {what}'s indices go from {ends.min()} to {ends.max()}; expected nodes from 0 to "
            f"{graph.num_nodes - 1}."
        )
    rows = graph.rows()
    if ((np.diff(ends) <= 0) & (np.diff(rows) == 0)).any():
        raise FeatureError(f"The {what}'s rows are not sorted, or list a neighbour twice.")
    return graph
