"""How far a score would move with other items: the bootstrap, paired for differences.

A score is given as a function of how often each item counts, so that a thousand resamples are one
matrix product rather than a thousand passes over the items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bayesfuse.errors import UserError

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""From weights of items, `replicates x items`, to a score: `replicates`, or `replicates x ...`."""

NUM_REPLICATES = 1000
"""Enough for the ends of a 95 % interval to be steady in their second digit (Efron 1987)."""

NUMBERS_AT_ONCE = 2**23
"""Numbers that the weights of a chunk of replicates may take, spread over an item's labels."""


@dataclass(frozen=True)
class Interval:
    """A score with the interval in which it would lie for other items of the same kind.

    Attributes:
        estimate: On the items at hand.
        low: Lower end; NaN where the score is not defined.
        high: Upper end.
    """

    estimate: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside: a difference that other items are unlikely to turn round."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, eq=False)
class Bootstrap:
    r"""A score, and what it is on each resample of the items.

    The interval is the basic one, the replicates' quantiles mirrored at the estimate:

    .. math:: [\, 2 \hat\theta - q_{1 - \alpha/2}, \; 2 \hat\theta - q_{\alpha/2} \,]

    Calibration error grows in resamples, in which items come twice, about as much as the estimate
    itself exceeds the truth; mirrored, the one takes away the other.

    Attributes:
        estimate: The score, a number or an array such as `labels`.
        replicates: The same on each resample, `replicates x ...`.
        resampled: Number of items, number of replicates and seed: scores of which these agree come
            from the same resamples, and their difference is paired.

    Reference: Davison and Hinkley 1997, Bootstrap Methods and their Application, eq. 5.6.
    """

    estimate: Array
    replicates: Array
    resampled: tuple[int, int, int]

    def __sub__(self, other: Bootstrap) -> Bootstrap:
        """Return the paired difference.

        Raises:
            UserError: If the two come from different resamples.
        """
        if self.resampled != other.resampled:
            raise UserError(
                f"Got scores of {self.resampled} and {other.resampled} (items, replicates, seed); "
                "expected both on the same resamples of the same items."
            )
        return Bootstrap(
            self.estimate - other.estimate, self.replicates - other.replicates, self.resampled
        )

    def ends(self, level: float = 0.95, lowest: float = -np.inf) -> tuple[Array, Array]:
        """Return the lower and the upper end, each of the score's shape.

        Args:
            level: How often such an interval holds the truth, in (0, 1).
            lowest: What the score cannot be below, such as 0 for an error.

        Raises:
            UserError: If the level is not in (0, 1).
        """
        if not 0 < level < 1:
            raise UserError(f"Got the level {level}; expected a number between 0 and 1.")
        tails = ((1 - level) / 2, (1 + level) / 2)
        # Where a score is defined in no replicate, its ends are NaN without a warning.
        lost = np.isnan(self.replicates).all(axis=0)
        kept = np.where(lost, 0.0, self.replicates)
        below, above = np.nanquantile(kept, tails, axis=0)
        gone = lost | np.isnan(self.estimate)
        ends = [np.where(gone, np.nan, 2 * self.estimate - end) for end in (above, below)]
        return np.maximum(ends[0], lowest), np.maximum(ends[1], lowest)

    def interval(self, level: float = 0.95, lowest: float = -np.inf) -> Interval:
        """Return the interval of a score that is one number (see `ends`)."""
        low, high = self.ends(level, lowest)
        return Interval(float(self.estimate), float(low), float(high))

    @classmethod
    def mean(cls, parts: Sequence[Self]) -> Bootstrap:
        """Return the mean of scores on the same resamples, such as those of several seeds."""
        resampled = {part.resampled for part in parts}
        if len(resampled) != 1:
            raise UserError(
                f"Got scores of {len(resampled)} kinds of resamples; expected the same of all."
            )
        return Bootstrap(
            np.mean([part.estimate for part in parts], axis=0),
            np.mean([part.replicates for part in parts], axis=0),
            parts[0].resampled,
        )


def bootstrap(
    statistics: Mapping[str, Statistic],
    num_items: int,
    *,
    replicates: int = NUM_REPLICATES,
    seed: int = 0,
    numbers_an_item: int = 1,
) -> dict[str, Bootstrap]:
    """Return every score on the items and on resamples of them, the same for all scores.

    Args:
        statistics: Name to score.
        num_items: Number of items.
        replicates: Number of resamples, >= 1.
        seed: Seed of the resamples.
        numbers_an_item: How many numbers a score keeps an item, such as its labels; only memory
            depends on it.

    Raises:
        UserError: If a number is below 1.

    Example:
        >>> values = np.arange(100.0)
        >>> scores = {"mean": lambda w: w @ values / w.sum(axis=1)}
        >>> scores |= {"half": lambda w: w @ (values / 2 + 1) / w.sum(axis=1)}
        >>> found = bootstrap(scores, 100)
        >>> interval = found["mean"].interval()
        >>> interval.estimate, round(interval.low, 1), round(interval.high, 1)
        (49.5, 43.7, 55.0)
        >>> (found["mean"] - found["half"]).interval().excludes_zero
        True

    Reference: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 6.
    """
    if num_items < 1 or replicates < 1:
        raise UserError(
            f"Got {num_items} items and {replicates} replicates; expected at least 1 of each."
        )
    estimates = {name: score(np.ones((1, num_items)))[0] for name, score in statistics.items()}
    parts: dict[str, list[Array]] = {name: [] for name in statistics}
    for weights in resamples(num_items, replicates, seed, numbers_an_item):
        for name, score in statistics.items():
            parts[name].append(score(weights))
    resampled = (num_items, replicates, seed)
    return {
        name: Bootstrap(np.asarray(estimates[name]), np.concatenate(parts[name]), resampled)
        for name in statistics
    }


def resamples(
    num_items: int, replicates: int, seed: int, numbers_an_item: int = 1
) -> Iterator[Array]:
    """Yield how often each item comes in each resample, `replicates x items`, chunk by chunk.

    The numbers do not depend on the size of the chunks.
    """
    rng = np.random.default_rng(seed)
    shares = np.full(num_items, 1 / num_items)
    chunk = max(1, NUMBERS_AT_ONCE // (num_items * numbers_an_item))
    for start in range(0, replicates, chunk):
        size = min(chunk, replicates - start)
        yield rng.multinomial(num_items, shares, size=size).astype(np.float64)
