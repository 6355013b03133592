"""The loss of each modality's own network, by a classifier of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from bayesfuse.models.auxiliary.base import AuxiliaryLoss, Seen


@final
class ModalityLosses(AuxiliaryLoss):
    r"""Scores what a linear classifier makes of each modality's own hidden vector.

    .. math:: L = \beta \sum_m \ell(C_m h_m + d_m, y)

    with the loss :math:`\ell` by which the whole network is trained. A modality's classifier reads
    the item's stand-in where it lacks the modality, and learns the base rates of such items.

    Args:
        names: The modalities.
        hidden: Width of a modality's hidden vector.
        num_labels: Number of labels.
        weight: :math:`\beta`.
        streams: From the fusion rule and pre-activations to the hidden vectors, one a modality.

    Reference: Vielzeuf et al. 2018 (CentralNet, arXiv:1808.07275), the multi-task loss of the
    central network and of one network a modality.
    """

    needs_labels: ClassVar[bool] = True

    def __init__(
        self,
        names: Sequence[str],
        hidden: int,
        num_labels: int,
        weight: float,
        streams: Callable[[Any, Sequence[Tensor]], Sequence[Tensor]],
    ) -> None:
        super().__init__()
        self.weight, self._streams = weight, streams
        self.classifier = nn.ModuleDict({name: nn.Linear(hidden, num_labels) for name in names})

    def forward(self, seen: Seen) -> Tensor:
        """Return the weighted sum of the modalities' losses (see `AuxiliaryLoss`)."""
        vectors = self._streams(seen.fusion, seen.activations)
        classified = zip(self.classifier.values(), vectors, strict=True)
        return self.weight * torch.stack([seen.of_logits(c(h)) for c, h in classified]).sum()
