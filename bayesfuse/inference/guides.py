r"""Guides: the variational families over the random weights of a lifted module.

All are mean-field over sites and start where the module starts: `loc` is the module's own
initialisation (or one number), `scale` one number.

============ ================================== ================================================
name         a weight array w                   KL to a Laplace prior
============ ================================== ================================================
laplace      Laplace(loc, scale)                closed form (torch)
laplace-tied Laplace(loc, A Bᵀ)                 closed form (torch)
normal       Normal(loc, scale)                 closed form (torch)
lowrank      Normal(loc, F Fᵀ + diag(scale²))   closed form (marginals and matrix determinant)
============ ================================== ================================================

Positive hyper-parameters of a prior (the horseshoe's scales) are LogNormal under every guide.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from pyro import poutine
from pyro.nn import PyroModule
from torch import Tensor, nn

from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.inference.fused_laplace import Kernels
from bayesfuse.inference.fused_tied import TiedKernels
from bayesfuse.inference.lifting import LiftedModule
from bayesfuse.inference.local_params import LocalParamsModule, with_local_params
from bayesfuse.inference.priors import LaplaceSitePrior, SitePrior
from bayesfuse.inference.site_guides import (
    LaplaceSiteGuide,
    LogNormalSiteGuide,
    LowRankSiteGuide,
    NormalSiteGuide,
    SiteGuide,
    TiedLaplaceSiteGuide,
)

InitScale = float | str | Mapping[str, float | str]
"""Where scales start: a number, `"prior"`, or these by pattern of site names."""


GUIDES = ("laplace", "laplace-tied", "normal", "lowrank")

RANKS = {"laplace-tied": 1, "lowrank": 8}
"""Guides that have a rank, and which if none is given."""


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

    @contextmanager
    def drawn_by(
        self, kernels: Kernels | TiedKernels | None, lifted: LiftedModule
    ) -> Iterator[None]:
        """Inside the block, draw Laplace sites by these kernels, and take their KL with them.

        Args:
            kernels: See `bayesfuse.inference.fused_laplace` and, for scales that are tied,
                `bayesfuse.inference.fused_tied`; None changes nothing.
            lifted: Whose priors the KL is taken to.
        """
        priors = {prior.site.name: prior for prior in lifted.priors}
        kind = TiedLaplaceSiteGuide if isinstance(kernels, TiedKernels) else LaplaceSiteGuide
        sites = [guide for guide in self.site_guides if isinstance(guide, kind)]
        try:
            for guide in sites:
                guide.kernels = kernels
                prior = priors[guide.site_name]
                known = isinstance(prior, LaplaceSitePrior) and not list(prior.parameters())
                guide.prior_scale = prior.scale if known else None
            yield
        finally:
            for guide in sites:
                guide.kernels = guide.prior_scale = None

    def scale_parameters(self) -> list[nn.Parameter]:
        """Return the unconstrained parameters that are no locations."""
        return [
            parameter
            for guide in self.site_guides
            for name, parameter in guide._parameters.items()
            if name != "loc_unconstrained"
        ]

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
    rank: int | None = None,
) -> Guide:
    """Return a guide for a lifted module.

    Args:
        lifted: The lifted module.
        family: One of `GUIDES`.
        init_loc: One number where every location starts; the module's own values if left out.
        init_scale: Where scales start: a number > 0 (Armitage et al. 2020 use loc 0.1, scale
            0.01), or `"prior"`, the prior's own scale; or a mapping from patterns of site names to
            these, of which the first match counts.
        rank: Columns of the factor of `"lowrank"` (8 if None), or of A and B of `"laplace-tied"`
            (1 if None).

    Raises:
        ConfigError: If the family is unknown, or a number is out of range.
    """
    if family not in GUIDES:
        raise ConfigError(unknown_option("guide", family, GUIDES))
    rank = RANKS.get(family, 1) if rank is None else rank
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
        elif family == "laplace-tied":
            site_guides.append(TiedLaplaceSiteGuide(site.name, loc, scale, rank))
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
