"""Sums, maxima and softmax over the rows of a graph: over the edges that a row has.

Values are `edges` or `edges x heads`, row after row; all are differentiable by autograd.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bayesfuse.graph.attention_graph import AttentionGraph


def segment_sum(values: Tensor, graph: AttentionGraph) -> Tensor:
    """Return the sum of each row, 0 for a row without edges; always added in the same order."""
    return torch.segment_reduce(values, "sum", offsets=graph.indptr, axis=0, unsafe=True)


def segment_max(values: Tensor, graph: AttentionGraph, *, empty: float = -torch.inf) -> Tensor:
    """Return the largest value of each row.

    Args:
        values: `edges` or `edges x heads`.
        graph: The graph whose rows they are of.
        empty: What a row has that has no edges, or none above -inf.

    Returns:
        `rows` or `rows x heads`.
    """
    top = torch.segment_reduce(values, "max", offsets=graph.indptr, axis=0, unsafe=True)
    return top if empty == -torch.inf else top.masked_fill(top == -torch.inf, empty)


def spread(values: Tensor, graph: AttentionGraph) -> Tensor:
    """Return each row's value at each of its edges: `rows ...` to `edges ...`."""
    return values.index_select(0, graph.kernel_rows)


def segment_softmax(logits: Tensor, graph: AttentionGraph) -> Tensor:
    r"""Return the softmax over each row.

    .. math:: \alpha_{ij} = e^{l_{ij} - m_i} / \sum_k e^{l_{ik} - m_i}, \qquad
        m_i = \max_k l_{ik}

    Args:
        logits: `edges` or `edges x heads`; -inf for an edge that is not to count.
        graph: The graph whose rows they are of.

    Returns:
        Numbers in [0, 1] that sum to 1 over each row; 0 all over a row of -inf.

    Example:
        >>> graph = AttentionGraph([0, 2, 2, 3], [0, 2, 1])
        >>> segment_softmax(torch.tensor([5000.0, 5000.0, -7.0]), graph).tolist()
        [0.5, 0.5, 1.0]
    """
    top = segment_max(logits.detach(), graph, empty=0.0)
    powers = (logits - spread(top, graph)).exp()
    # a row that counts has the summand e^0, so at least 1 in all
    return powers / spread(segment_sum(powers, graph).clamp(min=1.0), graph)
