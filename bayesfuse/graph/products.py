"""The two products that attention is made of, and the chunked form where torch has no kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesfuse.graph.attention_graph import AttentionGraph

CHUNK = 2**20
"""Numbers of `edges x features` that a chunk holds on a CPU: what stays in its cache, and no fewer,
since all threads wait for each other at the end of each operation."""

CHUNK_ELSEWHERE = 2**24
"""The same on other devices, which want much at once."""


def sparse_product(graph: AttentionGraph, weights: Tensor, values: Tensor) -> Tensor:
    r"""Return the weighted sum of what each row listens to: sparse times dense.

    .. math:: o_i = \sum_j w_{ij} v_j

    Args:
        graph: The graph.
        weights: A number an edge, `edges`.
        values: `columns x features`, contiguous.

    Returns:
        `rows x features`; 0 where a row has no edges.
    """
    if not graph.num_edges:
        return values.new_zeros(graph.num_rows, values.shape[1])
    match graph.device.type:
        case "cpu":  # this kernel is in every build of torch; that of `@` only where MKL is
            found: Tensor = torch.sparse.mm(graph.matrix(weights), values, reduce="sum")
            return found
        case "cuda":
            return graph.matrix(weights) @ values
        case _:
            return chunked_sparse_product(graph, weights, values)


def sampled_product(graph: AttentionGraph, left: Tensor, right: Tensor) -> Tensor:
    r"""Return the inner product at each edge: dense times dense, sampled where the graph is.

    .. math:: p_{ij} = \sum_f l_{if} r_{jf}

    Args:
        graph: The graph.
        left: `rows x features`, contiguous.
        right: `columns x features`, contiguous.

    Returns:
        A number an edge, `edges`.
    """
    if not graph.num_edges:
        return left.new_zeros(0)
    if graph.device.type not in ("cpu", "cuda"):
        return chunked_sampled_product(graph, left, right)
    where = graph.matrix(left.new_zeros(graph.num_edges))
    found: Tensor = torch.sparse.sampled_addmm(where, left, right.t(), beta=0.0).values()
    return found


def chunked_sparse_product(graph: AttentionGraph, weights: Tensor, values: Tensor) -> Tensor:
    """Return what `sparse_product` does, by gathering a chunk of edges at a time."""
    out = values.new_zeros(graph.num_rows, values.shape[1])
    for part in edge_chunks(graph, values.shape[1]):
        messages = values.index_select(0, graph.indices[part]) * weights[part, None]
        out.index_add_(0, graph.rows[part], messages)
    return out


def chunked_sampled_product(graph: AttentionGraph, left: Tensor, right: Tensor) -> Tensor:
    """Return what `sampled_product` does, by gathering a chunk of edges at a time."""
    out = left.new_empty(graph.num_edges)
    for part in edge_chunks(graph, left.shape[1]):
        ends = right.index_select(0, graph.indices[part])
        out[part] = ends.mul_(left.index_select(0, graph.rows[part])).sum(-1)
    return out


def edge_chunks(graph: AttentionGraph, features: int) -> list[slice]:
    """Return slices of the edges, each of so few that `edges x features` of it is small."""
    room = CHUNK if graph.device.type == "cpu" else CHUNK_ELSEWHERE
    step = max(1, room // max(1, features))
    return [slice(start, start + step) for start in range(0, graph.num_edges, step)]
