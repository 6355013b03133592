"""Predictive checks of what multi-label data has: do replicates look like the labels?

A check compares statistics of the observed labels with those of label sets that the model draws
for the same items. Statistics come in families (the rate of each label, the number of labels an
item, pairs of labels, whole label sets), since many numbers are looked at and one in twenty of them
is surprising by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.errors import ConfigError, UserError
from bayesfuse.evaluation.arrays import as_pair, as_probability
from bayesfuse.evaluation.text import aligned, json_safe

MIN_ITEMS = 20
"""Strata with fewer items are left out: nothing would be seen in them."""

MOST_COUNTED = 8
"""Numbers of labels an item from here on are one class."""

SHOWN = 12
"""How many of the most surprising statistics are printed."""

RATES, COUNTS, PAIRS, SETS = "label rate", "labels an item", "label pair", "label sets"
FAMILIES = (RATES, COUNTS, PAIRS, SETS)


@dataclass(frozen=True)
class StatisticCheck:
    """One statistic of the observed labels beside its predictive distribution.

    Attributes:
        family: Which kind of statistic: one of `FAMILIES`.
        name: Of what: `Horror`, `Drama + War`, `3 labels`.
        stratum: Of which items, `text missing`; empty for all.
        observed: Its value.
        mean: Mean over replicates.
        low: Their 2.5 % quantile.
        high: Their 97.5 % quantile.
        p: Bayesian p-value, two-sided: how often a replicate is as far out, on either side.
        adjusted: How often a replicate's most extreme statistic of the family and stratum is as
            far out as this one; it counts that one looked at all of them.
    """

    family: str
    name: str
    stratum: str
    observed: float
    mean: float
    low: float
    high: float
    p: float
    adjusted: float


@dataclass(frozen=True)
class FamilyCheck:
    """The statistics of one family in one stratum, taken together.

    Attributes:
        family: One of `FAMILIES`.
        stratum: Of which items; empty for all.
        num_items: How many they are.
        num_statistics: How many were looked at.
        num_outside: How many are outside their 95 % interval; 5 in 100 are, by chance.
        p: How often a replicate has one as far out as the observed labels' most extreme one.
    """

    family: str
    stratum: str
    num_items: int
    num_statistics: int
    num_outside: int
    p: float


@dataclass(frozen=True)
class PredictiveCheck:
    """What a predictive check found; prints as tables.

    Attributes:
        kind: `posterior` or `prior`.
        num_items: Items whose labels were checked.
        num_draws: Draws of the probabilities.
        num_replicates: Replicated data sets.
        families: Families of statistics, in the order of `FAMILIES`, strata last.
        statistics: All statistics, in the same order.
    """

    kind: str
    num_items: int
    num_draws: int
    num_replicates: int
    families: tuple[FamilyCheck, ...]
    statistics: tuple[StatisticCheck, ...]

    def surprising(self, level: float = 0.05) -> tuple[StatisticCheck, ...]:
        """Return the statistics whose adjusted p-value is below `level`, the smallest first."""
        found = [one for one in self.statistics if one.adjusted < level]
        return tuple(sorted(found, key=lambda one: (one.adjusted, one.p)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, texts, lists and dicts, for JSON."""
        return json_safe(asdict(self))  # type: ignore[return-value]  # a dict stays one

    def summary(self) -> str:
        """Return the families as aligned text, without their statistics."""
        head = (
            f"{self.kind} predictive check: {self.num_items:,} items, {self.num_draws} draws, "
            f"{self.num_replicates:,} replicates"
        )
        rows = [
            [
                one.family,
                one.stratum or "all",
                f"{one.num_items:,}",
                str(one.num_statistics),
                str(one.num_outside),
                f"{one.p:.3f}",
            ]
            for one in self.families
        ]
        header = ["statistics", "of", "items", "number", "outside 95 %", "p"]
        return f"{head}\n\n{aligned(header, rows, left=2)}"

    def __str__(self) -> str:
        """Return the families, then the statistics that do not fit, as aligned text."""
        found = self.surprising()
        if not found:
            return f"{self.summary()}\n\nNo statistic is further out than chance has it."
        rows = [
            [
                f"{one.family}: {one.name}",
                one.stratum or "all",
                f"{one.observed:.4g}",
                f"{one.mean:.4g}",
                f"{one.low:.4g} to {one.high:.4g}",
                f"{one.p:.3f}",
                f"{one.adjusted:.3f}",
            ]
            for one in found[:SHOWN]
        ]
        header = ["does not fit", "of", "observed", "predicted", "95 % interval", "p", "adjusted"]
        more = f"\n{len(found) - SHOWN} more in --json" if len(found) > SHOWN else ""
        return f"{self.summary()}\n\n{aligned(header, rows, left=2)}{more}"


