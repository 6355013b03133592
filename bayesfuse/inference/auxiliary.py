"""Asking a network for its auxiliary losses, while it is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bayesfuse.inference.class_weights import ClassWeights
from bayesfuse.inference.losses import Loss
from bayesfuse.models.auxiliary import Auxiliary


def request(
    network: nn.Module,
    labels: Tensor | None,
    loss: Loss | None = None,
    weights: ClassWeights | None = None,
) -> dict[str, Auxiliary]:
    """Return what to call a network with, by keyword, that it leaves its auxiliary losses there.

    Args:
        network: A network; it has such losses if it has a `ModuleDict` `auxiliary` that holds any.
        labels: 0 or 1, `items x labels`; None where none are known.
        loss: The loss of a label's term; its own likelihood if None.
        weights: What the terms count for; 1 each if None.

    Returns:
        `auxiliary`, or nothing for a network without such losses.

    Example:
        >>> from bayesfuse.models import FusionNetwork
        >>> network = FusionNetwork({"text": 3}, num_labels=2, fusion="centralnet", hidden=4)
        >>> asked = request(network, torch.ones(5, 2))
        >>> logits = network(
        ...     {"text": torch.zeros(5, 3)}, torch.ones(5, 1, dtype=torch.bool), **asked
        ... )
        >>> list(asked["auxiliary"].terms)
        ['own']
    """
    if not len(getattr(network, "auxiliary", ())):
        return {}
    scored = loss or Loss()

    def of_logits(logits: Tensor) -> Tensor:
        assert labels is not None
        return mean_term(scored, logits.float(), labels, weights)

    return {"auxiliary": Auxiliary(labels, of_logits)}


def mean_term(loss: Loss, logits: Tensor, labels: Tensor, weights: ClassWeights | None) -> Tensor:
    """Return the mean over items of an item's terms, each as its label counts, summed.

    Args:
        loss: The loss of a term.
        logits: `items x labels`.
        labels: 0 or 1, or shares in [0, 1], `items x labels`.
        weights: What a term counts for; 1 each if None.
    """
    if weights is None:
        return loss(logits, labels).sum(dim=1).mean()
    terms = loss(logits, weights.targets(labels)) * weights.of(labels)
    return terms.sum(dim=1).mean()


def total(asked: dict[str, Auxiliary], like: Tensor) -> Tensor:
    """Return the sum of the auxiliary losses that a network was asked for; 0 if it has none.

    Args:
        asked: What `request` returned, once the network was called with it.
        like: A tensor on the device and of the dtype of the sum.
    """
    terms = [auxiliary.total() for auxiliary in asked.values() if auxiliary.terms]
    return torch.stack(terms).sum() if terms else like.new_zeros(())
