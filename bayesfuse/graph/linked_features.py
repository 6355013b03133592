"""Features of items that hear others: a feature table, and the graph that its items are in."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from bayesfuse.data.blocks import Blocks
from bayesfuse.data.features import FeatureTable
from bayesfuse.data.rows import Rows, as_rows
from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.csr import Adjacency, Int64, edges_of_rows
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.pairs import Masks
from bayesfuse.graph.sampling import Block, NeighbourSampler
from bayesfuse.graph.thinning import DENSITIES, thin

SMALL = 2**26
"""Numbers: where all nodes together have fewer, they are no matter of memory a batch."""


@final
class LinkedFeatures(FeatureTable):
    r"""The features of items, and of the nodes that they hear.

    An item is a row of the graph: a node itself, as in training, or an item that came later, whose
    row lists nodes but which is heard by none. `take` changes the items and keeps the nodes. In
    all else this is the feature table of its items.

    Args:
        items: The features of the items.
        nodes: The features that nodes hear of each other, by modalities of `items`. Every node
            that is heard by another is among its rows; further rows of the graph are of nodes
            that none but themselves hear.
        graph: Who hears whom; of an `EntityGraph`, by which relations too.
        rows: The row of each item in the graph, `items`; the first ones, in order, if None.
        fan_out: The most neighbours of a node in each layer, the first layer first; None for all.
        seed: Of the choice of neighbours where there are more; the same for each batch.

    Attributes:
        nodes: See above.
        graph: See above; without relations.
        relation_names: The relations, in the order of their bits in the mask; none if unknown.
        relation_mask: The relations of each edge, `edges` (see `EntityGraph`), or None.
        rows: The row of each item in the graph.
        self_loops: Which nodes hear themselves (see `EntityGraph`); `isolated` of an `Adjacency`.

    Raises:
        FeatureError: If the parts do not fit each other.
        ConfigError: If a fan-out is less than 1, or there is none.

    Example:
        >>> table = FeatureTable.from_arrays({"image": [[1.0], [2.0], [3.0]]})
        >>> linked = LinkedFeatures(table, table, Adjacency(np.array([0, 1, 2, 3]), [2, 1, 0]))
        >>> blocks = linked.blocks([0])
        >>> blocks.inputs["image"].tolist(), blocks.graphs[0].indices.tolist()
        ([[3.0]], [1])
    """

    def __init__(
        self,
        items: FeatureTable,
        nodes: FeatureTable,
        graph: Adjacency | EntityGraph,
        rows: NDArray[np.int64] | None = None,
        *,
        fan_out: Sequence[int | None] = (None,),
        seed: int = 0,
    ) -> None:
        super().__init__(items._sources, items.observed)
        self.relation_names: tuple[str, ...] = ()
        self.relation_mask: Masks | None = None
        self.self_loops = "isolated"
        if isinstance(graph, EntityGraph):
            self.relation_names, self.relation_mask = graph.relation_names, graph.relation_mask
            self.self_loops = graph.self_loops
            graph = graph.adjacency
        graph = Adjacency(*(np.asarray(part, dtype=np.int64) for part in graph))
        self.nodes, self.graph = nodes, graph
        self.rows = np.arange(items.num_items) if rows is None else np.asarray(rows)
        self.fan_out = tuple(fan_out)
        self._check()
        self._seed: int | None = seed
        self._sampler = NeighbourSampler(graph, fan_out)
        self._thinning: _Thinning | None = None

    def blocks(self, rows: Rows) -> Blocks:
        """Return whom the items of these rows hear.

        Args:
            rows: Row numbers (repeats allowed), a bool mask over the items, or a slice.

        Returns:
            The features of the others, and a graph a layer; exact where no fan-out is set.

        Raises:
            IndexError: If a row is out of range.
        """
        return self.blocks_and_edges(rows)[0]

    def blocks_and_edges(self, rows: Rows) -> tuple[Blocks, Int64]:
        """Return the same, and where in `graph` the edges of the last layer are, `edges`.

        Args:
            rows: See `blocks`.
        """
        index = as_rows(rows, self.num_items)
        sampler, mask = self._sampler, self.relation_mask
        if self._thinning is not None:
            sampler, mask = self._thinning.sampler(len(index), self.num_items)
        wanted, place = np.unique(self.rows[index], return_inverse=True)
        sampled = sampler.sample(wanted, self._seed)
        values, observed = self.nodes.batch(sampled[0].nodes[len(wanted) :])
        graphs = [_with_repeats(block, place, len(wanted), mask) for block in sampled]
        blocks = Blocks(
            {name: torch.from_numpy(array) for name, array in values.items()},
            torch.from_numpy(observed),
            tuple(graph for graph, _ in graphs),
        )
        return blocks, graphs[-1][1]

    def thinned(self, share: float, seed: int, parts: int = 1) -> LinkedFeatures:
        """Return the table for training, in which items are seen with fewer neighbours.

        For every epoch (as many items as there are) neighbours are drawn anew: a node keeps none of
        them with probability `share / 2`, about 3 in 10 with the same, and else all.

        Args:
            share: The share of nodes that have their neighbours thinned, in [0, 1].
            seed: Of all that is drawn.
            parts: How many processes share the items out, each with a table of its own.

        Returns:
            A table over the same arrays, whose blocks differ from call to call.

        Raises:
            ConfigError: If the share is out of range.
        """
        if not 0 <= share <= 1:
            raise ConfigError(f"The share of thinned nodes is {share}; expected one from 0 to 1.")
        made = copy.copy(self)
        made._seed = None
        made._sampler = NeighbourSampler(self.graph, self.fan_out, seed)
        made._thinning = _Thinning(self, share, seed, parts) if share > 0 else None
        return made

    def generators(self) -> dict[str, np.random.Generator]:
        """Return what a table for training draws from, by name: which neighbours are seen."""
        found = {"neighbours": self._sampler.rng}
        return found if self._thinning is None else {**found, "thinning": self._thinning.rng}

    def heard_relations(self) -> dict[str, int]:
        """Return the relations in which an item has a neighbour: name to bit of the mask."""
        if self.relation_mask is None:
            return {}
        _, edges = edges_of_rows(self.graph.indptr, np.unique(self.rows))
        heard = int(np.bitwise_or.reduce(self.relation_mask[edges], initial=0))
        return {name: bit for bit, name in enumerate(self.relation_names) if heard >> bit & 1}

    @property
    def numbers_an_item(self) -> int:
        """How many numbers a batch holds an item, with what it hears if that is not little."""
        own, width = super().numbers_an_item, sum(self.nodes.widths.values())
        if self.nodes.num_items * width <= SMALL:
            return own
        heard = 1.0
        mean = len(self.graph.indices) / max(1, self.graph.num_nodes)
        for most in self.fan_out:
            heard *= mean if most is None else min(mean, most)
        return own + round(min(heard, self.nodes.num_items) * width)

    def _derived(self, table: FeatureTable, rows: NDArray[Any] | None = None) -> FeatureTable:
        made = copy.copy(self)
        FeatureTable.__init__(made, table._sources, table.observed)
        if rows is not None:
            made.rows = self.rows[rows]
        return made

    def _check(self) -> None:
        known = self.nodes.num_items
        others = self.graph.indices[~self.graph.is_loop()]
        strange = [name for name in self.nodes.names if name not in self]
        if strange or not self.nodes.names:
            raise FeatureError(
                f"Nodes hear {', '.join(self.nodes.names) or 'nothing'} of each other; expected "
                f"modalities of the items: {', '.join(self.names)}."
            )
        if len(self.rows) != self.num_items:
            raise FeatureError(
                f"Got rows of {len(self.rows)} items; expected {self.num_items}, one an item."
            )
        if len(self.rows) and not 0 <= self.rows.min() <= self.rows.max() < self.graph.num_nodes:
            raise FeatureError(
                f"Items have rows from {self.rows.min()} to {self.rows.max()}; the graph has "
                f"{self.graph.num_nodes}."
            )
        if len(others) and others.max() >= known:
            raise FeatureError(
                f"The graph has a node that hears node {others.max()}, but only {known} have "
                "features; give the features of all nodes that are heard."
            )


class _Thinning:
    """A graph that is thinned anew each time that all items have been read."""

    def __init__(self, table: LinkedFeatures, share: float, seed: int, parts: int) -> None:
        self._graph, self._fan_out = table.graph, table.fan_out
        self.self_loops = table.self_loops
        self._mask: Masks | None = None
        if table.relation_mask is not None:  # a self-loop that is new is of no relation
            self._mask = np.append(table.relation_mask, np.uint64(0))
        self._shares = (share / 2, share / 2, 1 - share)
        self.rng = np.random.default_rng(seed)
        self._left, self._parts = 0, parts
        self._sampler: tuple[NeighbourSampler, Masks | None] | None = None

    def sampler(self, num_read: int, num_items: int) -> tuple[NeighbourSampler, Masks | None]:
        """Return what samples for the next items, and the relations of its edges."""
        if self._sampler is None or self._left <= 0:
            fewer = thin(
                self._graph,
                self.rng,
                densities=DENSITIES,
                shares=self._shares,
                self_loops=self.self_loops,
            )
            seed = int(self.rng.integers(2**62))
            mask = None if self._mask is None else self._mask[fewer.edges]
            self._sampler = NeighbourSampler(fewer.graph, self._fan_out, seed), mask
            self._left = -(-num_items // self._parts)
        self._left -= num_read
        return self._sampler


def _with_repeats(
    block: Block, place: Int64, num_wanted: int, mask: Masks | None
) -> tuple[AttentionGraph, Int64]:
    """Return a block's graph with a row and a column for each item in place of each wanted node.

    And where its edges are in the whole graph.

    Items may be repeated: every one is a node of its own, which hears itself where it has a
    self-loop.
    """
    count = len(place)
    old_rows = np.concatenate([place, np.arange(num_wanted, block.num_targets)])
    first = np.empty(num_wanted, dtype=np.int64)
    first[place[::-1]] = np.arange(count)[::-1]
    num_others = len(block.nodes) - num_wanted
    columns = np.concatenate([first, np.arange(count, count + num_others)])
    indptr, edges = edges_of_rows(block.indptr, old_rows)
    rows = np.repeat(np.arange(len(old_rows)), np.diff(indptr))
    heard = block.indices[edges]
    indices = np.where(heard == old_rows[rows], rows, columns[heard])
    whole = block.edges[edges]
    relations = None if mask is None else mask[whole].view(np.int64)
    return AttentionGraph(indptr, indices, count + num_others, relations, check=False), whole