def predictive_check(
    probability: ArrayLike,
    labels: ArrayLike,
    label_names: Sequence[str],
    *,
    strata: Mapping[str, ArrayLike] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    kind: str = "posterior",
) -> PredictiveCheck:
    r"""Compare statistics of labels with those of replicates that the model draws.

    .. math:: y^{(r)}_{ic} \sim \text{Bernoulli}(p^{(s)}_{ic}), \qquad
        p_T = 2 \min\left(\Pr(T(y^{(r)}) \ge T(y)), \Pr(T(y^{(r)}) \le T(y))\right)

    with ties counted by half. Replicate r is of draw s = r mod S. The adjusted p-value compares the
    distance of a statistic from its replicates' mean, in their standard deviations (of its root,
    where it is a share, so that rare and common ones are alike), with the largest such distance of
    each replicate: it holds for all statistics of a family at once, however they depend on each
    other.

    Args:
        probability: `draws x items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        label_names: One name a label.
        strata: Name to mask, `items`; rates of labels and their number are looked at in each, too,
            if it has at least `MIN_ITEMS` items and is not all of them.
        replicates: Replicated data sets, >= 100.
        seed: Of the replicates.
        kind: Of which predictive the draws are: `posterior` or `prior`.

    Raises:
        UserError: If shapes or values do not fit.
        ConfigError: If there are too few replicates for a p-value.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> p = np.full((4, 400, 2), 0.3)
        >>> good = predictive_check(p, rng.random((400, 2)) < 0.3, ["Drama", "War"])
        >>> bad = predictive_check(p, rng.random((400, 2)) < 0.5, ["Drama", "War"])
        >>> [one.p < 0.01 for one in (good.families[0], bad.families[0])]
        [False, True]

    Reference: Gelman, Meng & Stern 1996, eq. 7 and 8, for the p-value; Westfall & Young 1993,
    algorithm 2.5 (single-step maxT), for the adjustment.
    """
    p = as_probability(probability)
    if p.ndim != 3:
        raise UserError(f"Got draws of shape {p.shape}; expected draws x items x labels.")
    _, y = as_pair(p[0], labels)
    if len(label_names) != y.shape[1]:
        raise UserError(
            f"Got {len(label_names)} label names for {y.shape[1]} columns; expected one a label."
        )
    if replicates < 100:
        raise ConfigError(
            f"replicates is {replicates}; expected at least 100, so that there is a p-value."
        )
    masks = {"": np.ones(len(y), np.bool_)}
    for name, mask in (strata or {}).items():
        chosen = np.asarray(mask, np.bool_)
        if chosen.shape != (len(y),):
            raise UserError(f'The stratum "{name}" has shape {chosen.shape}; expected {len(y)}.')
        if MIN_ITEMS <= chosen.sum() < len(y):
            masks[name] = chosen
    layout = _Layout(tuple(label_names), masks)
    observed = layout.of(y)
    rng = np.random.default_rng([seed, 2])
    drawn = np.empty((replicates, len(observed)))
    for r in range(replicates):
        drawn[r] = layout.of(rng.random(y.shape, np.float32) < p[r % len(p)])
    families, statistics = [], []
    for family, stratum, part in layout.parts:
        names = layout.names[part]
        num_items = int(masks[stratum].sum())
        spread = _roots(drawn[:, part], num_items), _roots(observed[part], num_items)
        adjusted = _adjusted(*spread)
        tails = _two_sided(drawn[:, part], observed[part])
        low, high = np.quantile(drawn[:, part], (0.025, 0.975), axis=0)
        mean, told = drawn[:, part].mean(axis=0), observed[part]
        statistics += [
            StatisticCheck(family, name, stratum, *map(float, numbers))
            for name, *numbers in zip(names, told, mean, low, high, tails, adjusted, strict=True)
        ]
        outside = int(((told < low) | (told > high)).sum())
        least = float(adjusted.min())
        families.append(FamilyCheck(family, stratum, num_items, len(names), outside, least))
    return PredictiveCheck(kind, len(y), len(p), replicates, tuple(families), tuple(statistics))


