"""Posterior draws of the probabilities: always the posterior, never its plug-in twin.

A draw is one set of weights for all items, so draws are joint over items: the same `draw` index is
the same network everywhere, however the items are cut into chunks. Marginal draws, which are right
for one item at a time, cost a fraction (see `bayesfuse.inference.marginal_draws`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn

from bayesfuse.data.batches import Batch, Batches, cut
from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.inference.guides import Guide
from bayesfuse.inference.lifting import LiftedModule
from bayesfuse.inference.linear_layers import first_layers, replaced_forwards
from bayesfuse.inference.local_params import with_local_params
from bayesfuse.inference.marginal_draws import MarginalDraws, standardised
from bayesfuse.inference.mixture import Member
from bayesfuse.inference.seeding import seeded
from bayesfuse.inference.weight_draws import WeightDraws

LANES = 16
"""Items are predicted in multiples of this, with some repeated. Vectorised loops round a remainder
otherwise than the rest: without it, a probability depends on how many items came with it ten times
as often, in the last bit or two of float32."""

DEFAULT_MEMORY_BUDGET = 512 * 2**20
"""Bytes that the draws of one chunk of items may take."""

HEARD_AT_ONCE = 16
"""Draws for which what items hear of each other is worked out in one call."""

ITEMS_AT_ONCE = 1024
"""Items that go through the network together: what lies between two operations stays in the cache,
and what is alike in all draws is made once."""

DRAW_KINDS = ("joint", "marginal")
"""One network for all items a draw; or what is right for one item at a time, and far cheaper."""


class PosteriorPredictive:
    r"""Draws p^(s)_ic = σ(logit_ic(θ^(s), φ)) with θ^(s) from the guide.

    Args:
        network: `(inputs, observed) -> logits`, items x labels; with a buffer `fixed_logit` for
            the labels that training could say nothing about, if it has any. If items hear others:
            with further arguments `blocks` and `heard`, and a method `hear_draws` (see
            `bayesfuse.models.network.FusionNetwork`).
        lifted: The network lifted; None for a deterministic network, of which all draws agree.
        guide: The guide of `lifted`.
        num_items: N, the number of training items behind the base rate of a fixed label.
        seed: The draws' seed.
        precision: `torch.bfloat16` to run the network (not the draws, nor the sigmoid) in it.
        prior: Draw the weights from their prior in place of the guide: the prior predictive.
        kind: One of `DRAW_KINDS`.
        others: Further members of a mixture, of networks like this one: draw s is of member
            s mod K, with all that member's weights.
    """

    def __init__(
        self,
        network: nn.Module,
        lifted: LiftedModule | None,
        guide: Guide | None,
        *,
        num_items: int,
        seed: int = 0,
        precision: torch.dtype = torch.float32,
        prior: bool = False,
        kind: str = "joint",
        others: Sequence[Member] = (),
    ) -> None:
        if kind not in DRAW_KINDS:
            raise ConfigError(unknown_option("kind of draws", kind, DRAW_KINDS))
        self.network, self.lifted, self.guide = network, lifted, guide
        self.num_items, self.seed, self.precision = num_items, seed, precision
        self.prior, self.kind = prior, kind
        self.members: tuple[Member, ...] = ()
        if lifted is not None and guide is not None:
            self.members = (Member(lifted, guide), *others)
        self._draws: list[WeightDraws] = []

    def weights(self, draw: int) -> dict[str, Tensor]:
        """Return the weights of one draw by site; the same for the same seed and number.

        Of a mixture they come with what is not random, which differs from member to member.
        """
        self._prepare()
        return self._weights(draw)

    def seed_of(self, draw: int) -> int:
        """Return the seed of torch's generator from which one draw of the weights is made."""
        return int(np.random.SeedSequence([self.seed, draw]).generate_state(1, np.uint64)[0] >> 1)

    def chunks(
        self,
        batches: Batches,
        draws: int | range,
        memory_budget: int = DEFAULT_MEMORY_BUDGET,
    ) -> Iterator[NDArray[np.float32]]:
        """Yield probabilities, `draws x items x labels`, for one chunk of items after the other.

        Args:
            batches: The items.
            draws: Number of posterior draws, >= 1, or which ones, `range(8, 16)`; a deterministic
                network has one, whatever is asked for.
            memory_budget: Bytes that a chunk may take.

        Raises:
            ConfigError: If draws are to be marginal and cannot be (see `marginal_obstacle`).
        """
        self._prepare()
        numbers = self._numbers(draws)
        num_labels = self.network.get_buffer("fixed_logit").shape[0]
        chunk = self._chunk(batches, len(numbers) * num_labels, memory_budget)
        marginal = self._marginal(batches) if self.kind == "marginal" else None
        joint = marginal is None and chunk < len(batches)
        cached = self._cache(numbers, memory_budget) if joint else None
        base_rates = self._base_rate_draws(len(numbers))
        for batch in batches.in_order(chunk):
            found = np.empty((len(numbers), len(batch.observed), num_labels), np.float32)
            with self._evaluating():
                if marginal is not None:
                    seeds = [self.seed_of(draw) for draw in numbers]
                    mixed = self._mixed(batch.observed.device)
                    marginal.fill(found, batch, seeds, mixed, memory_budget)
                else:
                    for draw, logits in enumerate(self._logits_of_draws(batch, numbers, cached)):
                        found[draw] = torch.sigmoid(logits.float()).cpu().numpy()
            for label, rates in base_rates.items():
                found[:, :, label] = rates[:, None]
            yield found
            del found  # or it would stay while the next one is made

    def relation_attention(
        self, batches: Batches, draws: int, memory_budget: int = DEFAULT_MEMORY_BUDGET
    ) -> Iterator[NDArray[np.float32]]:
        """Yield how much items attend to each relation, `draws x items x relations`, by chunks.

        The draws are those of `chunks`. The network has a method `relation_attention` for it (see
        `bayesfuse.models.network.FusionNetwork`).

        Args:
            batches: The items.
            draws: See `chunks`.
            memory_budget: See `chunks`.

        Raises:
            ConfigError: If the network hears no relations by themselves.
        """
        network: Any = self.network
        self._prepare()
        numbers = self._numbers(draws)
        chunk = self._chunk(batches, len(numbers) * len(network.relations), memory_budget)
        cached = self._cache(numbers, memory_budget) if chunk < len(batches) else None
        for batch in batches.in_order(chunk):
            parts = []
            for weights in self._weights_of_draws(numbers, HEARD_AT_ONCE, cached):
                with torch.no_grad(), self._evaluating(), self._mixed(batch.observed.device):
                    told: Tensor = network.relation_attention(
                        weights, batch.inputs, batch.observed, batch.blocks
                    )
                parts.append(told.float().cpu().numpy())
            yield np.concatenate(parts)

    def mean(self, batches: Batches, draws: int) -> NDArray[np.float32]:
        """Return the predictive probability, the mean over draws, `items x labels`."""
        parts = [chunk.mean(axis=0) for chunk in self.chunks(batches, draws)]
        return np.concatenate(parts)

    def marginal_obstacle(self, batches: Batches) -> str | None:
        """Return why draws of these items cannot be marginal; None if they can."""
        if self.lifted is None or self.guide is None:
            return None
        if self.prior:
            return "they are drawn from the prior"
        if len(self.members) > 1:
            return f"the posterior is a mixture of {len(self.members)} members"
        batch = batches.read(slice(0, 1))
        if batch.blocks is not None:
            return "items hear each other, through weights that are random or learned"
        if not self._first_layers(batch):
            return (
                "no layer reads the features with random weights that are independent of each other"
            )
        return None

    def _first_layers(self, batch: Batch) -> list[str]:
        assert self.lifted is not None
        assert self.guide is not None
        with self._evaluating():
            return first_layers(self.lifted, self.guide, batch.inputs, batch.observed)

    def _marginal(self, batches: Batches) -> MarginalDraws | None:
        """Return what makes marginal draws; None for a network without posterior."""
        if self.lifted is None or self.guide is None:
            return None
        obstacle = self.marginal_obstacle(batches)
        if obstacle is not None:
            raise ConfigError(
                f"The draws cannot be marginal: {obstacle}. Have joint ones (--draw-kind joint, "
                'kind="joint").'
            )
        layers = self._first_layers(batches.read(slice(0, 1)))
        return MarginalDraws(self.lifted, self.guide, layers)

    def _chunk(self, batches: Batches, outputs: int, memory_budget: int) -> int:
        """Return how many items to predict at a time, so many numbers an item coming out."""
        an_item = 4 * (outputs + batches.features.numbers_an_item + 4 * self._hidden())
        return int(max(LANES, memory_budget // max(1, an_item) // LANES * LANES))

    def _hidden(self) -> int:
        """Return the widest layer's units, for the memory that a forward pass takes an item."""
        return max(
            (p.shape[0] for p in self.network.parameters() if p.dim() > 1),
            default=1,
        )

    def _numbers(self, draws: int | range) -> range:
        """Return which draws are meant; the one there is of a deterministic network."""
        if self.lifted is None:
            return range(1)
        return range(draws) if isinstance(draws, int) else draws

    def _cache(self, numbers: range, memory_budget: int) -> dict[int, dict[str, Tensor]] | None:
        """Return all draws' weights if they fit in the budget, so that chunks share them."""
        if self.lifted is None:
            return None
        a_draw = 4 * sum(site.shape.numel() for site in self.lifted.sites)
        if len(numbers) * a_draw > memory_budget:
            return None
        return {draw: self._weights(draw) for draw in numbers}

    def _prepare(self) -> None:
        """Work out what draws from the guide, as it is now, have in common."""
        if not self.prior:
            self._draws = [WeightDraws(m.lifted, m.guide) for m in self.members]

    @with_local_params
    @torch.no_grad()
    def _weights(self, draw: int) -> dict[str, Tensor]:
        if not self.members:
            return {}
        number = draw % len(self.members)
        member = self.members[number]
        with seeded(self.seed_of(draw), next(member.guide.parameters()).device):
            weights = member.from_prior() if self.prior else self._draws[number]()
        return weights if len(self.members) == 1 else {**member.fixed(), **weights}

    def _logits_of_draws(
        self, batch: Batch, numbers: range, cached: dict[int, dict[str, Tensor]] | None
    ) -> Iterator[Tensor]:
        """Yield the logits of each draw, `items x labels`."""
        if batch.blocks is not None:
            for some in self._weights_of_draws(numbers, HEARD_AT_ONCE, cached):
                heard = self._heard(some, batch)
                for place, weights in enumerate(some):
                    yield self._logits(weights, batch, heard[place])
            return
        tiles = [batch.part(some) for some in cut(len(batch.observed), ITEMS_AT_ONCE)]
        with self._mixed(batch.observed.device):
            ready = [standardised(self.network, tile) for tile in tiles]
        for (weights,) in self._weights_of_draws(numbers, 1, cached):
            parts = []
            for tile, replaced in zip(tiles, ready, strict=True):
                with replaced_forwards(replaced):
                    parts.append(self._logits(weights, tile, None))
            yield torch.cat(parts)

    def _weights_of_draws(
        self, numbers: range, together: int, cached: dict[int, dict[str, Tensor]] | None
    ) -> Iterator[list[dict[str, Tensor]]]:
        """Yield the weights of so many draws at a time."""
        for start in range(0, len(numbers), together):
            some = numbers[start : start + together]
            yield [cached[n] if cached is not None else self._weights(n) for n in some]

    @torch.no_grad()
    def _heard(self, weights: list[dict[str, Tensor]], batch: Batch) -> Tensor:
        """Return what items hear under some draws, `draws x items x features`."""
        network: Any = self.network
        with self._mixed(batch.observed.device):
            heard: Tensor = network.hear_draws(weights, batch.inputs, batch.observed, batch.blocks)
        return heard

    @torch.no_grad()
    def _logits(self, weights: dict[str, Tensor], batch: Batch, heard: Tensor | None) -> Tensor:
        linked = () if heard is None else (batch.blocks, heard)
        with self._mixed(batch.observed.device):
            if self.lifted is None:
                logits: Tensor = self.network(batch.inputs, batch.observed, *linked)
            else:
                logits = self.lifted.run(weights, batch.inputs, batch.observed, *linked)
        return logits

    def _mixed(self, device: torch.device) -> torch.autocast:
        """Return a context in which products have the precision that was asked for."""
        mixed = self.precision != torch.float32
        return torch.autocast(device.type, dtype=self.precision, enabled=mixed)

    def _base_rate_draws(self, draws: int) -> dict[int, NDArray[np.float32]]:
        """Return draws of the base rate of each fixed label: label -> `draws`.

        k positives of N items leave Beta(k + ½, N − k + ½) (Jeffreys); its draws are its quantiles
        at the midpoints, in a random order, so that even few draws have its spread.
        """
        fixed = self.network.get_buffer("fixed_logit").cpu().double()
        found: dict[int, NDArray[np.float32]] = {}
        for label in np.flatnonzero(~fixed.isnan().numpy()):
            if draws == 1:
                found[int(label)] = torch.sigmoid(fixed[label]).numpy()[None].astype(np.float32)
                continue
            k = 0 if fixed[label] < 0 else self.num_items
            order = np.random.default_rng([self.seed, int(label)]).permutation(draws)
            points = (order + 0.5) / draws
            rates = stats.beta.ppf(points, k + 0.5, self.num_items - k + 0.5)
            # float32 rounds a rate as near to 1 as that to 1, which would be a certainty
            below_one = np.nextafter(np.float32(1), np.float32(0))
            found[int(label)] = np.asarray(rates, np.float32).clip(max=below_one)
        return found

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Put the network in evaluation mode (no dropout, running batch statistics) and back."""
        training = self.network.training
        self.network.eval()
        try:
            yield
        finally:
            self.network.train(training)
