r"""Priors over the weights of a part: Laplace, normal, and a sparse one (horseshoe).

A `Prior` is a choice (which family, which scale). `Prior.build(site)` makes the Pyro module that
draws one site. Scales are given one of three ways: a number; `"fan-in"`, by which the standard
deviation of a weight is 1/√fan_in; or `"learned"`, one scale a site that maximises the ELBO
(empirical Bayes), starting from the fan-in value.
"""

from __future__ import annotations

import fnmatch
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from pyro.nn import PyroModule, PyroParam
from torch import Tensor

from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.inference.sites import WeightSite

Scale = float | str
"""A prior scale: a positive number, `"fan-in"` or `"learned"`."""


class SitePrior(PyroModule):  # type: ignore[misc]  # Pyro ships no types
    """The prior of one site: a Pyro program that draws it.

    Abstract: a subclass says how the weight is drawn, in `forward`, and which positive
    hyper-parameters it draws besides, in `positive_sites`.
    """

    def __init__(self, site: WeightSite, scale: Scale, unit_scale: float) -> None:
        super().__init__()
        self.site = site
        initial = unit_scale / math.sqrt(site.fan_in) if isinstance(scale, str) else float(scale)
        if scale == "learned":
            self.scale = PyroParam(torch.tensor(initial), constraint=constraints.softplus_positive)
        else:
            self.register_buffer("scale", torch.tensor(initial))

    def positive_sites(self) -> dict[str, torch.Size]:
        """Return the positive hyper-parameters that are drawn too, name to shape."""
        return {}

    @abstractmethod
    def forward(self) -> Tensor:
        """Draw the weight at the site `site.name`."""


class LaplaceSitePrior(SitePrior):
    """w ~ Laplace(0, b)."""

    def __init__(self, site: WeightSite, scale: Scale) -> None:
        super().__init__(site, scale, unit_scale=math.sqrt(0.5))

    def forward(self) -> Tensor:
        """Draw the weight."""
        b = self.scale
        prior = dist.Laplace(b.new_zeros(()), b).expand(self.site.shape)
        weight: Tensor = pyro.sample(self.site.name, prior.to_event(len(self.site.shape)))
        return weight


class NormalSitePrior(SitePrior):
    """w ~ Normal(0, b)."""

    def __init__(self, site: WeightSite, scale: Scale) -> None:
        super().__init__(site, scale, unit_scale=1.0)

    def forward(self) -> Tensor:
        """Draw the weight."""
        b = self.scale
        prior = dist.Normal(b.new_zeros(()), b).expand(self.site.shape)
        weight: Tensor = pyro.sample(self.site.name, prior.to_event(len(self.site.shape)))
        return weight


class HorseshoeSitePrior(SitePrior):
    r"""w_ij ~ Normal(0, τ λ_j), λ_j ~ HalfCauchy(1), τ ~ HalfCauchy(b).

    A matrix has one local scale λ_j an input (a feature is kept or dropped as a whole); a vector
    has one an element. Weights are centred, so that KL of a weight stays in closed form given the
    scales; the two half-Cauchy divergences are estimated by their draws.

    Reference: Carvalho, Polson & Scott 2010; grouped by input as in Louizos et al. 2017
    (arXiv:1705.08665), sec. 4.2.
    """

    def __init__(self, site: WeightSite, scale: Scale) -> None:
        super().__init__(site, scale, unit_scale=1.0)

    def positive_sites(self) -> dict[str, torch.Size]:
        """Return τ (`.global`) and λ (`.local`)."""
        name, shape = self.site.name, self.site.shape
        return {f"{name}.global": torch.Size(), f"{name}.local": torch.Size(shape[-1:])}

    def forward(self) -> Tensor:
        """Draw the scales, then the weight."""
        b, name, shape = self.scale, self.site.name, self.site.shape
        one = b.new_ones(())
        tau = pyro.sample(f"{name}.global", dist.HalfCauchy(b))
        local = dist.HalfCauchy(one).expand(shape[-1:]).to_event(len(shape[-1:]))
        lam = pyro.sample(f"{name}.local", local)
        # a floor keeps the density finite when a scale is drawn at the edge of float32
        scale = (tau * lam).clamp_min(1e-8).expand(shape)
        prior = dist.Normal(torch.zeros_like(scale), scale)
        weight: Tensor = pyro.sample(name, prior.to_event(len(shape)))
        return weight


PRIORS: dict[str, type[SitePrior]] = {
    "laplace": LaplaceSitePrior,
    "normal": NormalSitePrior,
    "horseshoe": HorseshoeSitePrior,
}


@dataclass(frozen=True)
class Prior:
    """Which prior the weights of a part have.

    Args:
        family: `"laplace"`, `"normal"` or `"horseshoe"`.
        scale: A number, `"fan-in"` or `"learned"`; or a mapping from patterns of site names to
            these (`{"fusion.text.*": 0.1, "*": "fan-in"}`), of which the first match counts.

    Raises:
        ConfigError: If the family is unknown or a scale is not positive.

    Example:
        >>> Prior("laplace", 0.1)
        Prior(family='laplace', scale=0.1)
    """

    family: str = "laplace"
    scale: Scale | Mapping[str, Scale] = 0.1

    def __post_init__(self) -> None:
        if self.family not in PRIORS:
            raise ConfigError(unknown_option("prior", self.family, PRIORS))
        scales = self.scale.values() if isinstance(self.scale, Mapping) else [self.scale]
        for scale in scales:
            named = isinstance(scale, str) and scale in {"fan-in", "learned"}
            if not named and (isinstance(scale, str) or not 0 < scale < math.inf):
                raise ConfigError(
                    f'The prior scale is {scale!r}; expected a number > 0, "fan-in" or "learned".'
                )

    def scale_for(self, site: WeightSite) -> Scale:
        """Return the scale that this prior gives a site.

        Raises:
            ConfigError: If scales are given by pattern and none matches.
        """
        if not isinstance(self.scale, Mapping):
            return self.scale
        for pattern, scale in self.scale.items():
            if fnmatch.fnmatchcase(site.name, pattern):
                return scale
        raise ConfigError(
            f'No prior scale for "{site.name}": the patterns are {", ".join(self.scale)}; '
            'add one that matches it, or a last one for the rest, "*".'
        )

    def build(self, site: WeightSite) -> SitePrior:
        """Return the Pyro module that draws the site."""
        return PRIORS[self.family](site, self.scale_for(site))  # type: ignore[call-arg]  # the
        # concrete classes take (site, scale); only the abstract one takes the unit scale too
