"""Graph attention, GAT's and GATv2's: the sparse operator that the layers are made of.

It needs nothing but torch, runs on CPUs and on CUDA, and is differentiable once. No tensor
`edges x features` is ever whole. Every tensor may begin with a dimension of draws, and
`torch.func.vmap` works over any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.graph.attention_function import Attention, Settings
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.batching import MEMORY_BUDGET
from bayesfuse.graph.edge_scores import EdgeScores
from bayesfuse.graph.segments import segment_softmax

NEGATIVE_SLOPE = 0.2

T = TypeVar("T", Tensor, Tensor | None)


def gat_attention(
    values: Tensor,
    source_score: Tensor,
    target_score: Tensor,
    graph: AttentionGraph,
    *,
    negative_slope: float = NEGATIVE_SLOPE,
    edge_bias: Tensor | None = None,
    dropout: float = 0.0,
    keep: Tensor | None = None,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    r"""Return what each node hears, by the attention of GAT.

    .. math:: \alpha_{ij} = \text{softmax}_j\, \text{LeakyReLU}(t_i + s_j + b_{ij}), \qquad
        o_i = \sum_j \alpha_{ij} v_j

    Args:
        values: v, `columns x heads x features`; rounded to float32 inside if it has half precision.
        source_score: s, how much a node is to be heard, `columns x heads`.
        target_score: t, `rows x heads`.
        graph: Who listens to whom.
        negative_slope: What LeakyReLU multiplies negative numbers by, in [0, 1].
        edge_bias: b, `edges x heads`, or None.
        dropout: Probability in [0, 1) of dropping the attention of an edge for a head; what is
            kept is divided by 1 - dropout.
        keep: Which attention is not dropped, boolean, `edges x heads`, in place of a draw.
        memory_budget: Bytes for what passes, over heads that run together; one runs in any case.

    Returns:
        o, `rows x heads x features`; 0 where a row has no edges. If any tensor begins with a
        dimension `draws`, then this does, too.

    Raises:
        FeatureError: If shapes or devices do not fit.
        ConfigError: If a number is out of range.

    Example:
        >>> graph = AttentionGraph([0, 2, 2, 3], [0, 2, 1])
        >>> values = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1)
        >>> scores = torch.zeros(3, 1)
        >>> gat_attention(values, scores, scores, graph).flatten().tolist()
        [2.0, 0.0, 2.0]

    Reference: Veličković et al. 2018 (arXiv:1710.10903), equations 1 to 4; we add the bias.
    """
    heads = _Heads(values, graph, negative_slope)
    return heads.hear(
        heads.take(source_score, "source_score", (graph.num_columns, heads.count)),
        heads.take(target_score, "target_score", (graph.num_rows, heads.count)),
        heads.take_bias(edge_bias),
        dropout,
        keep,
        memory_budget,
    )


def gatv2_attention(
    source: Tensor,
    target: Tensor,
    attention: Tensor,
    graph: AttentionGraph,
    *,
    negative_slope: float = NEGATIVE_SLOPE,
    edge_bias: Tensor | None = None,
    dropout: float = 0.0,
    keep: Tensor | None = None,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    r"""Return what each node hears, by the attention of GATv2.

    .. math:: \alpha_{ij} = \text{softmax}_j (a^\top \text{LeakyReLU}(t_i + s_j) + b_{ij}), \qquad
        o_i = \sum_j \alpha_{ij} s_j

    Args:
        source: s, `columns x heads x features`.
        target: t, `rows x heads x features`.
        attention: a, `heads x features`.
        graph: Who listens to whom.
        negative_slope: See `gat_attention`, as for all that follow.
        edge_bias: b, `edges x heads`, or None.
        dropout: Probability of dropping attention.
        keep: Which attention is not dropped.
        memory_budget: Bytes for what passes.

    Returns:
        o, `rows x heads x features`; see `gat_attention`.

    Raises:
        FeatureError: If shapes or devices do not fit.
        ConfigError: If a number is out of range.

    Reference: Brody et al. 2022 (arXiv:2105.14491), equation 7; we add the bias.
    """
    heads = _Heads(source, graph, negative_slope)
    scores = heads.edge_scores(target, attention)
    bias = heads.take_bias(edge_bias)
    scores = scores if bias is None else scores + bias
    return heads.hear(None, None, scores, dropout, keep, memory_budget)


def gat_weights(
    source_score: Tensor,
    target_score: Tensor,
    graph: AttentionGraph,
    *,
    negative_slope: float = NEGATIVE_SLOPE,
    edge_bias: Tensor | None = None,
) -> Tensor:
    """Return the attention itself, to explain an output.

    Args:
        source_score: `columns x heads`, or `draws x columns x heads`, as are the others.
        target_score: `rows x heads`.
        graph: Who listens to whom.
        negative_slope: See `gat_attention`.
        edge_bias: `edges x heads`, or None.

    Returns:
        α, `edges x heads` (`draws x edges x heads`), in [0, 1], with the sum 1 over each row.

    Raises:
        FeatureError: If shapes or devices do not fit.
    """
    heads = _Heads(source_score.unsqueeze(-1), graph, negative_slope)
    source = heads.values.squeeze(-1)
    target = heads.take(target_score, "target_score", (graph.num_rows, heads.count))
    source, target = heads.same_draws([source, target])
    bias = heads.take_bias(edge_bias)
    logits = source.index_select(2, graph.indices) + target.index_select(2, graph.rows)
    return heads.softmax(F.leaky_relu(logits if bias is None else logits + bias, negative_slope))


def gatv2_weights(
    source: Tensor,
    target: Tensor,
    attention: Tensor,
    graph: AttentionGraph,
    *,
    negative_slope: float = NEGATIVE_SLOPE,
    edge_bias: Tensor | None = None,
) -> Tensor:
    """Return the attention itself of GATv2; see `gatv2_attention` and `gat_weights`."""
    heads = _Heads(source, graph, negative_slope)
    scores = heads.edge_scores(target, attention)
    bias = heads.take_bias(edge_bias)
    return heads.softmax(scores if bias is None else scores + bias)


class _Heads:
    """The public tensors as the operator wants them: `draws x heads ...`, in full precision.

    Args:
        values: `[draws x] columns x heads x features`.
        graph: Who listens to whom.
        slope: The rectifier's.
    """

    def __init__(self, values: Tensor, graph: AttentionGraph, slope: float) -> None:
        if not 0 <= slope <= 1:
            raise ConfigError(f"negative_slope is {slope}; expected a number in [0, 1].")
        if values.dim() not in (3, 4) or values.shape[-3] != graph.num_columns:
            raise FeatureError(
                f"values have shape {tuple(values.shape)}; expected {graph.num_columns} nodes x "
                "heads x features, perhaps with draws before them."
            )
        self.graph, self.slope = graph, slope
        self.count, self.features = values.shape[-2:]
        self.dtype, self.device = values.dtype, values.device
        self.has_draws = values.dim() == 4
        shape = (graph.num_columns, self.count, self.features)
        self.values = self.take(values, "values", shape)

    def take(self, tensor: Tensor, name: str, shape: tuple[int, ...]) -> Tensor:
        """Return `[draws x] nodes x heads ...` as `draws x heads x nodes ...`, not in halves."""
        if tensor.shape[-len(shape) :] != shape or tensor.dim() > len(shape) + 1:
            expected = " x ".join(map(str, shape))
            raise FeatureError(
                f"{name} has shape {tuple(tensor.shape)}; expected {expected}, perhaps with draws "
                "before it."
            )
        if tensor.device != self.graph.device:
            raise FeatureError(
                f"{name} is on {tensor.device} and the graph on {self.graph.device}; expected one "
                "device. Move the graph with its method `to`."
            )
        draws = tensor.dim() > len(shape)
        self.has_draws |= draws
        if tensor.dtype is not torch.bool:
            tensor = tensor.to(torch.promote_types(self.dtype, torch.float32))
        return (tensor if draws else tensor.unsqueeze(0)).transpose(1, 2)

    def take_bias(self, bias: Tensor | None) -> Tensor | None:
        """Return the bias of edges, or None."""
        if bias is None:
            return None
        return self.take(bias, "edge_bias", (self.graph.num_edges, self.count))

    def edge_scores(self, target: Tensor, attention: Tensor) -> Tensor:
        """Return the scores of GATv2, `draws x heads x edges`."""
        shape = (self.count, self.features)
        right = self.take(target, "target", (self.graph.num_rows, *shape))
        vector = self.take(attention, "attention", shape).transpose(1, 2)
        tensors = self.same_draws([self.values, right, vector])
        found: Tensor = cast(Any, EdgeScores).apply(*tensors, self.graph, self.slope)
        return found

    def hear(
        self,
        source: Tensor | None,
        target: Tensor | None,
        bias: Tensor | None,
        dropout: float,
        keep: Tensor | None,
        memory_budget: int,
    ) -> Tensor:
        """Run the operator; a bias without scores is the logits themselves."""
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout is {dropout}; expected a probability in [0, 1).")
        inputs = [self.values, source, target, bias]
        if keep is not None:
            if keep.dtype is not torch.bool:
                raise FeatureError(f"keep is {keep.dtype}; expected torch.bool.")
            inputs.append(self.take(keep, "keep", (self.graph.num_edges, self.count)))
        elif dropout:
            draws = max(t.shape[0] for t in inputs if t is not None)
            shape = (draws, self.count, self.graph.num_edges)
            inputs.append(torch.rand(shape, device=self.device) >= dropout)
        else:
            inputs.append(None)
        slope = 1.0 if source is None else self.slope
        settings = Settings(self.graph, slope, 1 / (1 - dropout), memory_budget)
        out, _ = cast(Any, Attention).apply(*self.same_draws(inputs), settings)
        return self._public(out).to(self.dtype)

    def softmax(self, logits: Tensor) -> Tensor:
        """Return the softmax over rows of `draws x heads x edges`, as public tensors lie."""
        draws = logits.shape[0]
        flat = segment_softmax(logits.flatten(0, 1).t(), self.graph)
        return self._public(flat.t().reshape(draws, self.count, -1))

    def same_draws(self, tensors: Sequence[T]) -> list[T]:
        """Return tensors that all have as many draws; what has one draw is shared by all."""
        draws = max(t.shape[0] for t in tensors if t is not None)
        for tensor in tensors:
            if tensor is not None and tensor.shape[0] not in (1, draws):
                raise FeatureError(
                    f"Got tensors of {tensor.shape[0]} and of {draws} draws; expected one number."
                )
        return [t if t is None else t.expand(draws, *t.shape[1:]) for t in tensors]

    def _public(self, result: Tensor) -> Tensor:
        found = result.transpose(1, 2)
        return found if self.has_draws else found.squeeze(0)
