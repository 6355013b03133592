r"""The penalties on the locations of random weights, beside the ELBO.

.. math:: (\lambda_1 \|loc\|_1 + \lambda_2 \|loc\|_2^2) / N

Reference: Armitage et al. 2020 (PM+MO), sec. 3.2, λKL+L1 and λKL+L2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bayesfuse.inference.guides import Guide
from bayesfuse.inference.history import SVISettings
from bayesfuse.inference.lifting import LiftedModule


def penalty_of(
    guide: Guide | None, lifted: LiftedModule | None, settings: SVISettings, num_items: int
) -> Tensor | None:
    """Return the penalty in nats an item, a scalar with gradients; None if there is none.

    Args:
        guide: The guide, or None.
        lifted: The lifted network, whose weights count.
        settings: `l1` and `l2`.
        num_items: N, the number of training items.
    """
    if guide is None or lifted is None or (settings.l1 == 0 and settings.l2 == 0):
        return None
    weights = {site.name for site in lifted.sites}
    locations = [loc for name, loc in guide.locations().items() if name in weights]
    total = torch.zeros((), device=locations[0].device)
    for loc in locations:
        total = total + settings.l1 * loc.abs().sum() + settings.l2 * loc.square().sum()
    return total / num_items
