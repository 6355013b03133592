"""How many posterior draws are enough: until the Monte Carlo error of probabilities is small."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.devices import choose_device
from bayesfuse.evaluation.uncertainty import DrawSummary
from bayesfuse.inference.monte_carlo import monte_carlo_error
from bayesfuse.inference.predictive import LANES, PosteriorPredictive

if TYPE_CHECKING:
    from bayesfuse.estimator.classifier import FusionClassifier

Draws = int | range | Literal["auto"] | None
"""How many draws: a number, which ones, as many as it takes, or the estimator's own."""

TOLERANCE, MAX_DRAWS = 0.005, 1024
"""What `draws="auto"` aims at, and when it gives up."""

MIN_DRAWS = 32
"""The fewest draws of `draws="auto"`: from fewer, a spread is known too badly to stop by it."""

AT_ONCE = 16
"""Draws between two looks at the error."""

NUM_MEASURED = 1024
"""The most items by which the error is measured."""


@dataclass(frozen=True)
class EnoughDraws:
    """How many draws `draws="auto"` came to.

    Attributes:
        draws: Their number, for all items alike, so that draws stay joint.
        error: What `bayesfuse.inference.monte_carlo.monte_carlo_error` is after them.
        tolerance: What it was to be.
        num_items: The items by which it was measured.
    """

    draws: int
    error: float
    tolerance: float
    num_items: int

    @property
    def reached(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tolerance

    def __str__(self) -> str:
        """Say so in a sentence."""
        end = "" if self.reached else f", not the {self.tolerance:g} that was asked for"
        return (
            f"{self.draws} draws: the Monte Carlo error of the probabilities is "
            f"{self.error:.2g}{end} (the worst label's root mean square over {self.num_items:,} "
            "items)."
        )


def enough_draws(
    classifier: FusionClassifier,
    table: FeatureTable,
    *,
    tolerance: float = TOLERANCE,
    max_draws: int = MAX_DRAWS,
    seed: int | None = None,
    kind: str = "joint",
) -> EnoughDraws:
    """Return how many draws it takes until the probabilities' Monte Carlo error is small.

    Draws are made 16 at a time, at least 32, of at most 1,024 of the items, chosen by the seed.
    They are the first draws of all later calls with the same seed, so that the error is that of the
    predictions themselves. Labels that training could say nothing about have draws at the quantiles
    of their base rate, which no number of draws makes better; they do not count.

    Args:
        classifier: A fitted classifier.
        table: The items.
        tolerance: The error to stop at, > 0, a probability.
        max_draws: The most draws, >= 2.
        seed: Seed of the draws; the classifier's if None.
        kind: Which draws, joint or marginal.

    Raises:
        ConfigError: If a number is out of range.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> table = FeatureTable.from_arrays({"text": rng.normal(size=(60, 3))})
        >>> y = (table.batch(slice(None))[0]["text"][:, :2] > 0).astype(int)
        >>> from bayesfuse import FusionClassifier
        >>> fitted = FusionClassifier(hidden=4, epochs=2, annealing_epochs=1).fit(table, y)
        >>> enough_draws(fitted, table, tolerance=0.01).reached
        True
    """
    if not tolerance > 0:
        raise ConfigError(f"tolerance is {tolerance}; expected a probability > 0, such as 0.005.")
    if max_draws < 2:
        raise ConfigError(f"max_draws is {max_draws}; expected at least 2 posterior draws.")
    seed = classifier.seed if seed is None else seed
    if classifier.model_.lifted is None or not len(table):
        return EnoughDraws(1, 0.0, tolerance, len(table))
    free = classifier.model_.network.fixed_logit.isnan().cpu().numpy()
    count = min(len(table), NUM_MEASURED)
    rows = np.random.default_rng([seed, count]).choice(len(table), count, replace=False)
    measured = table.take(np.sort(rows))
    summary, error = DrawSummary(), np.inf
    while summary.num_draws < max_draws:
        first = summary.num_draws
        numbers = range(first, min(first + AT_ONCE, max_draws))
        chunks = classifier.iter_proba(measured, numbers, seed, kind=kind)
        summary.update(np.concatenate([chunk[:, :, free] for chunk in chunks], axis=1))
        if summary.num_draws >= 2:
            error = monte_carlo_error(summary.sd, summary.num_draws)
        if summary.num_draws >= MIN_DRAWS and error <= tolerance:
            break
    return EnoughDraws(summary.num_draws, float(error), tolerance, count)


def numbers_of(
    classifier: FusionClassifier,
    table: FeatureTable,
    draws: int | range | str,
    seed: int | None,
    kind: str,
) -> int | range:
    """Return which draws are meant.

    Raises:
        ConfigError: If none are, or it is another word than `auto`.
    """
    if isinstance(draws, str):
        if draws != "auto":
            raise ConfigError(f'draws is "{draws}"; expected a whole number >= 1, or "auto".')
        return enough_draws(classifier, table, seed=seed, kind=kind).draws
    members = len(classifier.model_.members)
    if isinstance(draws, int) and 1 <= draws < members:
        raise ConfigError(
            f"draws is {draws}; expected at least {members}, one of each member of the mixture."
        )
    if (draws if isinstance(draws, int) else len(draws)) < 1:
        raise ConfigError(f"draws is {draws}; expected at least 1 posterior draw.")
    return draws


def chunks_of(
    predictive: PosteriorPredictive,
    table: FeatureTable,
    device: str,
    draws: int | range,
    memory_budget: int,
) -> Iterator[NDArray[np.float32]]:
    """Yield the draws of some items, `draws x items x labels`, predicted in whole lanes.

    The last lane (see `LANES`) repeats some items, which are left out again.
    """
    left = len(table)
    rows = np.arange(-(-left // LANES) * LANES) % left
    batches = Batches(table.take(rows), None, choose_device(device))
    for chunk in predictive.chunks(batches, draws, memory_budget):
        count = chunk.shape[1]
        if left > 0:
            yield chunk[:, :left]
        left -= count
        del chunk  # or it would stay while the next one is made


def marginal_obstacle(classifier: FusionClassifier, table: FeatureTable) -> str | None:
    """Return why draws of these items cannot be marginal; None if they can."""
    predictive = classifier.model_.predictive(classifier.seed, torch.float32)
    read = classifier._table(table)
    return predictive.marginal_obstacle(Batches(read, None, choose_device(classifier.device)))
