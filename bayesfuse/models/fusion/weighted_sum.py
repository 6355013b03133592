"""Fusion by a weighted sum of features: a first modality, and weighted ones added to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

from bayesfuse.models.fusion.base import Fusion


@final
class WeightedSumFusion(Fusion):
    r"""Adds the other modalities to the first, each unit with a weight of its own.

    .. math:: h = a_1 + \sum_{m > 1} w_m \odot a_m, \qquad a_m = W_m x_m + b_m

    The weights start at 1. Under a prior around 0, a modality that helps nothing is weighed down
    as a whole.

    Attributes:
        gate: Modality to its weights, each `hidden`; of all but the first.

    Example:
        >>> fusion = WeightedSumFusion({"text": 3, "year": 1}, hidden=4)
        >>> {name: tuple(weight.shape) for name, weight in fusion.gate.items()}
        {'year': (4,)}

    Reference: Gu and Budhkar 2021 (Multimodal-Toolkit, MAI workshop), table 1, "weighted sum", with
    the text as the first modality. There it enters as it is; here it has a layer as the others do,
    since a representation is `hidden` wide whatever comes first.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int) -> None:
        super().__init__(widths, hidden)
        self.gate = nn.ParameterDict(
            [(name, nn.Parameter(torch.ones(hidden))) for name in self.names[1:]]
        )

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Add up the weighted pre-activations (see `Fusion.fuse`)."""
        total = activations[0]
        for name, activation in zip(self.names[1:], activations[1:], strict=True):
            total = total + self.gate[name] * activation
        return total
