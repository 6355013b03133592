"""Fusion by attention and a code from which every modality can be made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast, final

import torch
from torch import Tensor, nn

from bayesfuse.models.auxiliary.base import AuxiliaryLoss
from bayesfuse.models.auxiliary.reconstruction import Reconstruction
from bayesfuse.models.fusion.base import Fusion

NARROWER = 8
"""How much narrower a modality's code is than its first layer, as 512 units and 64 are."""


@final
class AutoencoderFusion(Fusion):
    r"""Joins modalities by attention, with the code of an autoencoder of all of them beside it.

    .. math:: h = U [\alpha_1 v_1; \ldots; \alpha_n v_n; c] + d, \qquad v_m = \text{ReLU}(a_m),
        \qquad \alpha = \text{softmax}_m \tanh(\mu^\top v_m)

    .. math:: c = [f_1(x_1); \ldots; f_n(x_n)], \qquad
        f_m(x) = \text{ReLU}(E^2_m\, \text{ReLU}(E^1_m x + e^1_m) + e^2_m)

    with :math:`E^1_m x` of `hidden` units and :math:`f_m(x)` of an eighth of them. Its own loss is
    how badly decoders make every modality again of the code of all, c (see `Reconstruction`).

    Attributes:
        gate: `query`, the vector :math:`\mu`, `hidden`.
        fused: `encoder`, modality to the layers of its :math:`f_m`, and `output`, U.

    Example:
        >>> fusion = AutoencoderFusion({"text": 3, "image": 2}, hidden=16)
        >>> fusion.fused["output"].in_features  # twice 16 and twice 2
        36

    Reference: Zeng 2021 (MAI workshop), eq. 5-10, with its layers of 512-64-64-512 units at
    `hidden` = 512. There the vectors are convolutional networks', and a linear layer on them
    all gives the classes; here what it gives is the fused vector, which the classifier reads.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int) -> None:
        super().__init__(widths, hidden)
        bound, code = hidden**-0.5, max(1, hidden // NARROWER)
        query = nn.Parameter(torch.empty(hidden).uniform_(-bound, bound))
        self.gate = nn.ParameterDict([("query", query)])
        encoders = {
            name: nn.Sequential(
                nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, code), nn.ReLU()
            )
            for name, width in self.widths.items()
        }
        self.fused = nn.ModuleDict(
            {
                "encoder": nn.ModuleDict(encoders),
                "output": nn.Linear(len(self.names) * (hidden + code), hidden),
            }
        )

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Join what is attended to and the code (see `Fusion.fuse`)."""
        vectors = torch.relu(torch.stack(list(activations), dim=1))
        attention = torch.tanh(vectors @ self.gate["query"]).softmax(1)
        attended = (attention[:, :, None] * vectors).flatten(1)
        fused: Tensor = self.fused["output"](torch.cat([attended, self._code(values)], dim=1))
        return fused

    def own_loss(self, num_labels: int, weight: float) -> AuxiliaryLoss | None:
        """Return how badly modalities are made again (see `Fusion.own_loss`)."""
        code = len(self.names) * max(1, self.out_features // NARROWER)
        layers = (code // len(self.names), self.out_features)
        return Reconstruction(self.widths, code, layers, weight, AutoencoderFusion._code)

    def _code(self, values: Sequence[Tensor]) -> Tensor:
        """Return the code of all modalities, `items x code`."""
        encoders = cast(nn.ModuleDict, self.fused["encoder"])
        coded = zip(encoders.values(), values, strict=True)
        return torch.cat([encode(value) for encode, value in coded], dim=1)
