"""Attention with one head, forwards and backwards, by the sparse products; no autograd here.

Several heads or draws that run together are one head over copies of the graph.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.products import sampled_product, sparse_product
from bayesfuse.graph.segments import segment_max, segment_sum, spread


class HeadInputs(NamedTuple):
    """What one head attends with.

    Attributes:
        values: v, `columns x features`.
        source: s, `columns`; None together with `target` for logits that are the bias alone.
        target: t, `rows`.
        bias: b, `edges`, or None.
        keep: k, boolean, `edges`: which attention is not dropped; None for all.
    """

    values: Tensor
    source: Tensor | None
    target: Tensor | None
    bias: Tensor | None
    keep: Tensor | None


class HeadGradients(NamedTuple):
    """Gradients by the first four of `HeadInputs`; None where not wanted."""

    values: Tensor | None
    source: Tensor | None
    target: Tensor | None
    bias: Tensor | None


def logits(graph: AttentionGraph, inputs: HeadInputs, slope: float) -> Tensor:
    """Return LeakyReLU(t_i + s_j + b_ij), `edges`, in memory of its own."""
    source, target, bias = inputs.source, inputs.target, inputs.bias
    if source is None or target is None:
        assert bias is not None, "logits are made of scores, of a bias, or of both"
        found = bias.clone()
    else:
        found = source.index_select(0, graph.kernel[1])
        found += spread(target, graph)
        if bias is not None:
            found += bias
    return found if slope == 1 else F.leaky_relu_(found, slope)


def attend(
    graph: AttentionGraph, inputs: HeadInputs, slope: float, keep_scale: float
) -> tuple[Tensor, Tensor]:
    """Run the head.

    Args:
        graph: Who listens to whom.
        inputs: What it attends with.
        slope: The rectifier's, in [0, 1].
        keep_scale: What attention is multiplied by that is not dropped, where some may be.

    Returns:
        o, `rows x features`, and the logarithm of the softmax's denominator, `rows`.
    """
    powers = logits(graph, inputs, slope)
    top = segment_max(powers, graph, empty=0.0)
    powers.sub_(spread(top, graph)).exp_()
    # a row with edges has the summand e^0, so this changes rows without alone
    total = segment_sum(powers, graph).clamp_(min=1.0)
    if inputs.keep is not None:
        powers.mul_(inputs.keep).mul_(keep_scale)
    out = sparse_product(graph, powers, inputs.values)
    out.div_(total[:, None])
    return out, top.add_(total.log_())


def attention_of(
    graph: AttentionGraph, inputs: HeadInputs, slope: float, log_sum: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the attention of each edge, before any is dropped, and its logit, both `edges`."""
    found = logits(graph, inputs, slope)
    return torch.exp_(found - spread(log_sum, graph)), found


def attend_back(
    graph: AttentionGraph,
    inputs: HeadInputs,
    slope: float,
    keep_scale: float,
    log_sum: Tensor,
    grad: Tensor,
    wanted: tuple[bool, ...],
) -> HeadGradients:
    """Return the gradients.

    Args:
        graph: Who listens to whom.
        inputs: What the head attended with.
        slope: The rectifier's.
        keep_scale: What attention is multiplied by that is not dropped, where some may be.
        log_sum: The second that `attend` returned.
        grad: Gradient of o, `rows x features`.
        wanted: Which of values, source, target and bias need theirs.
    """
    attention, logit = attention_of(graph, inputs, slope, log_sum)
    by_values = by_source = by_target = by_logit = None
    if wanted[0]:
        weights = attention
        if inputs.keep is not None:
            weights = (attention * inputs.keep).mul_(keep_scale)
        weights = weights.index_select(0, graph.order)
        by_values = sparse_product(graph.transposed, weights, grad)
    if any(wanted[1:]):
        by_logit = sampled_product(graph, grad, inputs.values)
        if inputs.keep is not None:
            by_logit.mul_(inputs.keep).mul_(keep_scale)
        by_logit.mul_(attention)
        by_logit.addcmul_(spread(segment_sum(by_logit, graph), graph), attention, value=-1)
        if slope != 1:
            by_logit = torch.ops.aten.leaky_relu_backward(by_logit, logit, slope, True)
        assert by_logit is not None
        if wanted[1]:
            by_source = by_logit.new_zeros(graph.num_columns)
            by_source.scatter_add_(0, graph.indices, by_logit)
        if wanted[2]:
            by_target = segment_sum(by_logit, graph)
    return HeadGradients(by_values, by_source, by_target, by_logit if wanted[3] else None)
