"""The refiner: every modality must be found again in the fused vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bayesfuse.models.auxiliary.base import AuxiliaryLoss, Seen, precise
from bayesfuse.models.auxiliary.decoder import Decoder


@final
class Refiner(AuxiliaryLoss):
    r"""Decodes each modality from the fused vector, and is the less the nearer it comes.

    .. math:: L = \frac1B \sum_i \sum_m \gamma_m\, \text{observed}_{im}
        \left[ 1 - \cos\bigl(D_m(h_i), x_{im}\bigr) \right]

    So units of the fused vector become responsible for one modality or another, around any fusion
    rule. Of linear fusion and decoders, a refiner that has learned all has
    :math:`\Gamma W A = I`: it has undone what the fusion and the modalities' own graph A do.

    Args:
        widths: Modality to its number of features.
        fused: Width of h.
        weights: Modality to its :math:`\gamma`; those that are left out are not decoded.
        hidden: Widths of the layers between of a decoder; one as wide as h if None.

    Example:
        >>> refiner = Refiner({"text": 3, "image": 2}, 8, {"text": 0.1, "image": 0.1})
        >>> [name for name, _ in refiner.decoder.named_children()]
        ['text', 'image']

    Reference: Sankaran et al. 2021 (ReFNet), eq. 2 and 3, theorem 4.1 for the linear case. Their
    decoder has one hidden layer whose width is not told; H is the identity here.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        fused: int,
        weights: Mapping[str, float],
        hidden: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        between = (fused,) if hidden is None else tuple(hidden)
        self.weights = {name: float(weights[name]) for name in widths if name in weights}
        self.decoder = nn.ModuleDict(
            {name: Decoder(fused, between, widths[name]) for name in self.weights}
        )

    def forward(self, seen: Seen) -> Tensor:
        """Return the weighted cosine distances of what is decoded (see `AuxiliaryLoss`)."""
        terms = []
        for column, name in enumerate(seen.fusion.names):
            if name in self.weights:
                here = seen.observed[:, column]
                decoded, target = self.decoder[name](seen.fused), seen.values[column]
                distance = 1 - F.cosine_similarity(precise(decoded), precise(target), dim=1)
                terms.append(self.weights[name] * torch.where(here, distance, 0.0).mean())
        return torch.stack(terms).sum()
