"""Fusion by concatenation and mixing: the three wide tanh layers of PM+MO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

from bayesfuse.models.activations import blend, tanh
from bayesfuse.models.fusion.base import Fusion


@final
class MixingFusion(Fusion):
    r"""Joins modalities by mixing their layers with a layer that has read them all.

    .. math:: v_m = \tanh(W_m x_m + b_m), \qquad
        v^{\text{cat}} = \tanh(W_f [v_t, v_i] + b_f), \qquad
        z = v^{\text{cat}} \odot v_i + (1 - v^{\text{cat}}) \odot v_t

    with :math:`t` the first modality and :math:`i` the second. The paper's eq. 1 defines
    :math:`v^{\text{cat}}` as the bare concatenation, twice as wide as the :math:`v_i` that eq. 2
    multiplies it with. The paper also counts three wide tanh layers where the modalities account
    for two. We read the third, `fused`, as the layer between the two equations: it takes the
    concatenation and returns a vector as wide as the others. Being a tanh and not a sigmoid it
    lies in (-1, 1), so :math:`z` may also extrapolate beyond the two.

    For n modalities the mixing is repeated along their order, each step with its own rows of
    `fused`, which reads all n layers and has (n - 1) x hidden units:

    .. math:: [v^{\text{cat}}_2; \ldots; v^{\text{cat}}_n] = \tanh(W_f [v_1, \ldots, v_n] + b_f),
        \qquad z_1 = v_1, \qquad
        z_k = v^{\text{cat}}_k \odot v_k + (1 - v^{\text{cat}}_k) \odot z_{k-1}

    For two this is the equation above, for one it is :math:`v_1` and there is no `fused`. Any one
    modality can win (its mixing near 1, the later ones near 0), and \|z\| stays below 2^n - 1.

    Example:
        >>> fusion = MixingFusion({"text": 3, "image": 2}, hidden=4)
        >>> tuple(fusion.fused.weight.shape)
        (4, 8)

    Reference: Armitage et al. 2020 (PM+MO, arXiv:2008.11450), eq. 1 and 2; the reading of eq. 1
    and the chain for n > 2 are ours.
    """

    fused: nn.Linear | None

    def __init__(self, widths: Mapping[str, int], hidden: int) -> None:
        super().__init__(widths, hidden)
        count = len(self.names)
        self.fused = nn.Linear(count * hidden, (count - 1) * hidden) if count > 1 else None

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Mix the tanh layers one after the other (see `Fusion.fuse`)."""
        layers = [tanh(activation) for activation in activations]
        mixed = layers[0]
        if self.fused is not None:
            mixing = tanh(self.fused(torch.cat(layers, dim=-1)))
            for weight, layer in zip(mixing.chunk(len(layers) - 1, -1), layers[1:], strict=True):
                mixed = blend(weight, layer, mixed)
        return mixed