class _Layout:
    """Which statistics there are, and their values for one set of labels."""

    def __init__(self, labels: tuple[str, ...], masks: Mapping[str, NDArray[np.bool_]]) -> None:
        counts = [
            f"{k} label{'' if k == 1 else 's'}" for k in range(min(len(labels), MOST_COUNTED))
        ]
        counts += [f"{len(counts)} labels or more", "mean", "standard deviation"]
        pairs = [f"{a} + {b}" for a, b in combinations(labels, 2)]
        sets = ["different sets", "largest set", "items alone with their set", "commonest set"]
        self.names: list[str] = []
        self.parts: list[tuple[str, str, slice]] = []
        self.masks = {name: np.flatnonzero(mask) for name, mask in masks.items()}
        self.classes = len(counts) - 2
        self.upper = np.triu_indices(len(labels), 1)
        # a random hash a label: two sets have the same sum by a chance of one in 2^64
        self.hashes = np.random.default_rng(0).integers(2**63, size=len(labels), dtype=np.uint64)
        whole = [(RATES, labels), (COUNTS, counts), (PAIRS, pairs), (SETS, sets)]
        for stratum in masks:
            for family, names in whole if not stratum else whole[:2]:
                if names:
                    start = len(self.names)
                    self.names += names
                    self.parts.append((family, stratum, slice(start, len(self.names))))

    def of(self, y: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return all statistics of `items x labels`."""
        found: list[NDArray[Any]] = []
        sizes = y.sum(axis=1)
        for stratum, rows in self.masks.items():
            part, size = (y, sizes) if not stratum else (y[rows], sizes[rows])
            found += [part.mean(axis=0), self._counts(size)]
            if not stratum:
                ones = y.astype(np.float32)  # counts are exact up to 2^24 items
                found += [(ones.T @ ones)[self.upper] / len(y), self._sets(y, sizes)]
        return np.concatenate(found).astype(np.float64)

    def _counts(self, sizes: NDArray[Any]) -> NDArray[np.float64]:
        classes = np.bincount(np.minimum(sizes, self.classes - 1), minlength=self.classes)
        return np.append(classes / len(sizes), [sizes.mean(), sizes.std()])

    def _sets(self, y: NDArray[np.bool_], sizes: NDArray[Any]) -> NDArray[np.float64]:
        _, counts = np.unique(y.astype(np.uint64) @ self.hashes, return_counts=True)
        alone = (counts == 1).sum() / len(y)
        return np.array([len(counts), sizes.max(), alone, counts.max() / len(y)], np.float64)


def _roots(values: NDArray[np.float64], num_items: int) -> NDArray[np.float64]:
    """Return the roots of counts, whose spread hardly depends on how large they are."""
    return np.sqrt(values * num_items + 0.375)


def _adjusted(drawn: NDArray[np.float64], observed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how often the largest distance of a replicate is at least that of each statistic."""
    # the observed one among the replicates: a rank among equals, if the model is right
    together = np.vstack([drawn, observed])
    mean, sd = together.mean(axis=0), together.std(axis=0)
    far = np.divide(np.abs(together - mean), sd, out=np.zeros_like(together), where=sd > 1e-9)
    most = np.sort(far[:-1].max(axis=1))
    beyond = len(most) - np.searchsorted(most, far[-1] - 1e-9)
    return np.asarray((beyond + 1) / (len(most) + 1), np.float64)


def _two_sided(drawn: NDArray[np.float64], observed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return two-sided Bayesian p-values, ties counted by half."""
    tie = np.isclose(drawn, observed, rtol=1e-12, atol=1e-12)
    upper = ((drawn > observed) & ~tie).sum(axis=0) + 0.5 * tie.sum(axis=0)
    share = (upper + 0.5) / (len(drawn) + 1)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(share, 1 - share)), np.float64)
