"""Sequences in a network: `items x steps x features`, with NaN in the steps that an item lacks."""

from __future__ import annotations

import torch
from torch import Tensor


def used_steps(values: Tensor) -> Tensor:
    """Return which steps the items have, `items x steps`, of `items x steps x features`."""
    return ~values[:, :, 0].isnan()


def tokens_there(values: Tensor) -> Tensor:
    """Return which tokens stand for an item, `items x steps`: its steps, or one where it has none.

    Args:
        values: `items x steps x features`; or `items x features`, for each of which one stands.

    Example:
        >>> tokens_there(torch.tensor([[[1.0], [3.0]], [[torch.nan]] * 2])).tolist()
        [[True, True], [True, False]]
    """
    if values.ndim == 2:
        return torch.ones(len(values), 1, dtype=torch.bool, device=values.device)
    used = used_steps(values)
    first = torch.arange(used.shape[1], device=used.device) == 0
    return used | (~used.any(dim=1, keepdim=True) & first)


def mean_over_steps(values: Tensor) -> Tensor:
    """Return one vector an item: of sequences the mean over their steps, 0 where there are none.

    Args:
        values: `items x steps x features`; or `items x features`, which are returned as they are.

    Example:
        >>> mean_over_steps(torch.tensor([[[1.0], [3.0]], [[5.0], [torch.nan]]])).tolist()
        [[2.0], [5.0]]
    """
    if values.ndim == 2:
        return values
    used = used_steps(values)[:, :, None]
    return torch.where(used, values, 0.0).sum(dim=1) / used.sum(dim=1).clamp(min=1)


def steps_or_absent(used: Tensor, values: Tensor, absent: Tensor) -> Tensor:
    """Return the steps that items have, and of an item without any, `absent` as its only step.

    Args:
        used: `items x steps`, bool.
        values: `items x steps x units`.
        absent: `units`.

    Returns:
        `items x steps x units`, NaN where there is no step.
    """
    place = torch.arange(used.shape[1], device=used.device)
    alone = ~used.any(dim=1, keepdim=True) & (place == 0)
    return torch.where(alone[:, :, None], absent, torch.where(used[:, :, None], values, torch.nan))
