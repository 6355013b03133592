"""Where a loss that is not finite came from."""

from __future__ import annotations

import math

import pyro
import torch

from bayesfuse.inference.elbo import kl_by_site
from bayesfuse.inference.guides import Guide
from bayesfuse.inference.lifting import LiftedModule


def diagnosis(
    step: int,
    epoch: int,
    loss: float,
    nll: float,
    lifted: LiftedModule | None,
    guide: Guide | None,
) -> str:
    """Say where a loss that is not finite came from, and what to try.

    Args:
        step: Steps taken before.
        epoch: Its number, from 0.
        loss: The loss.
        nll: What of it is −log likelihood.
        lifted: The lifted network; None of a network without a posterior.
        guide: Its guide.
    """
    where = "in the likelihood, at the site y" if not math.isfinite(nll) else "in the KL"
    if guide is not None and lifted is not None:
        with torch.no_grad(), pyro.validation_enabled(False):
            for part in (guide.locations(), guide.scales()):
                for name, value in part.items():
                    if not bool(torch.isfinite(value).all()):
                        where = f"at the site {name}, whose guide is no longer finite"
            if math.isfinite(nll):
                for name, value in kl_by_site(lifted, guide).items():
                    if not bool(torch.isfinite(value)):
                        where = f"in the KL of the site {name}"
    return (
        f"The loss is {loss} at step {step + 1} (epoch {epoch + 1}), {where}. Try a lower "
        "learning rate (half of it), a longer warm-up, or a smaller init scale of the guide; "
        "and check the features for extreme values."
    )
