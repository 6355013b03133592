"""Fusion of a first modality with the others, each through a perceptron of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast, final

import torch
from torch import Tensor, nn

from bayesfuse.models.fusion.base import Fusion


@final
class MLPConcatFusion(Fusion):
    r"""Joins the first modality and a perceptron of each other one, side by side.

    .. math:: h = a_1 + \sum_{m > 1} U_m \text{ReLU}(a_m) = W \bigl[x_1; \text{MLP}_2(x_2); \ldots;
        \text{MLP}_n(x_n)\bigr] + b, \qquad a_m = W_m x_m + b_m

    as the linear layer W on the concatenation does: of two linear maps in a row, the perceptrons'
    last ones and W, one is kept.

    Attributes:
        fused: Modality to :math:`U_m`, a linear layer without bias; of all but the first.

    Example:
        >>> fusion = MLPConcatFusion({"text": 3, "year": 1}, hidden=4)
        >>> {name: tuple(layer.weight.shape) for name, layer in fusion.fused.items()}
        {'year': (4, 4)}

    Reference: Gu and Budhkar 2021 (Multimodal-Toolkit, MAI workshop), table 1, "MLP + Concat", with
    the text as the first modality. There what is concatenated is classified as it is; here it ends
    in `hidden` units as other rules do.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int) -> None:
        super().__init__(widths, hidden)
        self.fused = nn.ModuleDict(
            {name: nn.Linear(hidden, hidden, bias=False) for name in self.names[1:]}
        )

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Add up the first pre-activation and the perceptrons (see `Fusion.fuse`)."""
        total = activations[0]
        for name, activation in zip(self.names[1:], activations[1:], strict=True):
            total = total + cast(nn.Linear, self.fused[name])(torch.relu(activation))
        return total
