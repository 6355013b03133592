"""Contrastive alignment: the modalities of one item near each other, those of two apart."""

from __future__ import annotations

from itertools import combinations
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from bayesfuse.models.auxiliary.base import AuxiliaryLoss, Seen, precise


@final
class Contrastive(AuxiliaryLoss):
    r"""Tells by one modality which item of the batch another modality is of, for every pair.

    .. math:: L = \frac{w}{|\text{pairs}|} \sum_{m < n} \frac{1}{2 |I|} \sum_{i \in I} \Bigl[
        -\log \frac{e^{S_{ii} / \tau}}{\sum_{j \in I} e^{S_{ij} / \tau}}
        -\log \frac{e^{S_{ii} / \tau}}{\sum_{j \in I} e^{S_{ji} / \tau}} \Bigr]

    with the cosine :math:`S_{ij}` of the pre-activations :math:`a_{im}` and :math:`a_{jn}` of the
    fusion, and I the items of the batch of which both modalities were observed. A pair that fewer
    than two items have counts for 0. No item's labels are read: two items of the same labels
    are apart, too.

    Args:
        weight: w.
        temperature: :math:`\tau`, > 0.

    Reference: van den Oord et al. 2018 (InfoNCE, arXiv:1807.03748), in both directions as Radford
    et al. 2021 (CLIP, arXiv:2103.00020) has it. The idea of aligning modalities so is that of
    Samformer (MAI workshop 2021), whose own loss tells true from exchanged pairs one at a time.
    """

    def __init__(self, weight: float, temperature: float = 0.1) -> None:
        super().__init__()
        self.weight, self.temperature = weight, temperature

    def forward(self, seen: Seen) -> Tensor:
        """Return the mean loss of all pairs of modalities (see `AuxiliaryLoss`)."""
        unit = [F.normalize(precise(activation), dim=1) for activation in seen.activations]
        pairs = list(combinations(range(len(unit)), 2))
        terms = []
        for one, other in pairs:
            both = seen.observed[:, one] & seen.observed[:, other]
            if int(both.sum()) > 1:
                terms.append(self._pair(unit[one][both], unit[other][both]))
        if not terms:
            return seen.fused.new_zeros(())
        return self.weight * torch.stack(terms).sum() / len(pairs)

    def _pair(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the loss of two modalities, unit vectors `items x hidden` of the same items."""
        with torch.autocast(one.device.type, enabled=False):
            scores = one @ other.T / self.temperature
        own = torch.arange(len(one), device=one.device)
        return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2
