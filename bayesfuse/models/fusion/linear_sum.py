"""Fusion by a sum: one linear layer a modality, added up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from bayesfuse.models.fusion.base import Fusion


@final
class LinearSumFusion(Fusion):
    r"""Joins modalities by adding up what one linear layer makes of each.

    .. math:: h = \sum_m (W_m x_m + b_m)

    The classifier's maxout units are the first that are not linear. The order of modalities does
    not matter.

    Example:
        >>> fusion = LinearSumFusion({"text": 3, "image": 2}, hidden=4)
        >>> inputs = {"text": torch.zeros(5, 3), "image": torch.zeros(5, 2)}
        >>> fusion(inputs, torch.ones(5, 2, dtype=torch.bool)).shape
        torch.Size([5, 4])

    Reference: the baseline "linear sum" of Arevalo et al. 2017 (arXiv:1702.01992), which is
    followed by their maxout perceptron. Their code has maxout layers of two pieces in place of the
    linear ones; we follow the paper.
    """

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Sum the pre-activations (see `Fusion.fuse`)."""
        return torch.stack(list(activations)).sum(0)
