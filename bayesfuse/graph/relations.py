"""One relation of a graph by itself: the rows that attention over relations hears one by one."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from bayesfuse.errors import FeatureError
from bayesfuse.graph.attention_graph import AttentionGraph


def relation_rows(
    graph: AttentionGraph, relation: int, *, loop_isolated: bool = True
) -> AttentionGraph:
    """Return the rows of one relation of a graph or of a block, made once and kept with it.

    An edge of several relations is in the rows of each. Self-loops are of no relation and stay in
    all of them.

    Args:
        graph: The graph, with its relation mask.
        relation: The relation's bit in the mask.
        loop_isolated: Whether a row that has no edge left hears itself, as an item does that has
            no neighbour in the whole graph.

    Returns:
        The graph of the same rows and columns; it knows no relations any more.

    Raises:
        FeatureError: If the relations are unknown.

    Example:
        >>> graph = AttentionGraph([0, 2, 3, 4], [1, 2, 0, 0], relation_mask=[1, 2, 1, 3])
        >>> first = relation_rows(graph, 0)
        >>> first.indptr.tolist(), first.indices.tolist()
        ([0, 1, 2, 3], [1, 0, 0])
        >>> relation_rows(graph, 1).indices.tolist()
        [2, 1, 0]
    """
    key = ("relation", relation, loop_isolated)
    if key not in graph.kept:
        graph.kept[key] = _rows(graph, relation, loop_isolated)
    found: AttentionGraph = graph.kept[key]
    return found


def has_relation(graph: AttentionGraph, relation: int) -> Tensor:
    """Return which rows have a neighbour in a relation, bool, `rows`; a self-loop is none.

    Raises:
        FeatureError: If the relations are unknown.

    Example:
        >>> graph = AttentionGraph([0, 2, 3, 4], [1, 2, 1, 0], relation_mask=[1, 2, 0, 1])
        >>> has_relation(graph, 0).tolist(), has_relation(graph, 1).tolist()
        ([True, False, True], [True, False, False])
    """
    key = ("has relation", relation)
    if key not in graph.kept:
        graph.kept[key] = _counts(graph, _of_relation(graph, relation)) > 0
    found: Tensor = graph.kept[key]
    return found


def num_heard(graph: AttentionGraph, relations: Collection[int]) -> Tensor:
    """Return how many nodes each row hears by any of some relations, itself if it has a self-loop.

    Raises:
        FeatureError: If the relations are unknown.

    Example:
        >>> graph = AttentionGraph([0, 2, 3, 4], [1, 2, 1, 0], relation_mask=[1, 2, 0, 3])
        >>> num_heard(graph, [1]).tolist()
        [1, 1, 1]
    """
    key = ("heard", tuple(relations))
    if key not in graph.kept:
        kept = graph.indices == graph.rows
        for relation in relations:
            kept = kept | _of_relation(graph, relation)
        graph.kept[key] = _counts(graph, kept)
    found: Tensor = graph.kept[key]
    return found


def _rows(graph: AttentionGraph, relation: int, loop_isolated: bool) -> AttentionGraph:
    kept = _of_relation(graph, relation)
    kept = kept | (graph.indices == graph.rows)
    edges = kept.nonzero().squeeze(1)
    rows, columns, features = graph.rows[edges], graph.indices[edges], graph.edge_features
    if features is not None:
        features = features[edges]
    counts = _counts(graph, kept)
    if loop_isolated:
        alone = (counts == 0).nonzero().squeeze(1)
        order = torch.argsort(torch.cat([rows, alone]), stable=True)
        columns = torch.cat([columns, alone])[order]
        counts = counts.clamp(min=1)
        if features is not None:
            features = torch.cat([features, features.new_zeros(len(alone), features.shape[1])])
            features = features[order]
    indptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return AttentionGraph(indptr, columns, graph.num_columns, edge_features=features, check=False)


def _of_relation(graph: AttentionGraph, relation: int) -> Tensor:
    """Return which edges a relation has, `edges`."""
    if graph.relation_mask is None:
        raise FeatureError(
            "The graph does not know the relations of its edges, and each relation is to be heard "
            "by itself; give an EntityGraph, or a relation mask."
        )
    return (graph.relation_mask >> relation & 1).bool()


def _counts(graph: AttentionGraph, kept: Tensor) -> Tensor:
    """Return how many of the edges that are kept each row has, `rows`."""
    before = torch.cat([graph.indptr.new_zeros(1), kept.cumsum(0)])
    return before[graph.indptr].diff()
