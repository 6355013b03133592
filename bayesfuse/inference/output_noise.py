r"""Where the noise of a training step enters: in the weights, or in what layers say of each item.

With one draw of the weights for a whole minibatch, what an unlucky draw does to one item it does to
all, and gradients do not gain by more items. Where a linear layer reads an item a row, each item
can have noise of its own, of the same distribution for it:

======== ==================================================== ======================================
name     what a layer with random weights says                guides
======== ==================================================== ======================================
weights  x wᵀ, with one draw w for all items                  all
local    E a + √(Var a) ε, with ε normal, an item and a unit  laplace, laplace-tied, normal
flipout  x locᵀ + s ∘ ((x ∘ r) (w − loc)ᵀ), one draw w and    laplace, laplace-tied, normal
         random signs r and s, an item and a feature or unit
======== ==================================================== ======================================

`local` (local reparameterisation) has the moments of `bayesfuse.inference.output_moments` in place
of a draw: under a normal guide this is exact, under a Laplace guide it is so in the limit of many
inputs. The site's value is then its mean and its KL is in closed form, so that it is for ELBOs that
take that: `annealed` and `meanfield`. `flipout` is exact for weights that are independent of each
other and symmetric around their mean, under any ELBO.

All else is drawn as it is: weights of layers that do not read an item a row (those that pass
messages over a graph), that run twice, or that are no linear layers. So is every prediction, of
which all items have the same draws.

Reference: Kingma et al. 2015 (arXiv:1506.02557), eq. 6; Wen et al. 2018 (arXiv:1803.04386), eq. 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from pyro.poutine.messenger import Messenger
from torch import Tensor, nn
from torch.nn import functional as F

from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.inference.fused_noise import NoiseKernels, add_noise
from bayesfuse.inference.guides import Guide
from bayesfuse.inference.lifting import LiftedModule
from bayesfuse.inference.linear_layers import items_layers, replaced_forwards
from bayesfuse.inference.local_params import with_local_params
from bayesfuse.inference.output_moments import OutputMoments
from bayesfuse.inference.site_guides import LowRankSiteGuide

NOISES = ("weights", "local", "flipout")
"""Where noise enters."""

CLOSED_FORM = ("annealed", "meanfield")
"""ELBOs that take the KL in closed form."""


class OutputNoise:
    """Puts the noise of weights into what their layers say, inside a `with` block.

    Args:
        kind: One of `NOISES`.
        lifted: The lifted network.
        guide: Its guide.
        elbo: The name of the ELBO that will be taken.

    Attributes:
        kernels: What makes local noise (`bayesfuse.inference.fused_noise`); torch if None.

    Raises:
        ConfigError: If the kind is unknown, or neither guide nor ELBO has it.
    """

    def __init__(
        self, kind: str, lifted: LiftedModule, guide: Guide, elbo: str = "annealed"
    ) -> None:
        if kind not in NOISES:
            raise ConfigError(unknown_option("noise", kind, NOISES))
        if kind != "weights" and any(isinstance(g, LowRankSiteGuide) for g in guide.site_guides):
            raise ConfigError(
                f'There is no noise "{kind}" for the guide "lowrank", whose weights depend on each '
                "other. Take --guide laplace, laplace-tied or normal, or --noise weights."
            )
        if kind == "local" and elbo not in CLOSED_FORM:
            raise ConfigError(
                f'There is no noise "local" for the ELBO "{elbo}", which takes the density of a '
                f"draw, and nothing is drawn. Take --elbo {' or '.join(CLOSED_FORM)}, or --noise "
                "flipout."
            )
        self.kind, self._lifted = kind, lifted
        self.kernels: NoiseKernels | None = None
        self._guide, self._guides = guide, {one.site_name: one for one in guide.site_guides}
        self._layers: dict[str, nn.Linear] | None = None

    @contextmanager
    def applied(self, *args: Any) -> Iterator[None]:
        """Inside the block, let the lifted network and its guide have this noise.

        Args:
            args: Items as the network takes them, two at least; from the first ones it is told
                which layers are meant.

        Raises:
            ConfigError: If no layer is.
        """
        if self.kind == "weights":
            yield
            return
        layers = self.layers(*args)
        sites = {f"{name}.{leaf}" for name in layers for leaf in ("weight", "bias")}
        local = self.kind == "local"
        seen = _Sites(sites if local else {f"{name}.weight" for name in layers}, at_mean=local)
        make = self._local if local else self._flipped
        forwards: dict[nn.Module, Callable[..., Any]] = {
            layer: make(name, layer, seen.found) for name, layer in layers.items()
        }
        with seen, replaced_forwards(forwards):
            yield

    def layers(self, *args: Any) -> dict[str, nn.Linear]:
        """Return the layers that have noise of their own for each item, by name.

        Args:
            args: See `applied`.

        Raises:
            ConfigError: If there is none.
        """
        if self._layers is None:
            module = self._lifted.module
            names = items_layers(self._lifted, self._guide, *args)
            self._layers = {n: module.get_submodule(n) for n in names}  # type: ignore[misc]  # they are linear
        if not self._layers:
            raise ConfigError(
                f'There is nothing for the noise "{self.kind}": no linear layer with random '
                "weights reads an item a row. Choose --parts that have one, such as fusion, or "
                "--noise weights."
            )
        return self._layers

    def _local(
        self, name: str, layer: nn.Linear, found: dict[str, TorchDistribution]
    ) -> Callable[[Tensor], Tensor]:
        weight, bias = self._guides[f"{name}.weight"], self._guides.get(f"{name}.bias")

        @with_local_params
        def forward(x: Tensor) -> Tensor:
            return add_noise(*OutputMoments(layer, weight, bias, found)(x), self.kernels)

        return forward

    def _flipped(
        self, name: str, layer: nn.Linear, found: dict[str, TorchDistribution]
    ) -> Callable[[Tensor], Tensor]:
        def forward(x: Tensor) -> Tensor:
            loc: Tensor = found[f"{name}.weight"].mean
            said = F.linear(x, loc, layer.bias)
            noise = F.linear(x * random_signs(x), layer.weight - loc)
            return torch.addcmul(said, noise, random_signs(noise))

        return forward


class _Sites(Messenger):  # type: ignore[misc]  # Pyro ships no types
    """Keeps the distributions of a guide's sites; if wanted, their value is their mean."""

    def __init__(self, names: set[str], at_mean: bool) -> None:
        super().__init__()
        self.names, self.at_mean = names, at_mean
        self.found: dict[str, TorchDistribution] = {}

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        # the model's own sites have the guide's values by now
        if msg["name"] in self.names and msg["value"] is None:
            self.found[msg["name"]] = msg["fn"]
            if self.at_mean:
                msg["value"] = msg["fn"].mean


def random_signs(like: Tensor) -> Tensor:
    """Return numbers that are -1 or 1, each as likely, 32 from a number of torch's generator.

    Args:
        like: Whose shape, type and device they have.
    """
    num = like.numel()
    bounds: dict[str, Any] = {"low": -(2**31), "high": 2**31}
    words = torch.randint(**bounds, size=(-(-num // 32), 1), device=like.device)
    bits = (words.int() >> torch.arange(32, dtype=torch.int32, device=like.device)) & 1
    return (1 - 2 * bits).flatten()[:num].reshape(like.shape).to(like.dtype)
