"""Mini-batches of a graph that does not fit: sampled neighbours, layer by layer.

For a network of K layers a batch needs the features of its items' neighbours, of their neighbours,
and so on. A block holds what one layer needs: rows for the nodes it computes, with neighbours that
are numbered within the block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.graph.csr import Adjacency, Int64, edges_of_rows


@dataclass(frozen=True, eq=False)
class Block:
    """One layer of a batch: a bipartite graph from the nodes it reads to those it computes.

    Attributes:
        nodes: The nodes whose values the layer reads, `nodes`; the computed ones come first.
        num_targets: How many of them it computes.
        indptr: Where the row of each computed node begins, `targets + 1`, int64.
        indices: The neighbours, as places in `nodes`, sorted within a row, `edges`, int64.
        edges: The position of every edge in the whole graph, for weights and relations, `edges`.
    """

    nodes: Int64
    num_targets: int
    indptr: Int64
    indices: Int64
    edges: Int64

    @property
    def targets(self) -> Int64:
        """Return the nodes that the layer computes, `targets`."""
        return self.nodes[: self.num_targets]


class NeighbourSampler:
    """Samples neighbours without replacement, a number of them a layer.

    Where a node has no more neighbours than asked for, it keeps all of them, so that with a large
    fan-out the blocks are the exact neighbourhood. A self-loop is always kept, and counts.

    Args:
        graph: The graph.
        fan_out: The most neighbours of a node in each layer, the first layer (which reads the
            features) first; None for all.
        seed: Of the first call of `sample` on; `sample` takes another.

    Raises:
        ConfigError: If a fan-out is less than 1, or there is none.

    Reference:
        Hamilton et al. (2017), algorithm 2. Theirs draws with replacement where a node has too
        few neighbours; ours takes those that there are.

    Example:
        >>> graph = Adjacency(np.array([0, 2, 3, 4]), np.array([1, 2, 0, 0]))
        >>> (block,) = NeighbourSampler(graph, [None], seed=0).sample([1])
        >>> block.nodes.tolist(), block.indptr.tolist(), block.indices.tolist()
        ([1, 0], [0, 1], [1])
    """

    def __init__(self, graph: Adjacency, fan_out: Sequence[int | None], seed: int = 0) -> None:
        if not fan_out or any(number is not None and number < 1 for number in fan_out):
            raise ConfigError(
                f"The fan-out is {list(fan_out)}; expected for each layer a number of at least 1, "
                "or none for all neighbours."
            )
        self.graph = graph
        self.fan_out = tuple(fan_out)
        self.rng = np.random.default_rng(seed)
        self._place = np.full(graph.num_nodes, -1, dtype=np.int64)  # -1 again after every use

    def sample(self, nodes: ArrayLike | Iterable[int], seed: int | None = None) -> list[Block]:
        """Return a block a layer, the first layer first.

        Args:
            nodes: The nodes whose outputs are wanted, each once.
            seed: A seed of this batch alone; if not given, draws go on from the last batch's.

        Returns:
            The blocks. The targets of one are the nodes of the next; those of the last are the
            wanted nodes, in the order given.

        Raises:
            FeatureError: If a node is out of range, or comes twice.
        """
        rng = self.rng if seed is None else np.random.default_rng(seed)
        targets = self._checked(nodes)
        blocks: list[Block] = []
        for fan_out in reversed(self.fan_out):
            block = self._block(targets, fan_out, rng)
            blocks.append(block)
            targets = block.nodes
        return blocks[::-1]

    def _block(self, targets: Int64, fan_out: int | None, rng: np.random.Generator) -> Block:
        indptr, edges = edges_of_rows(self.graph.indptr, targets)
        if fan_out is not None:
            indptr, edges = self._fewer(targets, indptr, edges, fan_out, rng)
        neighbours = self.graph.indices[edges]
        self._place[targets] = np.arange(len(targets))
        others = np.unique(neighbours[self._place[neighbours] < 0])
        self._place[others] = np.arange(len(targets), len(targets) + len(others))
        indices = self._place[neighbours]
        nodes = np.concatenate([targets, others])
        self._place[nodes] = -1
        # The targets come first among the nodes, so a sorted row is sorted no longer.
        row = np.repeat(np.arange(len(targets)), np.diff(indptr))
        order = np.argsort(row * max(len(nodes), 1) + indices)
        return Block(nodes, len(targets), indptr, indices[order], edges[order])

    def _fewer(
        self,
        targets: Int64,
        indptr: Int64,
        edges: Int64,
        fan_out: int,
        rng: np.random.Generator,
    ) -> tuple[Int64, Int64]:
        """Keep `fan_out` edges of each row that has more: those of the smallest random keys."""
        degrees = np.diff(indptr)
        row = np.repeat(np.arange(len(targets)), degrees)
        crowded = degrees[row] > fan_out
        keys = rng.random(int(crowded.sum()))
        keys[self.graph.indices[edges[crowded]] == targets[row[crowded]]] = 0  # self-loops
        # One sort for row and key; the factor keeps a key from being rounded into the next row.
        order = np.argsort(row[crowded] + 0.999 * keys)
        many = degrees[degrees > fan_out]
        # In order, the rows lie one after the other; the first of each are kept.
        rank = np.arange(len(keys)) - np.repeat(np.cumsum(many) - many, many)
        kept = np.ones(len(edges), dtype=np.bool_)
        kept[np.flatnonzero(crowded)[order[rank >= fan_out]]] = False
        counts = np.minimum(degrees, fan_out)
        return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]), edges[kept]

    def _checked(self, nodes: ArrayLike | Iterable[int]) -> Int64:
        given: NDArray[np.int64] = np.asarray(
            nodes if isinstance(nodes, np.ndarray) else list(nodes),  # type: ignore[arg-type]
            dtype=np.int64,
        )
        outside = given[(given < 0) | (given >= self.graph.num_nodes)]
        if given.ndim != 1 or len(outside):
            raise FeatureError(
                f"The nodes to sample for are {given.shape} and {len(outside)} of them out of "
                f"range; expected numbers from 0 to {self.graph.num_nodes - 1} in one dimension."
            )
        if len(np.unique(given)) != len(given):
            raise FeatureError("A node to sample for comes twice; expected each once.")
        return given
