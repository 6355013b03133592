"""Fusion by a weighted regression over what each modality says by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

from bayesfuse.models.fusion.base import Fusion


@final
class WeightedRegressionFusion(Fusion):
    r"""Joins the scores of modalities, each by itself, in a regression with a weight each.

    .. math:: s_m = \sigma(W_m x_m + b_m), \qquad h = \sum_m w_m \odot s_m

    A weight tells how much a modality contributes to a unit, the same for every item: attention to
    modalities that depends on nothing. The weights start at 1 / n.

    Attributes:
        gate: Modality to its weights, each `hidden`.

    Example:
        >>> fusion = WeightedRegressionFusion({"text": 3, "image": 2}, hidden=4)
        >>> fusion.gate["image"].tolist()
        [0.5, 0.5, 0.5, 0.5]

    Reference: Cascante-Bonilla et al. 2019 (Moviescope, arXiv:1908.03180), whose fusion is a
    "weighted regression" over the output scores of one model a modality; Rodríguez-Bribiesca et al.
    2021 name it Fast-MA. There the units are the labels and the models are trained beforehand; here
    they are `hidden` units that the classifier reads, trained with it.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int) -> None:
        super().__init__(widths, hidden)
        even = 1 / len(self.names)
        self.gate = nn.ParameterDict(
            [(name, nn.Parameter(torch.full((hidden,), even))) for name in self.names]
        )

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Sum the weighted scores (see `Fusion.fuse`)."""
        weighted = [
            self.gate[name] * torch.sigmoid(activation)
            for name, activation in zip(self.names, activations, strict=True)
        ]
        return torch.stack(weighted).sum(0)
