"""Fusion by attention: a first modality attends to itself and to the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bayesfuse.models.fusion.base import Fusion

SLOPE = 0.2
"""Slope of the LeakyReLU below 0, as in graph attention."""


@final
class AttentionFusion(Fusion):
    r"""Joins modalities by how much the first attends to each, itself included.

    .. math:: h = \sum_m \alpha_m a_m, \qquad a_m = W_m x_m + b_m, \qquad
        \alpha_m = \frac{\exp \text{LeakyReLU}(u^\top a_1 + v^\top a_m)}
        {\sum_k \exp \text{LeakyReLU}(u^\top a_1 + v^\top a_k)}

    Each :math:`\alpha` is one number an item and modality, and they sum to 1. One that was not
    observed is attended to as its stand-in asks for.

    Attributes:
        gate: `query`, the vector u, and `key`, the vector v, each `hidden`.

    Example:
        >>> fusion = AttentionFusion({"text": 3, "year": 1}, hidden=4)
        >>> inputs = {"text": torch.zeros(5, 3), "year": torch.zeros(5, 1)}
        >>> fusion(inputs, torch.ones(5, 2, dtype=torch.bool)).shape
        torch.Size([5, 4])

    Reference: Gu and Budhkar 2021 (Multimodal-Toolkit, MAI workshop), table 1, "attention", with
    the text as the first modality and :math:`a = [u, v]`, after Veličković et al. 2018 (GAT),
    eq. 3; the slope of 0.2 is that of both.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int) -> None:
        super().__init__(widths, hidden)
        bound = hidden**-0.5
        self.gate = nn.ParameterDict(
            [
                (name, nn.Parameter(torch.empty(hidden).uniform_(-bound, bound)))
                for name in ("query", "key")
            ]
        )

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Sum the pre-activations by attention (see `Fusion.fuse`)."""
        layers = torch.stack(list(activations), dim=1)
        asked = layers[:, :1] @ self.gate["query"]
        attention = F.leaky_relu(asked + layers @ self.gate["key"], SLOPE).softmax(1)
        return (attention[:, :, None] * layers).sum(1)
