"""The gates of a gated multimodal unit, which several fusion rules end in."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bayesfuse.models.activations import blend


def gate_layers(names: Sequence[str], features: int, hidden: int) -> nn.ModuleDict:
    """Return a linear layer a gate: one of two modalities, none of one, and else one a modality.

    Args:
        names: The modalities.
        features: How many features they have together.
        hidden: Units of a gate.
    """
    gated = names if len(names) > 2 else names[:-1]
    return nn.ModuleDict({name: nn.Linear(features, hidden) for name in gated})


def gates_of(layers: nn.ModuleDict, together: Tensor, count: int, hidden: int) -> list[Tensor]:
    """Return one gate `items x hidden` a modality; of two modalities that of the first.

    Args:
        layers: Of `gate_layers`.
        together: Features of all modalities, `items x features`.
        count: Number of modalities.
        hidden: Units of a gate.
    """
    if count == 1:
        return [together.new_ones(len(together), hidden)]
    return [torch.sigmoid(layer(together)) for layer in layers.values()]


def every_gate(gates: list[Tensor], count: int) -> Tensor:
    """Return the gates of all modalities, `items x modalities x hidden`; of two they sum to 1."""
    return torch.stack([*gates, 1 - gates[0]] if count == 2 else gates, dim=1)


def gated_sum(gates: list[Tensor], said: Sequence[Tensor]) -> Tensor:
    """Return what the gates let through of each modality's units, added up, `items x hidden`."""
    if len(said) == 2:
        return blend(gates[0], *said)
    speaking = [gate * one for gate, one in zip(gates, said, strict=True)]
    return functools.reduce(operator.add, speaking)
