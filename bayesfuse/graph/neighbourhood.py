"""The part of a graph around one node: who is near, and what joins them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from bayesfuse.errors import ConfigError
from bayesfuse.graph.csr import Int64, edges_of_rows
from bayesfuse.graph.entity_graph import EntityGraph

MAX_HOPS = 2


@dataclass(frozen=True)
class SharedEdge:
    """Two nodes that are joined.

    Attributes:
        first: Place of one in `Neighbourhood.nodes`, the lower.
        second: Place of the other.
        shared: What joins them: relations, and names as the first writes them (empty in a graph
            of given pairs).
    """

    first: int
    second: int
    shared: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Neighbourhood:
    """A node, those around it, and the edges between them.

    Attributes:
        nodes: The nodes, the one in the centre first, then the nearer and more closely joined.
        hops: How many edges each is from the centre.
        edges: All edges between the nodes, self-loops left out.
        num_left_out: How many nodes within reach are left out.
        relation_names: The relations of the graph.
    """

    nodes: tuple[int, ...]
    hops: tuple[int, ...]
    edges: tuple[SharedEdge, ...]
    num_left_out: int
    relation_names: tuple[str, ...]


def ego(graph: EntityGraph, node: int, *, hops: int = 1, max_nodes: int = 40) -> Neighbourhood:
    """Return the neighbourhood of a node.

    Where there are too many nodes, the nearer are kept; among those of one distance the ones that
    share most names with the centre (or, two hops away, are joined to most of the kept nodes),
    then those that come first in the catalogue.

    Args:
        graph: The graph.
        node: The node in the centre.
        hops: 1 for its neighbours; 2 for theirs too.
        max_nodes: The most nodes, the centre included.

    Returns:
        The neighbourhood.

    Raises:
        ConfigError: If an option is out of range.

    Example:
        >>> graph = EntityGraph.from_people({"director": [["A"], ["A", "B"], ["B"], ["C"]]})
        >>> around = ego(graph, 0, hops=2)
        >>> around.nodes, around.hops
        ((0, 1, 2), (0, 1, 2))
        >>> around.edges[0].shared
        (('director', 'A'),)
    """
    if not 0 <= node < graph.num_nodes:
        raise ConfigError(f"node is {node}; expected a number from 0 to {graph.num_nodes - 1}.")
    if not 1 <= hops <= MAX_HOPS:
        raise ConfigError(f"hops is {hops}; expected 1 or {MAX_HOPS}.")
    if max_nodes < 2:
        raise ConfigError(f"max_nodes is {max_nodes}; expected 2 or more.")
    near = graph.neighbours(node)
    near = near[near != node]
    ranked = sorted(near.tolist(), key=lambda other: (-len(graph.shared(node, other)), other))
    kept, distance = [node, *ranked[: max_nodes - 1]], [0] + [1] * min(len(ranked), max_nodes - 1)
    num_reached = 1 + len(ranked)
    if hops > 1:
        # All that can be reached are counted, but only the kept ones' neighbours can be kept.
        first = np.append(near, node)
        num_reached = 1 + len(np.setdiff1d(_heard_by(graph, first), node))
        joined = Counter(_heard_by(graph, np.array(kept[1:], dtype=np.int64), False).tolist())
        further = sorted(
            (other for other in joined if other != node and other not in set(ranked)),
            key=lambda other: (-joined[other], other),
        )[: max_nodes - len(kept)]
        kept += further
        distance += [2] * len(further)
    return Neighbourhood(
        tuple(kept),
        tuple(distance),
        _edges(graph, kept),
        num_reached - len(kept),
        graph.relation_names,
    )


def _heard_by(graph: EntityGraph, nodes: Int64, unique: bool = True) -> Int64:
    """Return whom some nodes hear, themselves if they have a self-loop."""
    _, edges = edges_of_rows(graph.indptr, nodes)
    heard = graph.indices[edges]
    return np.unique(heard) if unique else heard


def _edges(graph: EntityGraph, nodes: list[int]) -> tuple[SharedEdge, ...]:
    place = {node: i for i, node in enumerate(nodes)}
    pairs = set()
    for node in nodes:
        for other in graph.neighbours(node).tolist():
            if other in place and other != node:
                pairs.add((min(place[node], place[other]), max(place[node], place[other])))
    return tuple(
        SharedEdge(first, second, tuple(_shared(graph, nodes[first], nodes[second])))
        for first, second in sorted(pairs)
    )


def _shared(graph: EntityGraph, first: int, second: int) -> list[tuple[str, str]]:
    # An edge of new items, or of given pairs, may go one way only.
    return graph.shared(first, second) or graph.shared(second, first)
