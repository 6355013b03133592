"""Many attentions over one graph: how `torch.func.vmap` folds them, and how many run at once.

Inside the operator every tensor begins `draws x heads`. A batch that vmap adds becomes more draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from bayesfuse.graph.attention_graph import AttentionGraph

MEMORY_BUDGET = 256 * 2**20
"""Bytes that the heads which run at once may take for their passing needs."""

EDGES_AT_ONCE = 2**18
"""Edges (over all heads) that run at once on a CPU if the budget allows: enough that starting a
product costs nothing beside the product, and few enough to stay in the cache."""

EDGES_AT_ONCE_ELSEWHERE = 2**21
"""The same on other devices."""

Group = tuple[slice, slice]


def fold(batch_size: int, in_dims: Sequence[object], args: Sequence[object]) -> list[Tensor | None]:
    """Turn a batch of vmap's into draws.

    Args:
        batch_size: vmap's batch size.
        in_dims: Where the batch is in each argument; None where there is none.
        args: Tensors `[draws x heads ...]` with the batch somewhere, or None.

    Returns:
        Tensors `batch * draws x heads ...`.
    """
    folded: list[Tensor | None] = []
    for dim, value in zip(in_dims, args, strict=True):
        if not isinstance(value, Tensor):
            folded.append(None)
        elif isinstance(dim, int):
            folded.append(value.movedim(dim, 0).flatten(0, 1))
        else:
            folded.append(value.expand(batch_size, *value.shape).flatten(0, 1))
    return folded


def unfold(
    batch_size: int, results: Sequence[Tensor]
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """Turn draws into vmap's batch again: the results, and where their batch is."""
    return tuple(r.reshape(batch_size, r.shape[0] // batch_size, *r.shape[1:]) for r in results), (
        0,
    ) * len(results)


def groups(
    graph: AttentionGraph, draws: int, heads: int, features: int, itemsize: int, memory_budget: int
) -> Iterator[Group]:
    """Say which draws and heads run together as one product over copies of the graph.

    Args:
        graph: The graph.
        draws: Number of draws.
        heads: Number of heads of each.
        features: Features of a head.
        itemsize: Bytes of a number.
        memory_budget: Bytes that those which run together may take; one head runs in any case.

    Yields:
        A slice of draws and a slice of heads; several draws only with all of their heads.
    """
    nodes = graph.num_rows + graph.num_columns
    a_head = itemsize * (6 * graph.num_edges + 2 * nodes * features) + 1
    edges = EDGES_AT_ONCE if graph.device.type == "cpu" else EDGES_AT_ONCE_ELSEWHERE
    size = max(1, min(memory_budget // a_head, edges // max(1, graph.num_edges + nodes)))
    if size >= heads:
        for few in _even(draws, size // heads):
            yield few, slice(0, heads)
    else:
        for draw in range(draws):
            for some in _even(heads, size):
                yield slice(draw, draw + 1), some


def group_size(group: Group) -> int:
    """Return how many heads a group has over all its draws."""
    draws, heads = (part.stop - part.start for part in group)
    return int(draws * heads)


def _even(count: int, size: int) -> Iterator[slice]:
    """Cut into slices of at most `size`, none much smaller than another."""
    parts = -(-count // size)
    for part in range(parts):
        yield slice(count * part // parts, count * (part + 1) // parts)


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which products are not rounded to half precision by autocast."""
    if device.type not in ("cpu", "cuda"):  # others may not know autocast, and refuse its name
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
