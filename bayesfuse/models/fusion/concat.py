"""Fusion by concatenation: one dense tanh layer over all modalities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from bayesfuse.models.activations import tanh
from bayesfuse.models.fusion.base import Fusion


@final
class ConcatFusion(Fusion):
    r"""Joins modalities as one dense layer over their concatenation does: the baseline.

    .. math:: h = \tanh\Bigl(\sum_m (W_m x_m + b_m)\Bigr)
        = \tanh\bigl([W_1 \ldots W_n] [x_1; \ldots; x_n] + b\bigr), \qquad b = \sum_m b_m

    The dense layer is kept as one block of columns a modality, so that each block has its own name,
    its own prior and its own stand-in when the modality is not observed. The order of modalities
    does not matter.

    Example:
        >>> fusion = ConcatFusion({"text": 3, "image": 2}, hidden=4)
        >>> inputs = {"text": torch.zeros(5, 3), "image": torch.zeros(5, 2)}
        >>> fusion(inputs, torch.ones(5, 2, dtype=torch.bool)).shape
        torch.Size([5, 4])

    Reference: the concatenation baseline of Arevalo et al. 2017 (arXiv:1702.01992); its hidden
    layer is the only one here, and the classifier follows.
    """

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Apply tanh to the sum of the pre-activations (see `Fusion.fuse`)."""
        return tanh(torch.stack(list(activations)).sum(0))
