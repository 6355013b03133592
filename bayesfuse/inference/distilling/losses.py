r"""Losses between a teacher and a student.

With probabilities t and s of one label, softened by a temperature τ:

.. math:: t(\tau) = \sigma(\operatorname{logit} t / \tau), \qquad
    \tau^2\, \mathrm{KL}(t(\tau) \,\|\, s(\tau))

summed over labels, which are independent given the item. Of fused vectors f there are three
losses: a learned linear map of the student's is as the teacher's (FitNet); distances and angles
between the items of a batch are (RKD); the rows of their Gram matrix are (SP). The last two do not
mind vectors of different widths.

Reference: Hinton et al. 2015 (arXiv:1503.02531) and Jin et al. 2021, eq. 2 and 3; Romero et al.
2014 (arXiv:1412.6550); Park et al. 2019 (arXiv:1904.05068); Tung & Mori 2019 (arXiv:1907.09682).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

TINIEST = 1e-6
"""Probabilities are kept so far from 0 and 1 before a logit is taken."""

ANGLES = 2.0
"""What angles count for beside distances in RKD: 50 beside 25 in the paper."""


def soft_kl(teacher: Tensor, logits: Tensor, softness: float = 1.0) -> Tensor:
    """Return KL(t || s) of each item, summed over labels, in nats, times the softness squared.

    Args:
        teacher: Probabilities, `... x labels`.
        logits: The student's, `... x labels`.
        softness: The temperature τ, > 0.

    Example:
        >>> soft_kl(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.0, 0.0]]))
        tensor([0.])
    """
    # logits of half a million to one say nothing that a student could learn
    own = torch.logit(teacher, eps=TINIEST) / softness
    target, other = torch.sigmoid(own), logits / softness
    cross = F.binary_cross_entropy_with_logits(other, target, reduction="none")
    entropy = F.binary_cross_entropy_with_logits(own, target, reduction="none")
    return softness**2 * (cross - entropy).sum(-1)


def hint_loss(teacher: Tensor, mapped: Tensor) -> Tensor:
    """Return the mean squared distance of fused vectors, a feature (FitNet).

    Args:
        teacher: `items x width`.
        mapped: The student's, mapped to the same width.
    """
    return (teacher - mapped).square().mean()


def relation_loss(teacher: Tensor, student: Tensor) -> Tensor:
    """Return how far distances and angles between items differ (RKD), by Huber's loss.

    Args:
        teacher: Fused vectors, `items x width`, two items at least.
        student: `items x width`, of any width.
    """
    distances = F.smooth_l1_loss(_distances(student), _distances(teacher))
    return distances + ANGLES * F.smooth_l1_loss(_angles(student), _angles(teacher))


def similarity_loss(teacher: Tensor, student: Tensor) -> Tensor:
    """Return how far similarities between items differ (SP), a pair.

    Args:
        teacher: Fused vectors, `items x width`.
        student: `items x width`, of any width.
    """
    return (_similarities(teacher) - _similarities(student)).square().mean()


def _distances(vectors: Tensor) -> Tensor:
    """Return Euclidean distances over their mean, `items x items`."""
    squares = (vectors[:, None] - vectors).square().sum(-1)
    # the slope of a root is without bound at 0, where each item is to itself
    far = torch.where(squares > 0, squares, 1.0).sqrt() * (squares > 0)
    num = len(vectors)
    mean = far.sum() / max(1, num * (num - 1))
    return far / mean.clamp_min(torch.finfo(far.dtype).tiny)


def _angles(vectors: Tensor) -> Tensor:
    """Return the cosine of the angle at item j between i and k, `j x i x k`."""
    towards = F.normalize(vectors[None] - vectors[:, None], dim=-1)
    return towards @ towards.transpose(1, 2)


def _similarities(vectors: Tensor) -> Tensor:
    """Return the Gram matrix with rows of length 1, `items x items`."""
    return F.normalize(vectors @ vectors.T, dim=1)
