"""The loss of an autoencoder: every modality must be made again of the code of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from bayesfuse.models.auxiliary.base import AuxiliaryLoss, Seen, precise
from bayesfuse.models.auxiliary.decoder import Decoder


@final
class Reconstruction(AuxiliaryLoss):
    r"""Decodes each modality from a code of all, and counts what of it is not there.

    .. math:: L = w \sum_m \frac{\sum_{i \in I_m} \lVert g_m(c_i) - x_{im} \rVert^2}
        {\sum_{i \in I_m} \lVert x_{im} \rVert^2}

    over the items :math:`I_m` of the batch of which the modality was observed. Decoders that say
    nothing have 1 a modality, whatever its number of features and their norm.

    Args:
        widths: Modality to its number of features.
        code: Width of the code c.
        hidden: Widths of the layers between, of each decoder :math:`g_m`.
        weight: w.
        encode: From the fusion rule and features to the code, `items x code`.

    Reference: Zeng 2021 (MAI workshop), eq. 6 and 7, with equal weights as they found best. Their
    mean square error is of features in [0, 1]; here it is relative to what features are.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        code: int,
        hidden: Sequence[int],
        weight: float,
        encode: Callable[[Any, Sequence[Tensor]], Tensor],
    ) -> None:
        super().__init__()
        self.weight, self._encode = weight, encode
        self.decoder = nn.ModuleDict(
            {name: Decoder(code, hidden, width) for name, width in widths.items()}
        )

    def forward(self, seen: Seen) -> Tensor:
        """Return the weighted sum of the modalities' shares (see `AuxiliaryLoss`)."""
        code, terms = self._encode(seen.fusion, seen.values), []
        for column, decoder in enumerate(self.decoder.values()):
            target, here = precise(seen.values[column]), seen.observed[:, column, None]
            missed = torch.where(here, precise(decoder(code)) - target, 0.0).square().sum()
            there = torch.where(here, target, 0.0).square().sum()
            terms.append(missed / there.clamp(min=torch.finfo(there.dtype).tiny))
        return self.weight * torch.stack(terms).sum()
