r"""Guides: the variational families over the random weights of a lifted module.

All are mean-field over sites and start where the module starts: `loc` is the module's own
initialisation (or one number), `scale` one number.

========== ================================== ================================================
name       a weight array w                   KL to a Laplace prior
========== ================================== ================================================
laplace    Laplace(loc, scale)                closed form (torch)
normal     Normal(loc, scale)                 closed form (torch)
lowrank    Normal(loc, F Fᵀ + diag(scale²))   closed form (marginals and matrix determinant)
========== ================================== ================================================

Positive hyper-parameters of a prior (the horseshoe's scales) are LogNormal under every guide.
"""

from __future__ import annotations

import fnmatch
import math
from abc import abstractmethod
from collections.abc import Mapping

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.distributions import constraints
from pyro.nn import PyroModule, PyroParam
from torch import Tensor, nn

import bayesfuse.inference.kl  # noqa: F401  # registers the closed forms
from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.inference.lifting import LiftedModule
from bayesfuse.inference.local_params import LocalParamsModule, with_local_params
from bayesfuse.inference.low_rank import LowRankNormal
from bayesfuse.inference.priors import SitePrior

InitScale = float | str | Mapping[str, float | str]
"""Where scales start: a number, `"prior"`, or these by pattern of site names."""


class SiteGuide(PyroModule):  # type: ignore[misc]  # Pyro ships no types
    """The variational distribution of one site. Abstract: a subclass gives the distribution."""

    def __init__(self, name: str, loc: Tensor, scale: float) -> None:
        super().__init__()
        self.site_name = name
        self.loc = PyroParam(loc.detach().clone())
        self.scale = PyroParam(
            torch.full_like(loc, scale), constraint=constraints.softplus_positive
        )

    @abstractmethod
    def distribution(self) -> dist.TorchDistribution:
        """Return the distribution of the site, with the site's shape as its event shape."""

    def forward(self) -> Tensor:
        """Draw the site."""
        value: Tensor = pyro.sample(self.site_name, self.distribution())
        return value


class LaplaceSiteGuide(SiteGuide):
    """w ~ Laplace(loc, scale), an element at a time: the guide of PM+MO."""

    def distribution(self) -> dist.TorchDistribution:
        """Return the Laplace distribution of the site."""
        loc = self.loc
        return dist.Laplace(loc, self.scale).to_event(loc.dim())


class NormalSiteGuide(SiteGuide):
    """w ~ Normal(loc, scale), an element at a time."""

    def distribution(self) -> dist.TorchDistribution:
        """Return the normal distribution of the site."""
        loc = self.loc
        return dist.Normal(loc, self.scale).to_event(loc.dim())


class LowRankSiteGuide(SiteGuide):
    """w ~ Normal(loc, F Fᵀ + diag(scale²)) over the whole array."""

    def __init__(self, name: str, loc: Tensor, scale: float, rank: int) -> None:
        super().__init__(name, loc, scale)
        # small, or the factor would drown the scale that was asked for: total variance 2 scale²
        factor = torch.randn(*loc.shape, rank, dtype=loc.dtype) * (scale / rank**0.5)
        self.factor = PyroParam(factor)

    def distribution(self) -> dist.TorchDistribution:
        """Return the low-rank normal distribution of the site."""
        return LowRankNormal(self.loc, self.factor, self.scale)


class LogNormalSiteGuide(SiteGuide):
    """log λ ~ Normal(loc, scale), for a positive hyper-parameter λ of a prior."""

    def distribution(self) -> dist.TorchDistribution:
        """Return the log-normal distribution of the site."""
        loc = self.loc
        return dist.LogNormal(loc, self.scale).to_event(loc.dim())


GUIDES = ("laplace", "normal", "lowrank")


