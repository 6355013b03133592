"""Attention over a graph with a backward pass by hand: what autograd and vmap see of it.

What is kept for the backward pass is a number a row (the logarithm of the softmax's denominator);
the attention itself is worked out again, so memory does not grow with edges x heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from torch import Tensor
from torch.autograd import Function

from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.batching import (
    MEMORY_BUDGET,
    Group,
    fold,
    full_precision,
    group_size,
    groups,
    unfold,
)
from bayesfuse.graph.one_head import HeadInputs, attend, attend_back


@dataclass(frozen=True)
class Settings:
    """What the operator needs beside tensors.

    Attributes:
        graph: Who listens to whom.
        slope: What the leaky rectifier multiplies negative logits by, in [0, 1]; 1 for no
            rectifier.
        keep_scale: What kept attention is multiplied by where some is dropped.
        memory_budget: Bytes that the heads which run at once may take.
    """

    graph: AttentionGraph
    slope: float = 0.2
    keep_scale: float = 1.0
    memory_budget: int = MEMORY_BUDGET

    def groups(self, values: Tensor) -> Iterator[Group]:
        """Yield which draws and heads of the values run together."""
        draws, heads, _, features = values.shape
        size = values.element_size()
        return groups(self.graph, draws, heads, features, size, self.memory_budget)


class Attention(Function):
    r"""The weighted sum of what each row listens to, with the softmax of leaky logits as weights.

    .. math:: l_{ij} = \text{LeakyReLU}(t_i + s_j + b_{ij}), \quad
        \alpha_{ij} = e^{l_{ij}} / \textstyle\sum_k e^{l_{ik}}, \quad
        o_i = \sum_j \alpha_{ij} k_{ij} v_j

    Every tensor begins `draws x heads`: values `columns x features`, source scores s `columns`,
    target scores t `rows`, bias b `edges`, keep k `edges` (boolean). Scores may be None together,
    bias and keep each. Results: o, `rows x features`, and the logarithm of the denominator, `rows`.

    With g the gradient of o, and d that of the weights:

    .. math:: d_{ij} = k_{ij} g_i \cdot v_j, \quad
        \partial l_{ij} = \alpha_{ij} (d_{ij} - \textstyle\sum_k \alpha_{ik} d_{ik}), \quad
        \partial v_j = \sum_i \alpha_{ij} k_{ij} g_i
    """

    @staticmethod
    def forward(
        values: Tensor,
        source: Tensor | None,
        target: Tensor | None,
        bias: Tensor | None,
        keep: Tensor | None,
        settings: Settings,
    ) -> tuple[Tensor, Tensor]:
        """Return the weighted sums and the logarithms of the denominators."""
        draws, heads, _, features = values.shape
        rows = settings.graph.num_rows
        inputs = (values, source, target, bias, keep)
        # in the order of the public result, so that joining the heads copies nothing
        out = values.new_empty(draws, rows, heads, features).transpose(1, 2)
        log_sum = values.new_empty(draws, heads, rows)
        with full_precision(values.device):
            for group in settings.groups(values):
                graph = settings.graph.copies(group_size(group))
                parts = attend(
                    graph, _flat_inputs(group, inputs), settings.slope, settings.keep_scale
                )
                for whole, part in zip((out, log_sum), parts, strict=True):
                    whole[group] = part.view(whole[group].shape)
        return out, log_sum

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Keep what the backward pass needs."""
        *tensors, settings = inputs
        ctx.settings = settings
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*tensors, output[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of values, scores and bias."""
        wanted = ctx.needs_input_grad[:4]
        found = cast(Any, AttentionBackward).apply(grad, *ctx.saved_tensors, ctx.settings, wanted)
        return *(g if want else None for g, want in zip(found, wanted, strict=True)), None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        """Run a batch as more draws."""
        *tensors, settings = args
        out = cast(Any, Attention).apply(*fold(info.batch_size, in_dims[:-1], tensors), settings)
        return unfold(info.batch_size, out)


class AttentionBackward(Function):
    """The backward pass of `Attention`; a function of its own so that vmap can batch it, too."""

    @staticmethod
    def forward(
        grad: Tensor,
        values: Tensor,
        source: Tensor | None,
        target: Tensor | None,
        bias: Tensor | None,
        keep: Tensor | None,
        log_sum: Tensor,
        settings: Settings,
        wanted: tuple[bool, ...],
    ) -> tuple[Tensor, ...]:
        """Return the gradients of values, source, target and bias; empty where not wanted."""
        draws, heads, columns, features = values.shape
        rows, edges = settings.graph.num_rows, settings.graph.num_edges
        inputs = (values, source, target, bias, keep)
        shapes = ((columns, heads, features), (columns, heads), (rows, heads), (edges, heads))
        grads = [  # in the order of the public tensors, so that nothing is copied on the way back
            values.new_empty(draws, *shape).transpose(1, 2) if want else values.new_empty(draws, 0)
            for shape, want in zip(shapes, wanted, strict=True)
        ]
        with full_precision(values.device):
            for group in settings.groups(values):
                parts = attend_back(
                    settings.graph.copies(group_size(group)),
                    _flat_inputs(group, inputs),
                    settings.slope,
                    settings.keep_scale,
                    _flat(group, log_sum),
                    _flat(group, grad),
                    wanted,
                )
                for whole, part in zip(grads, parts, strict=True):
                    if part is not None:
                        whole[group] = part.view(whole[group].shape)
        return tuple(grads)

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
        *tensors, settings, wanted = args
        grads = cast(Any, AttentionBackward).apply(
            *fold(info.batch_size, in_dims[:-2], tensors), settings, wanted
        )
        return unfold(info.batch_size, grads)


def _flat(group: Group, whole: Tensor) -> Tensor:
    """Return a group's part as that of one head: `draws x heads x nodes ...` to `nodes ...`."""
    return whole[group].flatten(0, 2).contiguous()


def _flat_inputs(group: Group, inputs: Sequence[Tensor | None]) -> HeadInputs:
    values, *others = inputs
    assert values is not None
    parts = (None if whole is None else _flat(group, whole) for whole in others)
    return HeadInputs(_flat(group, values), *parts)
