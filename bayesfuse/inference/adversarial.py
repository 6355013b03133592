"""Adversarial training: items moved a little to where the loss rises most are learned of, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Shift = Mapping[str, Tensor]
"""Modality to how far items are moved, `items x features`, in typical lengths of their features."""


def adversary(
    loss_of: Callable[[Shift], Tensor], inputs: Mapping[str, Tensor], epsilon: float
) -> tuple[Tensor, Tensor]:
    r"""Return a loss where items are, and where each has been moved against it.

    .. math:: x^{\text{adv}}_i = x_i + \varepsilon r_i\,
        \frac{g_i}{\lVert g_i \rVert_2}, \qquad g_i = \nabla_{x_i} L

    over the standardised features of all modalities of an item together, with the length r that
    items of its modalities typically have (see `Standardise.forward`). No gradient is taken of
    where an item is moved to. Weights that are random are drawn anew for the second loss.

    Args:
        loss_of: The loss of the items by how far they are moved, a scalar.
        inputs: Modality to features, of which the shapes are read, each `items x features`.
        epsilon: :math:`\varepsilon`, > 0: 0.1 moves an item by a tenth of that length.

    Returns:
        Both losses, with gradients.

    Reference: COIN (MAI workshop 2021), eq. 6 and the line above it, after Goodfellow et al. 2015
    (arXiv:1412.6572). There :math:`\varepsilon` is the whole length.
    """
    zero = {name: torch.zeros_like(x).requires_grad_() for name, x in inputs.items()}
    loss = loss_of(zero)
    gradients = torch.autograd.grad(loss, list(zero.values()), retain_graph=True, allow_unused=True)
    found = {
        name: torch.zeros_like(zero[name]) if gradient is None else gradient
        for name, gradient in zip(zero, gradients, strict=True)
    }
    length = torch.stack([g.flatten(1).square().sum(1) for g in found.values()]).sum(0).sqrt()
    # where the loss has no slope, no direction is worse than another
    scale = torch.where(length > 0, epsilon / length.clamp(min=torch.finfo(length.dtype).tiny), 0.0)
    return loss, loss_of({n: scale.view(-1, *[1] * (g.ndim - 1)) * g for n, g in found.items()})