class Guide(LocalParamsModule):
    """The guide of a lifted module: one `SiteGuide` a latent site; a Pyro program.

    Calling it draws every latent site. Made by `make_guide`.
    """

    def __init__(self, site_guides: list[SiteGuide]) -> None:
        super().__init__()
        # by number: a site's name has dots in it, and these are names of attributes
        self.site_guides = PyroModule[nn.ModuleList](site_guides)

    def forward(self, *_: object, beta: float = 1.0, **__: object) -> dict[str, Tensor]:
        """Draw every latent site; the arguments of the model are accepted and not used.

        Args:
            beta: What the log density of the sites counts for in an ELBO, > 0.

        Returns:
            Site name to draw.
        """
        with poutine.scale(scale=beta):
            return {guide.site_name: guide() for guide in self.site_guides}

    def locations(self) -> dict[str, Tensor]:
        """Return the location of every site by name, with gradients."""
        return {guide.site_name: guide.loc for guide in self.site_guides}

    def scales(self) -> dict[str, Tensor]:
        """Return the scale of every site by name, with gradients."""
        return {guide.site_name: guide.scale for guide in self.site_guides}

    def tensors(self) -> dict[str, Tensor]:
        """Return the unconstrained parameters by site: `fusion.text.weight.scale_unconstrained`."""
        return {
            f"{guide.site_name}.{name}": parameter
            for guide in self.site_guides
            for name, parameter in guide._parameters.items()
        }


@with_local_params
def make_guide(
    lifted: LiftedModule,
    family: str = "laplace",
    *,
    init_loc: float | None = None,
    init_scale: InitScale = 0.003,
    rank: int = 8,
) -> Guide:
    """Return a guide for a lifted module.

    Args:
        lifted: The lifted module.
        family: `"laplace"`, `"normal"` or `"lowrank"`.
        init_loc: One number where every location starts; the module's own values if left out.
        init_scale: Where scales start: a number > 0 (Armitage et al. 2020 use loc 0.1, scale
            0.01), or `"prior"`, the prior's own scale; or a mapping from patterns of site names to
            these, of which the first match counts.
        rank: Columns of the factor of `"lowrank"`.

    Raises:
        ConfigError: If the family is unknown, or a number is out of range.
    """
    if family not in GUIDES:
        raise ConfigError(unknown_option("guide", family, GUIDES))
    if rank < 1:
        raise ConfigError(f"rank is {rank}; expected at least 1.")
    site_guides: list[SiteGuide] = []
    for site, prior in zip(lifted.sites, lifted.priors, strict=True):
        for name, shape in prior.positive_sites().items():
            # τ starts at the prior's scale and λ at 1: together the prior scale that was asked for
            middle = prior.scale.log() if name.endswith(".global") else prior.scale.new_zeros(())
            site_guides.append(LogNormalSiteGuide(name, middle.detach().expand(shape), 0.1))
        loc: Tensor = lifted.module.get_parameter(site.name)
        if init_loc is not None:
            loc = torch.full_like(loc, init_loc)
        scale = _start(init_scale, site.name, prior)
        if family == "laplace":
            site_guides.append(LaplaceSiteGuide(site.name, loc, scale))
        elif family == "normal":
            site_guides.append(NormalSiteGuide(site.name, loc, scale))
        else:
            site_guides.append(LowRankSiteGuide(site.name, loc, scale, rank))
    return Guide(site_guides)


def _start(init_scale: InitScale, name: str, prior: SitePrior) -> float:
    """Return the scale at which the guide of a site starts."""
    by_pattern = init_scale if isinstance(init_scale, Mapping) else {"*": init_scale}
    for pattern, scale in by_pattern.items():
        if fnmatch.fnmatchcase(name, pattern):
            start = float(prior.scale.detach()) if scale == "prior" else scale
            if isinstance(start, str) or not 0 < start < math.inf:
                raise ConfigError(
                    f'init_scale is {scale!r}; expected a number > 0, such as 0.01, or "prior".'
                )
            return start
    raise ConfigError(
        f'No init_scale for "{name}": the patterns are {", ".join(by_pattern)}; add one that '
        'matches it, or a last one for the rest, "*".'
    )
