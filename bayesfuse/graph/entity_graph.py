"""The entity graph: items are joined when they share a name, such as a director.

It is made of names, or of pairs that are given; it is never shown a label, so that none of val or
test can reach a model through it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.errors import ConfigError, FeatureError, unknown_option
from bayesfuse.graph.building import CutGroup, cut_groups, cut_warning, join
from bayesfuse.graph.csr import (
    Adjacency,
    Int64,
    check_adjacency,
    check_self_loops,
    nodes_to_loop,
    with_loops,
)
from bayesfuse.graph.entity_index import EntityIndex, People
from bayesfuse.graph.pairs import Masks, merge_pairs


@dataclass(frozen=True, eq=False, repr=False)
class EntityGraph:
    """Who shares whom, over all relations together and by relation.

    Build one with `from_people`, `from_pairs`, or `bayesfuse.graph.edges_file.from_edges`.

    Attributes:
        num_nodes: The number of nodes, one an item.
        indptr: Where the neighbours of each node begin, `nodes + 1`, int64.
        indices: The nodes whose messages each node receives, sorted within a row and without
            duplicates, `edges`, int64. Undirected: a pair is there both ways, but for new items
            that the old ones do not hear (see `extended`).
        relation_names: The relations.
        relation_mask: The relations of each edge, `edges`, uint64: bit k is set where relation k
            joins the two. 0 for a self-loop.
        weights: A number for each edge, `edges`, float32; 1 for a self-loop. None where the graph
            has none.
        self_loops: Which nodes hear themselves: `isolated` (those with no neighbour, as in Seo et
            al., 2022, section 3.3), `all` or `none`.
        people: Who is named by which item, for new items and to explain an edge; None for a graph
            of given pairs.
        max_group: The most items that a name may join.
        warnings: What the user should know.

    Example:
        >>> people = {"director": [["Ana Díaz"], ["ana diaz"], ["Bo"]], "writer": [[], ["Bo"], []]}
        >>> graph = EntityGraph.from_people(people)
        >>> graph.neighbours(0).tolist(), graph.neighbours(2).tolist()
        ([1], [2])
        >>> graph.shared(0, 1)
        [('director', 'Ana Díaz')]
    """

    num_nodes: int
    indptr: Int64
    indices: Int64
    relation_names: tuple[str, ...]
    relation_mask: Masks
    weights: NDArray[np.float32] | None = None
    self_loops: str = "isolated"
    people: EntityIndex | None = None
    max_group: int | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_people(
        cls, people: People, *, max_group: int | None = None, self_loops: str = "isolated"
    ) -> EntityGraph:
        """Join items that share a name in the same relation.

        Names are compared by `bayesfuse.graph.names.fold_name`.

        Args:
            people: Relation -> names an item, such as `Catalog.people`.
            max_group: The most items that a name may join. A name in more items joins none of
                them (as a rule it says little), so that memory is bounded by `max_group` times the
                number of names of all items; `cut` and `warnings` say which.
            self_loops: `isolated`, `all` or `none`.

        Returns:
            The graph, one node an item, in the same order.

        Raises:
            ConfigError: If an option is out of range, there is no relation, or there would be too
                many edges.
            CatalogError: If the lists do not fit each other, or hold something else than names.
        """
        check_self_loops(self_loops)
        index = EntityIndex.from_people(people, max_group)
        graph, mask = join(index)
        made = cls(
            index.num_items,
            *graph,
            tuple(index.relations),
            mask,
            people=index,
            max_group=max_group,
        )
        if made.cut:
            assert max_group is not None, "nothing is cut without a limit"
            made = replace(made, warnings=(cut_warning(made.cut, max_group),))
        return made.with_self_loops(self_loops)

    @classmethod
    def from_pairs(
        cls,
        num_nodes: int,
        rows: Int64,
        neighbours: Int64,
        *,
        relation_names: tuple[str, ...] = ("edge",),
        masks: Masks | None = None,
        weights: NDArray[np.float32] | None = None,
        self_loops: str = "isolated",
        warnings: tuple[str, ...] = (),
    ) -> EntityGraph:
        """Make a graph of pairs as they are: sorted, merged, and no other direction added.

        Args:
            num_nodes: The number of nodes.
            rows: The node that hears, `pairs`.
            neighbours: The node that is heard, `pairs`; pairs of a node with itself are left out.
            relation_names: The relations.
            masks: The relations of each pair; the first, if not given.
            weights: A finite number for each pair; of pairs that are merged, the first counts.
            self_loops: `isolated`, `all` or `none`.
            warnings: What the user should know.

        Returns:
            The graph.

        Raises:
            ConfigError: If the choice of self-loops is unknown.
        """
        check_self_loops(self_loops)
        if masks is None:
            masks = np.ones(len(rows), dtype=np.uint64)
        others = rows != neighbours
        merged = merge_pairs(rows[others], neighbours[others], num_nodes)
        made = cls(
            num_nodes,
            *merged.graph,
            relation_names,
            merged.either(masks[others]),
            None if weights is None else merged.first(weights[others]),
            "none",
            warnings=warnings,
        )
        return made.with_self_loops(self_loops)

    def __repr__(self) -> str:
        """Return the size of the graph, and its relations."""
        relations = ", ".join(self.relation_names)
        nodes, edges = (
            f"{number:,} {what}{'' if number == 1 else 's'}"
            for number, what in ((self.num_nodes, "node"), (self.num_edges, "edge"))
        )
        return f"EntityGraph({nodes}, {edges} by {relations})"

    @property
    def adjacency(self) -> Adjacency:
        """Return the rows of all relations together."""
        return Adjacency(self.indptr, self.indices)

    @property
    def num_edges(self) -> int:
        """Return the number of joined pairs, each counted once, self-loops not."""
        return self.adjacency.num_pairs()

    @cached_property
    def is_symmetric(self) -> bool:
        """Return whether every edge is there both ways."""
        return self.adjacency.is_symmetric()

    @cached_property
    def cut(self) -> tuple[CutGroup, ...]:
        """Return the names that join nobody since too many items have them."""
        return cut_groups(self.people) if self.people is not None else ()

    def degrees(self) -> Int64:
        """Return the number of neighbours of each node, itself not counted, `nodes`."""
        return self.adjacency.degrees()

    def neighbours(self, node: int) -> Int64:
        """Return the nodes whose messages a node receives, itself if it has a self-loop."""
        return self.indices[self.indptr[node] : self.indptr[node + 1]]

    def edges_of(self, relation: str) -> NDArray[np.bool_]:
        """Return which edges a relation has, `edges`; no self-loop.

        Raises:
            ConfigError: If there is no relation of this name.
        """
        if relation not in self.relation_names:
            raise ConfigError(unknown_option("relation", relation, self.relation_names))
        bit = np.uint64(1 << self.relation_names.index(relation))
        return np.asarray((self.relation_mask & bit) != 0)

    def relation(self, name: str) -> Adjacency:
        """Return the rows of one relation, with self-loops by the graph's own rule.

        Raises:
            ConfigError: If there is no relation of this name.
        """
        graph = self.adjacency.keep(self.edges_of(name))
        return with_loops(graph, nodes_to_loop(graph, self.self_loops))[0]

    @cached_property
    def relations(self) -> Mapping[str, Adjacency]:
        """Return the rows of each relation, with self-loops by the graph's own rule."""
        return {name: self.relation(name) for name in self.relation_names}

    def relations_of(self, row: int, neighbour: int) -> tuple[str, ...]:
        """Return the relations by which a node hears another; none where it does not."""
        begin, end = self.indptr[row], self.indptr[row + 1]
        place = begin + np.searchsorted(self.indices[begin:end], neighbour)
        if place == end or self.indices[place] != neighbour:
            return ()
        mask = int(self.relation_mask[place])
        return tuple(name for bit, name in enumerate(self.relation_names) if mask >> bit & 1)

    def shared(self, first: int, second: int) -> list[tuple[str, str]]:
        """Return what joins two nodes: relations, and names as the first node writes them.

        In a graph of given pairs the names are empty, since nobody told them. Two new items may
        share names and yet not be joined, if `extended` was not asked to.
        """
        if self.people is not None:
            return self.people.shared(first, second)
        return [(relation, "") for relation in self.relations_of(first, second)]

    def with_self_loops(self, self_loops: str) -> EntityGraph:
        """Return the graph with other self-loops: `isolated`, `all` or `none`.

        Raises:
            ConfigError: If the choice is unknown.
        """
        check_self_loops(self_loops)
        others = ~self.adjacency.is_loop()
        bare = self.adjacency.keep(others)
        graph, old = with_loops(bare, nodes_to_loop(bare, self_loops))
        is_new = old < 0
        mask = np.append(self.relation_mask[others], np.uint64(0))[old]
        weights = None
        if self.weights is not None:
            weights = np.append(self.weights[others], np.float32(1))[old]
        assert not mask[is_new].any(), "a self-loop is of no relation"
        return replace(
            self,
            indptr=graph.indptr,
            indices=graph.indices,
            relation_mask=mask,
            weights=weights,
            self_loops=self_loops,
        )

    def extended(
        self, people: People, *, link_new: bool = False, update_old: bool = False
    ) -> EntityGraph:
        """Append new items, joined to the old by their names.

        Args:
            people: Relation -> names a new item; a relation that is missing has none.
            link_new: Whether new items are joined to each other. If not, what is said of one does
                not depend on which others came with it.
            update_old: Whether old nodes hear new ones too. If not, their rows stay as they are,
                and so does what is said of them.

        Returns:
            The graph, new nodes after the old ones.

        Raises:
            ConfigError: If the graph is of given pairs, or a relation is unknown.
            CatalogError: If the lists do not fit each other, or hold something else than names.
        """
        from bayesfuse.graph.extending import extend

        return extend(self, people, link_new=link_new, update_old=update_old)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and a JSON object that `from_state` makes the same graph of."""
        from bayesfuse.graph.storing import graph_state

        return graph_state(self)

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]
    ) -> EntityGraph:
        """Make the graph that `state` was called on.

        Raises:
            FeatureError: If something is missing or does not fit.
        """
        from bayesfuse.graph.storing import graph_of_state

        return graph_of_state(arrays, about)

    def check(self) -> None:
        """Raise a `FeatureError` if the parts do not fit each other."""
        graph = check_adjacency(self.indptr, self.indices)
        for name, array in (("relation mask", self.relation_mask), ("weights", self.weights)):
            if array is not None and array.shape != graph.indices.shape:
                raise FeatureError(
                    f"The graph's {name} has shape {array.shape}; expected one entry for each of "
                    f"its {len(graph.indices)} edges."
                )
        if graph.num_nodes != self.num_nodes:
            raise FeatureError(f"indptr is of {graph.num_nodes} nodes; expected {self.num_nodes}.")
        if self.relation_mask.size and int(self.relation_mask.max()) >> len(self.relation_names):
            raise FeatureError("The graph's relation mask has bits that are no relation.")
        if self.weights is not None and not np.isfinite(self.weights).all():
            raise FeatureError("The graph's weights hold NaN or infinity.")
