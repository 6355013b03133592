"""Fusion of a first modality with one perceptron over all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

from bayesfuse.models.fusion.base import Fusion


@final
class ConcatMLPFusion(Fusion):
    r"""Joins the first modality and a perceptron of all others together, side by side.

    .. math:: h = a_1 + U\, \text{ReLU}\Bigl(\sum_{m > 1} a_m\Bigr) = W \bigl[x_1;
        \text{MLP}([x_2; \ldots; x_n])\bigr] + b, \qquad a_m = W_m x_m + b_m

    so that units of the perceptron hear all others at once: `mlp-concat` has units for each, and of
    two modalities both are the same.

    Attributes:
        fused: `others`, the linear layer U without bias; empty of one modality.

    Example:
        >>> fusion = ConcatMLPFusion({"text": 3, "year": 1, "country": 5}, hidden=4)
        >>> tuple(fusion.fused["others"].weight.shape)
        (4, 4)

    Reference: Gu and Budhkar 2021 (Multimodal-Toolkit, MAI workshop), table 1, "Concat + MLP", with
    the text as the first modality. There what is concatenated is classified as it is; here it ends
    in `hidden` units as other rules do.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int) -> None:
        super().__init__(widths, hidden)
        self.fused = nn.ModuleDict()
        if len(self.names) > 1:
            self.fused["others"] = nn.Linear(hidden, hidden, bias=False)

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Add up the first pre-activation and the perceptron of the others (see `Fusion.fuse`)."""
        first, *others = activations
        if not others:
            return first
        fused: Tensor = first + self.fused["others"](torch.relu(torch.stack(others).sum(0)))
        return fused
