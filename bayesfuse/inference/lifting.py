"""From a torch module to a Pyro module with priors on the parts it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pyro import poutine
from pyro.nn import PyroModule
from torch import Tensor, nn
from torch.func import functional_call

from bayesfuse.inference.local_params import LocalParamsModule, with_local_params
from bayesfuse.inference.patterns import check_patterns
from bayesfuse.inference.priors import Prior, SitePrior
from bayesfuse.inference.sites import WeightSite, find_sites


class LiftedModule(LocalParamsModule):
    """A module whose weights in some parts are random; a Pyro program.

    Calling it draws every random weight at a sample site that is named after the parameter
    (`fusion.text.weight`) and runs the module with these in place of its own. Everything else
    (other parameters, buffers, training mode) stays the module's. Made by `lift`.

    Attributes:
        module: The torch module. Its own values of the lifted parameters are frozen; they are
            where a guide starts, and `set_point_` writes there.
        sites: The weight sites, in order.
        tied: Whether a parameter of the module has several names.
        latent: Every latent site with its shape, in the order in which they are drawn: weights and
            positive hyper-parameters of the prior.
    """

    def __init__(self, module: nn.Module, sites: Sequence[WeightSite], prior: Prior) -> None:
        super().__init__()
        self.module = module
        self.sites = tuple(sites)
        names = module.named_parameters(remove_duplicate=False)
        self.tied = len(list(names)) > len(list(module.parameters()))
        # by number, because a site's name has dots in it and these are names of attributes
        self.priors = PyroModule[nn.ModuleList]([prior.build(site) for site in sites])
        for site in self.sites:
            module.get_parameter(site.name).requires_grad_(False)

    @property
    def positive(self) -> dict[str, torch.Size]:
        """The positive hyper-parameters that the prior draws, name to shape."""
        found: dict[str, torch.Size] = {}
        for prior in self.priors:
            found |= prior.positive_sites()
        return found

    @property
    def latent(self) -> list[str]:
        """Names of every latent site, in the order in which they are drawn."""
        names: list[str] = []
        for site, prior in zip(self.sites, self.priors, strict=True):
            names += [*prior.positive_sites(), site.name]
        return names

    def draw_weights(self, beta: float = 1.0) -> dict[str, Tensor]:
        """Draw every random weight from its prior (or as the handlers around it say).

        Args:
            beta: What the log density of these sites counts for in an ELBO, > 0.

        Returns:
            Parameter name to value.
        """
        with poutine.scale(scale=beta):
            return {site.name: prior() for site, prior in zip(self.sites, self.priors, strict=True)}

    def run(self, weights: dict[str, Tensor], *args: Any, **kwargs: Any) -> Any:
        """Run the module with the given weights in place of its own; no Pyro site."""
        # looking for names of one parameter takes longer than a small network
        return functional_call(self.module, weights, args, kwargs, tie_weights=self.tied)

    def forward(self, *args: Any, beta: float = 1.0, **kwargs: Any) -> Any:
        """Draw the weights, then run the module on the arguments."""
        return self.run(self.draw_weights(beta), *args, **kwargs)

    @torch.no_grad()
    def set_point_(self, weights: dict[str, Tensor]) -> None:
        """Write values into the module's own lifted parameters: its plug-in weights."""
        for site in self.sites:
            self.module.get_parameter(site.name).copy_(weights[site.name])

    def free_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that stay deterministic: those of the unlifted parts."""
        lifted = {site.name for site in self.sites}
        return [p for name, p in self.module.named_parameters() if name not in lifted]

    def prior_parameters(self) -> list[nn.Parameter]:
        """Return the learned prior scales, unconstrained; empty unless `"learned"`."""
        return list(self.priors.parameters())


@with_local_params
def lift(
    module: nn.Module, prior: Prior | None = None, parts: Sequence[str] = ("fusion",)
) -> LiftedModule:
    """Make the weights and biases of the named parts of a module random.

    Args:
        module: Any torch module. It is used in place, not copied; its lifted parameters are
            frozen, since their place is taken by draws.
        prior: Their prior; `Prior("laplace", 0.1)` if left out.
        parts: Submodules (`"fusion"`), parameters (`"fusion.text.weight"`) or patterns
            (`"encoder.*.weight"`).

    Returns:
        The Pyro module; its sites are named after the parameters.

    Raises:
        ConfigError: If a part names nothing, a site has no prior scale, or a scale no site.

    Example:
        >>> import torch
        >>> network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
        >>> lifted = lift(network, Prior("laplace", 0.1), parts=["0"])
        >>> lifted.latent
        ['0.weight', '0.bias']
        >>> lifted(torch.zeros(5, 3)).shape
        torch.Size([5, 1])

    Reference: Armitage et al. 2020 (PM+MO), sec. 3.1: Laplace weights and biases in the fusion
    module; here for any part of any module.
    """
    prior, sites = prior or Prior(), find_sites(module, parts)
    check_patterns(prior.scale, [site.name for site in sites], "prior scale")
    return LiftedModule(module, sites, prior)


__all__ = ["LiftedModule", "Prior", "SitePrior", "WeightSite", "lift"]
