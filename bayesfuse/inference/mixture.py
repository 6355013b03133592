"""A member of a mixture of posteriors: a guide, and what of its network is not random.

Each member is fitted from a start of its own, and so finds another mode. Their mixture, each with
the same share of the draws, is a posterior of several modes:

    q(θ, φ) = 1/K Σ_k q_k(θ) δ(φ − φ_k)

Reference: Wilson & Izmailov 2020 (arXiv:2002.08791), section 3, where the components are Gaussian
(MultiSWAG); Lakshminarayanan et al. 2017 (arXiv:1612.01474) for components that are points.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from bayesfuse.inference.guides import Guide
from bayesfuse.inference.lifting import LiftedModule
from bayesfuse.inference.local_params import with_local_params


@dataclass(frozen=True, eq=False)
class Member:
    """One posterior.

    Attributes:
        lifted: Its network, with priors on the random weights.
        guide: Their posterior.
    """

    lifted: LiftedModule
    guide: Guide

    @with_local_params
    @torch.no_grad()
    def from_prior(self) -> dict[str, Tensor]:
        """Return the random weights by site, drawn from their prior."""
        values = self.lifted.draw_weights()
        return {site.name: values[site.name] for site in self.lifted.sites}

    def fixed(self) -> dict[str, Tensor]:
        """Return all else that the network is made of, by name: parameters, running statistics."""
        network, random = self.lifted.module, {site.name for site in self.lifted.sites}
        named = chain(network.named_parameters(), network.named_buffers())
        return {name: value.detach() for name, value in named if name not in random}
