"""Fusion by gated displacement: the others move a first modality, but never far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

from bayesfuse.models.fusion.base import Fusion

BETA = 0.2
"""How long, of the first modality's length, the move of the others may be."""


@final
class GatingFusion(Fusion):
    r"""Moves the first modality by a gated sum of the others, by at most a share of its length.

    .. math:: h = a_1 + \alpha\, d, \qquad d = \sum_{m > 1} g_m \odot a_m + b_d, \qquad
        g_m = \text{ReLU}(V_m [x_m, x_1] + c_m), \qquad
        \alpha = \min\Bigl(\beta \frac{\|a_1\|_2}{\|d\|_2}, 1\Bigr)

    with :math:`a_m = W_m x_m + b_m` and :math:`\beta = 0.2`. So the first modality leads: to an
    item that lacks it, the others say no more than what stands in for it is long. Gates read the
    features with 0 where a modality was not observed.

    Attributes:
        gate: Modality to the linear layer of its gate; of all but the first.
        fused: `bias`, the vector :math:`b_d`, `hidden`; empty of one modality.

    Example:
        >>> fusion = GatingFusion({"text": 3, "year": 1}, hidden=4)
        >>> tuple(fusion.gate["year"].weight.shape)
        (4, 4)

    Reference: Gu and Budhkar 2021 (Multimodal-Toolkit, MAI workshop), table 1, "gating", with the
    text as the first modality, after Rahman et al. 2020 (MAG-BERT, arXiv:1908.05787). There the
    text enters as it is; here it has a layer as the others do.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int) -> None:
        super().__init__(widths, hidden)
        first, *others = self.names
        self.gate = nn.ModuleDict(
            {name: nn.Linear(self.widths[name] + self.widths[first], hidden) for name in others}
        )
        self.fused = nn.ParameterDict()
        if others:
            self.fused["bias"] = nn.Parameter(torch.zeros(hidden))

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Move the first pre-activation by the gated others (see `Fusion.fuse`)."""
        first = activations[0]
        if len(self.names) == 1:
            return first
        move: Tensor = self.fused["bias"].expand_as(first)
        for name, value, activation in zip(
            self.names[1:], values[1:], activations[1:], strict=True
        ):
            gate = torch.relu(self.gate[name](torch.cat([value, values[0]], dim=-1)))
            move = move + gate * activation
        length, moved = _length(first), _length(move)
        far = moved > BETA * length
        # the 1 keeps the slope finite where nothing moves
        alpha = torch.where(far, BETA * length / torch.where(far, moved, 1.0), 1.0)
        return first + alpha * move


def _length(vectors: Tensor) -> Tensor:
    """Return the length of each row, `items x 1`, with a finite slope where it is 0."""
    squares: Tensor = vectors.square().sum(-1, keepdim=True)
    return (squares + torch.finfo(vectors.dtype).tiny).sqrt()
