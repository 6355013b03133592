r"""Kullback–Leibler divergences in closed form that torch does not have, in nats.

They are those of a `LowRankNormal` from independent normals or Laplaces; torch has the rest.
Importing this file registers them with `torch.distributions.kl_divergence`, the documented way to
add a pair; `pyro.infer.TraceMeanField_ELBO` then finds them by itself.
"""

from __future__ import annotations

import math

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions.kl import register_kl

from bayesfuse.inference.low_rank import LowRankNormal


def expected_abs_normal(loc: Tensor, scale: Tensor) -> Tensor:
    r"""Return the mean of \|w\| for w ~ Normal(loc, scale), the folded normal's mean.

    .. math:: E|w| = s \sqrt{2/\pi}\, e^{-m^2 / 2 s^2} + m\, \mathrm{erf}(m / (s \sqrt 2))

    Args:
        loc: m, any shape.
        scale: s > 0, the same shape.

    Returns:
        E\|w\|, the same shape.
    """
    ratio = loc / scale
    return scale * math.sqrt(2 / math.pi) * torch.exp(-0.5 * ratio.square()) + loc * torch.erf(
        ratio / math.sqrt(2)
    )


def _kl_low_rank_independent(q: LowRankNormal, p: dist.Independent) -> Tensor:
    r"""KL(q ‖ p) = −H(q) − E_q log p, where E_q log p needs the marginals of q alone."""
    base, loc, scale = p.base_dist, q.loc, q.marginal_scale
    if isinstance(base, dist.Laplace):
        cross = torch.log(2 * base.scale) + expected_abs_normal(loc - base.loc, scale) / base.scale
    elif isinstance(base, dist.Normal):
        square = (scale.square() + (loc - base.loc).square()) / (2 * base.scale.square())
        cross = 0.5 * math.log(2 * math.pi) + base.scale.log() + square
    else:
        raise NotImplementedError  # what torch and Pyro expect: they fall back on sampling
    divergence: Tensor = cross.expand(q.event_shape).sum() - q.entropy()
    return divergence


register_kl(LowRankNormal, torch.distributions.Independent)(  # type: ignore[no-untyped-call]  # torch's
    _kl_low_rank_independent
)
