"""The scores of GATv2, which need features at every edge: a chunk of edges at a time."""

from __future__ import annotations

from itertools import product
from typing import Any, NoReturn, cast

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.batching import fold, full_precision, unfold
from bayesfuse.graph.products import edge_chunks


class EdgeScores(Function):
    r"""The score of each edge of GATv2.

    .. math:: e_{ij} = \sum_f a_f \text{LeakyReLU}(t_{if} + s_{jf})

    Every tensor begins `draws x heads`: source s `columns x features`, target t `rows x features`,
    attention vector a `features`. Results: e, `edges`. What is inside the sum is worked out again
    in the backward pass, so that no tensor `edges x features` is ever whole.

    Reference: Brody et al. 2022 (arXiv:2105.14491), equation 7.
    """

    @staticmethod
    def forward(
        source: Tensor, target: Tensor, attention: Tensor, graph: AttentionGraph, slope: float
    ) -> Tensor:
        """Return the scores."""
        draws, heads, _, features = source.shape
        out = source.new_empty(draws, graph.num_edges, heads).transpose(1, 2)
        with full_precision(source.device):
            for head in product(range(draws), range(heads)):
                left, right = source[head].contiguous(), target[head].contiguous()
                for part in edge_chunks(graph, features):
                    inside = F.leaky_relu_(_sums(graph, part, left, right), slope)
                    out[head][part] = torch.mv(inside, attention[head])
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the inputs."""
        *tensors, ctx.graph, ctx.slope = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of source, target and attention vector."""
        found = cast(Any, EdgeScoresBackward).apply(grad, *ctx.saved_tensors, ctx.graph, ctx.slope)
        return *found, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        """Run a batch as more draws."""
        *tensors, graph, slope = args
        out = cast(Any, EdgeScores).apply(
            *fold(info.batch_size, in_dims[:-2], tensors), graph, slope
        )
        (result,), (dim,) = unfold(info.batch_size, [out])
        return result, dim


class EdgeScoresBackward(Function):
    """The backward pass of `EdgeScores`; a function of its own so that vmap can batch it, too."""

    @staticmethod
    def forward(
        grad: Tensor,
        source: Tensor,
        target: Tensor,
        attention: Tensor,
        graph: AttentionGraph,
        slope: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of source, target and attention vector."""
        draws, heads, columns, features = source.shape
        by_source = source.new_zeros(draws, columns, heads, features).transpose(1, 2)
        by_target = source.new_zeros(draws, graph.num_rows, heads, features).transpose(1, 2)
        by_attention = torch.zeros_like(attention)
        with full_precision(source.device):
            for head in product(range(draws), range(heads)):
                left, right = source[head].contiguous(), target[head].contiguous()
                to_left, to_right = torch.zeros_like(left), torch.zeros_like(right)
                weight = grad[head].contiguous()
                for part in edge_chunks(graph, features):
                    inside = _sums(graph, part, left, right)
                    # grad times the rectifier's slope, without the attention vector as yet
                    flow = torch.ops.aten.leaky_relu_backward(
                        weight[part, None].expand_as(inside), inside, slope, False
                    )
                    by_attention[head] += inside.mul_(flow).sum(0)
                    _scatter(to_left, graph.indices[part], flow)
                    _scatter(to_right, graph.rows[part], flow)
                torch.mul(to_left, attention[head], out=by_source[head])
                torch.mul(to_right, attention[head], out=by_target[head])
        return by_source, by_target, by_attention

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep nothing: there is no second derivative."""

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> NoReturn:
        """Refuse a second derivative."""
        raise NotImplementedError("Graph attention has no second derivative.")

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        """Run a batch as more draws."""
        *tensors, graph, slope = args
        found = cast(Any, EdgeScoresBackward).apply(
            *fold(info.batch_size, in_dims[:-2], tensors), graph, slope
        )
        return unfold(info.batch_size, found)


def _sums(graph: AttentionGraph, part: slice, left: Tensor, right: Tensor) -> Tensor:
    """Return t_i + s_j at a chunk of edges, `edges x features`."""
    found = left.index_select(0, graph.kernel[1][part])
    found += right.index_select(0, graph.kernel_rows[part])
    return found


def _scatter(total: Tensor, index: Tensor, added: Tensor) -> None:
    """Add rows to the rows of `total` that `index` names."""
    # with an expanded index this is several times as fast on CPUs as `index_add_`
    total.scatter_add_(0, index[:, None].expand_as(added), added)
