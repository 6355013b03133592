"""How far a gated fusion lets each modality through, under draws of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from bayesfuse.data.blocks import Blocks
from bayesfuse.models.fusion.gmu import GatedFusion
from bayesfuse.models.fusion.mult_gmu import MulTGatedFusion
from bayesfuse.models.network import FusionNetwork

GATED = (GatedFusion, MulTGatedFusion)
"""Fusion rules that end in a gated multimodal unit."""


def gated_modalities(network: FusionNetwork) -> tuple[str, ...]:
    """Return the modalities that gates let through; none of a network whose fusion has no gates."""
    return network.fusion.names if isinstance(network.fusion, GATED) else ()


@torch.no_grad()
def gate_draws(
    network: FusionNetwork,
    weights: Sequence[Mapping[str, Tensor]],
    inputs: Mapping[str, Tensor],
    observed: Tensor,
    blocks: Blocks | None = None,
) -> Tensor:
    r"""Return how far each modality is let through, under several draws of the weights.

    .. math:: g_{im} = \frac1H \sum_h z_{imh}

    with the gates z of the gated multimodal unit.

    Args:
        network: A network in evaluation mode whose fusion has gates (see `gated_modalities`).
        weights: For each draw, parameter name to its value.
        inputs: See `FusionNetwork.forward`.
        observed: See `FusionNetwork.forward`.
        blocks: See `FusionNetwork.forward`.

    Returns:
        `draws x items x modalities`, in [0, 1].

    Raises:
        FeatureError: If the inputs are not the network's.

    Reference: Arevalo et al. 2017 (arXiv:1702.01992), section 3, for the gates; Rodríguez-Bribiesca
    et al. 2021 (MulT-GMU, MAI workshop) for their mean by genre as a picture of what tells it.
    """
    found: list[Tensor] = []

    def look(module: nn.Module, read: tuple[Any, ...], _: Tensor) -> None:
        assert isinstance(module, GATED)
        found.append(module.gates(*read).mean(dim=2))

    handle = network.fusion.register_forward_hook(look) if network.fusion is not None else None
    linked = () if blocks is None else (blocks,)
    try:
        for draw in weights:
            functional_call(network, dict(draw), (inputs, observed, *linked))
    finally:
        if handle is not None:
            handle.remove()
    return torch.stack(found)
