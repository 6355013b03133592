r"""How much each view of an item counts in modality-specific distillation.

A view is an item as it is, or with one of its modalities alone. With the teacher's probabilities
t(x) of the item, :math:`t(x^m)` of modality m alone, and :math:`t(x^{-m})` of all but m:

============ =====================================================================================
name         weights
============ =====================================================================================
population   1 for the item, one constant for each modality
importance   1 for the item, tanh KL(t(x) ‖ t(x^{-m})) for each modality (eq. 6)
correctness  as 1 / cross entropy of the view's probabilities and the labels, of sum 1 (eq. 7)
learned      a perceptron of all the teacher's probabilities (eq. 8), which learns on other items
             what helps the student there (`bayesfuse.inference.distilling.meta`)
============ =====================================================================================

An item without a modality has no view of it: its weight is 0.

Reference: Jin et al. 2021, *Modality-specific distillation*, sec. 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bayesfuse.inference.distilling.losses import TINIEST, soft_kl


def population_weights(views: Tensor, weight: float) -> Tensor:
    """Return the same weights for all items.

    Args:
        views: Boolean, `views x items`: which there are; the first is the item as it is.
        weight: That of each modality alone.

    Returns:
        `views x items`.
    """
    found = torch.full(views.shape, weight, device=views.device)
    found[0] = 1
    return found * views


def importance_weights(views: Tensor, whole: Tensor, without: Tensor) -> Tensor:
    """Return weights by what the teacher would say without each modality.

    Args:
        views: See `population_weights`.
        whole: The teacher's probabilities, `items x labels`.
        without: Those without each modality, `modalities x items x labels`.

    Returns:
        `views x items`.
    """
    importance = torch.tanh(soft_kl(whole.expand_as(without), torch.logit(without, eps=TINIEST)))
    return torch.cat([torch.ones_like(importance[:1]), importance]) * views


def correctness_weights(views: Tensor, teacher: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Return weights by how right the teacher is; all alike for an item without labels.

    Args:
        views: See `population_weights`.
        teacher: Its probabilities of each view, `views x items x labels`.
        labels: `items x labels`, 0 or 1.
        known: Boolean, `items`: whose labels are known.

    Returns:
        `views x items`, of sum 1 over views.
    """
    target = labels.expand_as(teacher)
    p = teacher.clamp(TINIEST, 1 - TINIEST)
    wrong = F.binary_cross_entropy(p, target, reduction="none").sum(-1)
    right = torch.where(known, 1 / wrong.clamp_min(TINIEST), 1.0) * views
    return right / right.sum(0)


class ViewWeigher(nn.Module):
    """The weights as a perceptron of the teacher's probabilities, in (0, 1) (eq. 8).

    Args:
        num_views: Views of an item.
        num_labels: Labels.
        hidden: Units of its one hidden layer.
    """

    def __init__(self, num_views: int, num_labels: int, hidden: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(num_views * num_labels, hidden), nn.ReLU(), nn.Linear(hidden, num_views)
        )

    def forward(self, views: Tensor, teacher: Tensor) -> Tensor:
        """Return weights, `views x items`.

        Args:
            views: See `population_weights`.
            teacher: See `correctness_weights`.
        """
        told = (teacher * views[..., None]).movedim(0, 1).flatten(1)
        found: Tensor = torch.sigmoid(self.layers(told)).T * views
        return found
