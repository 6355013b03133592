"""The variational distribution of one site, of every family; `guides` puts them together."""

from __future__ import annotations

import math
from abc import abstractmethod

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from pyro.nn import PyroModule, PyroParam
from torch import Tensor

import bayesfuse.inference.kl  # noqa: F401  # registers the closed forms
from bayesfuse.inference.fused import SMALLEST
from bayesfuse.inference.fused_laplace import FusedLaplace, Kernels
from bayesfuse.inference.fused_tied import FusedTiedLaplace, TiedKernels
from bayesfuse.inference.low_rank import LowRankNormal

_POSITIVE = constraints.softplus_positive


class SiteGuide(PyroModule):  # type: ignore[misc]  # Pyro ships no types
    """The variational distribution of one site. Abstract: a subclass gives the distribution.

    Attributes:
        site_name: The site.
        loc: Its location, the site's shape.
        scale: Its scale, > 0, the site's shape.
    """

    scale: Tensor

    def __init__(self, name: str, loc: Tensor) -> None:
        super().__init__()
        self.site_name = name
        self.loc = PyroParam(loc.detach().clone())

    @abstractmethod
    def distribution(self) -> dist.TorchDistribution:
        """Return the distribution of the site, with the site's shape as its event shape."""

    def forward(self) -> Tensor:
        """Draw the site."""
        value: Tensor = pyro.sample(self.site_name, self.distribution())
        return value


class ElementwiseSiteGuide(SiteGuide):
    """A scale for every element. Abstract."""

    def __init__(self, name: str, loc: Tensor, scale: float) -> None:
        super().__init__(name, loc)
        self.scale = PyroParam(torch.full_like(loc, scale), constraint=_POSITIVE)


class LaplaceSiteGuide(ElementwiseSiteGuide):
    """w ~ Laplace(loc, scale), an element at a time: the guide of PM+MO.

    Attributes:
        kernels: What draws it (`bayesfuse.inference.fused_laplace`); torch if None.
        prior_scale: Scale of the Laplace prior to which these take the KL; None for another prior.
    """

    kernels: Kernels | None = None
    prior_scale: Tensor | None = None

    @property
    def fusible(self) -> bool:
        """Whether kernels gain anything."""
        return int(self.loc.numel()) >= SMALLEST

    def distribution(self) -> dist.TorchDistribution:
        """Return the Laplace distribution of the site."""
        loc = self.loc
        if self.kernels is not None and self.fusible:
            free = self._parameters["scale_unconstrained"]
            return FusedLaplace(loc, free, self.prior_scale, self.kernels)
        return dist.Laplace(loc, self.scale).to_event(loc.dim())


class TiedLaplaceSiteGuide(SiteGuide):
    r"""w ~ Laplace(loc, scale) with a scale of rank k: two numbers a unit in place of one a weight.

    .. math:: \text{scale}_{ij} = \sum_{r=1}^{k} a_{ir} b_{jr}

    with a row a unit out and a column a unit in. An array of more dimensions counts as a matrix of
    its last one; one of fewer, such as a bias, has a scale an element.

    Reference: Swiatkowski et al. 2020 (arXiv:2002.02655), section 3, for normals: the scales of
    trained mean-field guides are of low rank, and tying them lowers the variance of gradients.

    Attributes:
        kernels: What takes its KL, at rank 1 (`bayesfuse.inference.fused_tied`); torch if None.
        prior_scale: Scale of the Laplace prior to which these take the KL; None for another prior.
    """

    kernels: TiedKernels | None = None
    prior_scale: Tensor | None = None

    def __init__(self, name: str, loc: Tensor, scale: float, rank: int) -> None:
        super().__init__(name, loc)
        self.tied = loc.dim() > 1
        if not self.tied:
            self.element = PyroParam(torch.full_like(loc, scale), constraint=_POSITIVE)
            return
        rows, columns = loc.numel() // loc.shape[-1], loc.shape[-1]
        start = (scale / rank) ** 0.5
        a, b = loc.new_full((rows, rank), start), loc.new_full((columns, rank), start)
        if rank > 1:  # or all ranks would stay alike; of every row they still add up to the scale
            phase = torch.arange(rank) * (2 * math.pi / rank) + torch.arange(rows)[:, None]
            a = a * (1 + 0.5 * phase.cos().to(a))
        self.rows = PyroParam(a, constraint=_POSITIVE)
        self.columns = PyroParam(b, constraint=_POSITIVE)

    @property
    def scale(self) -> Tensor:  # type: ignore[override]  # computed, where others keep it
        """Return the scale of every element, the site's shape."""
        if not self.tied:
            element: Tensor = self.element
            return element
        loc: Tensor = self.loc
        scale: Tensor = (self.rows @ self.columns.T).reshape(loc.shape)
        return scale

    @property
    def fusible(self) -> bool:
        """Whether kernels gain anything, and there are any."""
        large = self.tied and int(self.loc.numel()) >= SMALLEST
        # a compiler makes a kernel of its own for a single row or column
        return large and self.rows.shape[1] == 1 and 1 < len(self.rows) < self.loc.numel()

    def distribution(self) -> dist.TorchDistribution:
        """Return the Laplace distribution of the site."""
        loc = self.loc
        if self.kernels is not None and self.prior_scale is not None and self.fusible:
            rows, columns = self.rows[:, 0], self.columns[:, 0]
            return FusedTiedLaplace(loc, rows, columns, self.prior_scale, self.kernels)
        return dist.Laplace(loc, self.scale).to_event(loc.dim())


class NormalSiteGuide(ElementwiseSiteGuide):
    """w ~ Normal(loc, scale), an element at a time."""

    def distribution(self) -> dist.TorchDistribution:
        """Return the normal distribution of the site."""
        loc = self.loc
        return dist.Normal(loc, self.scale).to_event(loc.dim())


class LowRankSiteGuide(ElementwiseSiteGuide):
    """w ~ Normal(loc, F Fᵀ + diag(scale²)) over the whole array."""

    def __init__(self, name: str, loc: Tensor, scale: float, rank: int) -> None:
        super().__init__(name, loc, scale)
        # small, or the factor would drown the scale that was asked for: total variance 2 scale²
        factor = torch.randn(*loc.shape, rank, dtype=loc.dtype) * (scale / rank**0.5)
        self.factor = PyroParam(factor)

    def distribution(self) -> dist.TorchDistribution:
        """Return the low-rank normal distribution of the site."""
        return LowRankNormal(self.loc, self.factor, self.scale)


class LogNormalSiteGuide(ElementwiseSiteGuide):
    """log λ ~ Normal(loc, scale), for a positive hyper-parameter λ of a prior."""

    def distribution(self) -> dist.TorchDistribution:
        """Return the log-normal distribution of the site."""
        loc = self.loc
        return dist.LogNormal(loc, self.scale).to_event(loc.dim())
