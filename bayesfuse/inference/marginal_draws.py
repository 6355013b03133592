r"""Marginal draws by local reparameterisation: big products once, and noise after them.

A linear layer with independent random weights that reads the inputs themselves has, for one item,
independent pre-activations with

.. math:: \operatorname{E} a_j = \sum_k x_k \operatorname{E} w_{jk} + \operatorname{E} b_j, \qquad
    \operatorname{Var} a_j = \sum_k x_k^2 \operatorname{Var} w_{jk} + \operatorname{Var} b_j

so that its draws are :math:`\operatorname{E} a + \sqrt{\operatorname{Var} a}\; \varepsilon` with
:math:`\varepsilon` normal: two products in place of one a draw. Under a normal guide these are
draws of the pre-activation exactly; under a Laplace guide they are so in the limit of many inputs,
the true excess kurtosis being 3 / (inputs that count) in place of 0. Every other random weight is
drawn as it is.

All labels of one item are jointly right, and items are not: the same :math:`\varepsilon` serves all
of them, so that what is said of an item depends on no other, but no network has these items' draws
together. Means, intervals and uncertainties of items need no more; ranks and predictive checks do.

Reference: Kingma et al. 2015 (arXiv:1506.02557), section 2.3, for training and normal weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import vmap

from bayesfuse.data.batches import Batch, cut
from bayesfuse.inference.guides import Guide
from bayesfuse.inference.lifting import LiftedModule
from bayesfuse.inference.linear_layers import replaced_forwards
from bayesfuse.inference.local_params import with_local_params
from bayesfuse.inference.output_moments import OutputMoments
from bayesfuse.inference.seeding import seeded
from bayesfuse.inference.weight_draws import sample

ITEMS_AT_ONCE, DRAWS_AT_ONCE = 64, 16
"""Items and draws that go through a network of 1,024 units together once the big products
are done, so that what lies between two operations stays in the cache."""

PRODUCT_ITEMS = 512
"""Items for which the big products are done together."""

Moments = dict[str, tuple[Tensor, Tensor]]
"""Layer to mean and standard deviation of its pre-activations, each `items x units`."""


class MarginalDraws:
    """Draws logits of items from the guide, one item's at a time.

    Args:
        lifted: The lifted network.
        guide: Its guide.
        layers: Which layers' products to do once; see
            `bayesfuse.inference.linear_layers.first_layers`.
    """

    @with_local_params
    @torch.no_grad()
    def __init__(self, lifted: LiftedModule, guide: Guide, layers: Sequence[str]) -> None:
        self._lifted = lifted
        guides = {one.site_name: one for one in guide.site_guides}
        self._layers: dict[str, nn.Linear] = {}
        self._products: dict[str, OutputMoments] = {}
        for name in layers:
            layer = lifted.module.get_submodule(name)
            assert isinstance(layer, nn.Linear)
            bias = guides.pop(f"{name}.bias", None)
            self._layers[name] = layer
            self._products[name] = OutputMoments(layer, guides.pop(f"{name}.weight"), bias)
        self._norms = _norms(lifted)
        names = [site.name for site in lifted.sites if site.name in guides]
        self._others = {name: guides[name].distribution() for name in names}

    @property
    def numbers_a_draw(self) -> int:
        """How many numbers a draw of all that is random is, the big layers' weights left out."""
        units = sum(layer.out_features for layer in self._layers.values())
        return units + sum(int(one.mean.numel()) for one in self._others.values())

    @torch.no_grad()
    def fill(
        self,
        found: NDArray[np.float32],
        batch: Batch,
        seeds: Sequence[int],
        mixed: AbstractContextManager[Any],
        memory_budget: int,
    ) -> None:
        """Fill `draws x items x labels` with probabilities.

        Args:
            found: What to fill.
            batch: The items, of whom none hears another.
            seeds: The seed of each draw.
            mixed: In which the network runs, for its precision; used many times.
            memory_budget: Bytes that the draws of all random weights may take that are drawn.
        """
        device = batch.observed.device
        together = min(max(1, memory_budget // (4 * self.numbers_a_draw)), DRAWS_AT_ONCE)
        for some in cut(len(batch.observed), PRODUCT_ITEMS):
            block = batch.part(some)
            with mixed:
                moments = self.moments(block.inputs, block.observed)
            tiles = list(cut(len(block.observed), self._items_at_once()))
            with mixed:
                ready = [standardised(self._lifted.module, block.part(few)) for few in tiles]
            for draws in cut(len(seeds), together):
                drawn = self._stacked(seeds[draws], device)
                for few, alike in zip(tiles, ready, strict=True):
                    tile = block.part(few)
                    near = {name: (m[few], s[few]) for name, (m, s) in moments.items()}
                    with mixed, replaced_forwards(alike):
                        logits = self.logits(drawn, near, tile.inputs, tile.observed)
                    items = slice(some.start + few.start, some.start + few.stop)
                    found[draws, items] = torch.sigmoid(logits.float()).cpu().numpy()

    def _items_at_once(self) -> int:
        """Return how many items go through the network together: more through a narrow one."""
        widest = max(layer.out_features for layer in self._layers.values())
        return max(ITEMS_AT_ONCE, ITEMS_AT_ONCE * 1024 // widest)

    def _stacked(self, seeds: Sequence[int], device: torch.device) -> dict[str, Tensor]:
        """Return what `draw` draws from each seed, stacked along a first axis."""
        drawn = []
        for seed in seeds:
            with seeded(seed, device):
                drawn.append(self.draw())
        return {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}

    @torch.no_grad()
    def moments(self, *args: Any) -> Moments:
        """Return the moments of the layers' pre-activations; the network runs on `args` once."""
        found: Moments = {}

        def keep(name: str) -> Callable[[Tensor], Tensor]:
            def forward(x: Tensor) -> Tensor:
                loc, variance = self._products[name](x)
                found[name] = (loc, variance.sqrt())
                return loc

            return forward

        with replaced_forwards({self._layers[name]: keep(name) for name in self._layers}):
            self._lifted.module(*args)
        return found

    @torch.no_grad()
    def draw(self) -> dict[str, Tensor]:
        """Draw the noise of the layers, `units`, and all other random weights, by site or layer."""
        drawn = {name: sample(one) for name, one in self._others.items()}
        for name, layer in self._layers.items():
            drawn[name] = torch.randn(layer.out_features, device=layer.weight.device)
        return drawn

    @torch.no_grad()
    def logits(self, drawn: Mapping[str, Tensor], moments: Moments, *args: Any) -> Tensor:
        """Return the logits of the items under some draws, `draws x items x labels`.

        Args:
            drawn: What `draw` returns, of several draws: each stacked along a new first axis.
            moments: Of these items.
            args: These items, as `moments` takes them.
        """

        def one(draw: dict[str, Tensor]) -> Tensor:
            def said(name: str) -> Callable[[Tensor], Tensor]:
                loc, scale = moments[name]
                return lambda _: torch.addcmul(loc, scale, draw[name])

            weights = {name: draw[name] for name in self._others}
            ready: dict[nn.Module, Callable[..., Any]]
            ready = {layer: said(name) for name, layer in self._layers.items()}
            with replaced_forwards({**self._norms, **ready}):
                found: Tensor = self._lifted.run(weights, *args)
            return found

        logits: Tensor = vmap(one)(dict(drawn))
        return logits


@torch.no_grad()
def standardised(network: nn.Module, batch: Batch) -> dict[nn.Module, Callable[..., Any]]:
    """Return what stands for standardising these items, which is the same in every draw.

    Args:
        network: Whose child `standardise` does it; nothing stands for one that is not there.
        batch: The items, of whom none hears another.
    """
    module = getattr(network, "standardise", None)
    if not isinstance(module, nn.Module) or any(module.parameters()):
        return {}
    found: dict[str, Tensor] = module(batch.inputs, batch.observed)
    return {module: lambda *_: dict(found)}


def _norms(lifted: LiftedModule) -> dict[nn.Module, Callable[..., Any]]:
    """Return what batch norm does outside of training, in one pass over memory and under `vmap`."""
    random = {site.name for site in lifted.sites}
    found: dict[nn.Module, Callable[..., Any]] = {}
    for name, norm in lifted.module.named_modules():
        if type(norm) is not nn.BatchNorm1d or not norm.affine or norm.running_var is None:
            continue
        if random.isdisjoint({f"{name}.weight", f"{name}.bias"}):
            scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
            assert norm.running_mean is not None
            shift = norm.bias.detach() - norm.running_mean * scale
            found[norm] = partial(_shifted, shift, scale)
    return found


def _shifted(shift: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    return torch.addcmul(shift, x, scale)
