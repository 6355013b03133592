"""MulT: cross-modal transformers, then concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from torch import Tensor

from bayesfuse.models.activations import tanh
from bayesfuse.models.fusion.cross_modal import CrossModalFusion


@final
class MulTConcatFusion(CrossModalFusion):
    r"""Joins sequences by cross-modal attention, and their last elements with vectors by a layer.

    .. math:: h = \tanh\Bigl(\sum_{m \text{ sequence}} (U_m z_m + c_m) + \sum_{m \text{ vector}}
        (W_m x_m + b_m)\Bigr)

    which is one dense layer on the concatenation of the last elements :math:`z_m` (see
    `CrossModalFusion`) and of the vectors. Without sequences it is `concat`.

    Example:
        >>> import torch
        >>> fusion = MulTConcatFusion({"text": 3, "image": 2, "year": 1}, 4, ["text", "image"])
        >>> inputs = {"text": torch.zeros(5, 7, 3), "image": torch.zeros(5, 6, 2)}
        >>> fusion(inputs | {"year": torch.zeros(5, 1)}, torch.ones(5, 3, dtype=torch.bool)).shape
        torch.Size([5, 4])

    Reference: Tsai et al. 2019 (MulT, arXiv:1906.00295), sec. 3.3; Rodríguez-Bribiesca et al. 2021
    (MAI workshop), MulT-Concat, for the vectors. There two layers with a residual follow; here
    the classifier does.
    """

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Add up and squash the late pre-activations (see `Fusion.fuse`)."""
        _, entering = self.late(values, activations)
        total = entering[0]
        for one in entering[1:]:
            total = total + one
        return tanh(total)
