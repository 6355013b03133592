"""Losses for a network without a posterior: what a label's term may be beside its likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bayesfuse.errors import ConfigError, unknown_option

LOSSES = ("asymmetric", "bce", "focal")
GAMMA, MARGIN = 4.0, 0.05
"""Of the asymmetric loss: how it focuses where the label is not there, and its margin."""


@dataclass(frozen=True)
class Loss:
    r"""The term of an item and label with the target t, and the probability p of the label.

    .. math:: \text{bce} = -t \log p - (1 - t) \log(1 - p), \qquad
        \text{focal} = -\alpha\, t\, (1 - p)^\gamma \log p
        - (1 - \alpha)(1 - t)\, p^\gamma \log(1 - p)

    .. math:: \text{asymmetric} = -t \log p - (1 - t)\, q^4 \log(1 - q), \qquad
        q = \max(p - 0.05, 0)

    With label smoothing :math:`\epsilon` the target of a label y is
    :math:`t = y (1 - \epsilon) + (1 - y)\, \epsilon`. Only bce without smoothing is a likelihood,
    and has its least at the label's probability.

    Args:
        kind: A name in `LOSSES`.
        focal_alpha: :math:`\alpha`, in (0, 1).
        focal_gamma: :math:`\gamma`, >= 0.
        label_smoothing: :math:`\epsilon`, in [0, 0.5).

    Raises:
        ConfigError: If a name is unknown or a number out of range.

    Example:
        >>> Loss("focal")(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).tolist()
        [[0.043321698904037476, 0.12996509671211243]]

    Reference: Lin et al. 2017 (arXiv:1708.02002), eq. 5; Ridnik et al. 2021 (arXiv:2009.14119), eq.
    4-7, with their defaults; smoothing as in Supkhankulov 2025, whose focal loss has the one weight
    :math:`\alpha` for both, which changes no more than the learning rate does.
    """

    kind: str = "bce"
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in LOSSES:
            raise ConfigError(unknown_option("loss", self.kind, LOSSES))
        usable = 0 < self.focal_alpha < 1 and self.focal_gamma >= 0
        if not (usable and 0 <= self.label_smoothing < 0.5):
            raise ConfigError(
                f"Got focal_alpha={self.focal_alpha}, focal_gamma={self.focal_gamma}, "
                f"label_smoothing={self.label_smoothing}; expected 0 < alpha < 1, gamma >= 0 and "
                "0 <= smoothing < 0.5."
            )

    @property
    def is_likelihood(self) -> bool:
        """Whether it is the labels' own negative log likelihood."""
        return self.kind == "bce" and self.label_smoothing == 0

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the term of each item and label, in nats for bce, `items x labels`.

        Args:
            logits: `items x labels`.
            labels: 0 or 1, `items x labels`.
        """
        smoothing = self.label_smoothing
        target = labels * (1 - smoothing) + (1 - labels) * smoothing
        if self.kind == "bce":
            return F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        there, away = -F.logsigmoid(logits), -F.logsigmoid(-logits)
        if self.kind == "focal":
            there = self.focal_alpha * torch.sigmoid(-logits) ** self.focal_gamma * there
            away = (1 - self.focal_alpha) * torch.sigmoid(logits) ** self.focal_gamma * away
        else:
            q = (torch.sigmoid(logits) - MARGIN).clamp(min=0)
            away = -(q**GAMMA) * torch.log1p(-q)
        return target * there + (1 - target) * away
