"""A decoder: from a vector that stands for several modalities back to the features of one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import final

from torch import nn


@final
class Decoder(nn.Sequential):
    r"""A perceptron with ReLU between its layers.

    .. math:: D(h) = U_n \text{ReLU}(U_{n-1} \cdots \text{ReLU}(U_1 h + c_1) \cdots) + c_n

    Args:
        in_features: Width of h.
        hidden: Widths of the layers between; none for a linear decoder.
        out_features: Width of what is decoded.

    Example:
        >>> import torch
        >>> Decoder(8, (6,), 3)(torch.zeros(5, 8)).shape
        torch.Size([5, 3])
    """

    def __init__(self, in_features: int, hidden: Sequence[int], out_features: int) -> None:
        widths = [in_features, *hidden, out_features]
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(widths):
            layers += [nn.Linear(narrow, wide), nn.ReLU()]
        super().__init__(*layers[:-1])
