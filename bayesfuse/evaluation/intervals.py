"""Every score with its bootstrap interval over items, pooled and a label at a time."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import ArrayLike

from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.evaluation.arrays import Bools, Floats, as_pair
from bayesfuse.evaluation.binned import Binner
from bayesfuse.evaluation.decomposition import PARTS, brier_parts
from bayesfuse.evaluation.metrics import nll_terms
from bayesfuse.evaluation.resampling import (
    NUM_REPLICATES,
    Array,
    Bootstrap,
    Statistic,
    bootstrap,
)
from bayesfuse.evaluation.selective import COVERAGES, decision_losses, risk_statistic
from bayesfuse.evaluation.thresholds import DEFAULT, decide

SHOWN = 3
"""Labels of an item that a user is shown, for the calibration error of those."""

RISKS = tuple(f"risk_at_{round(100 * coverage)}" for coverage in COVERAGES)
"""Names of the risks at `COVERAGES`."""

SIGNED = ("ece_debiased", "brier_within_bins")
"""Scores that may be below 0."""


_STATISTIC = {
    **{f"brier_{name}": "brier_parts" for name in PARTS},
    **dict.fromkeys(("aurc", *RISKS), "risks"),
}
"""Scores that are columns of one statistic."""


def bootstrap_scores(
    probability: ArrayLike,
    labels: ArrayLike,
    thresholds: ArrayLike = DEFAULT,
    *,
    k: int = SHOWN,
    only: Collection[str] | None = None,
    replicates: int = NUM_REPLICATES,
    seed: int = 0,
) -> dict[str, Bootstrap]:
    r"""Return every pooled score on the items and on resamples of them.

    Two models' scores on the same items with the same seed come from the same resamples, so that
    `mine["nll"] - theirs["nll"]` is paired.

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        thresholds: One number, or one a label, chosen on other items; for `macro_f1` and
            `micro_f1` only.
        k: How many labels a user is shown, for `ece_shown`.
        only: Names of the scores to return, which saves the time of the others; all if None.
        replicates: Number of resamples.
        seed: Seed of the resamples.

    Returns:
        Name to score, each a number: `macro_ap`, `nll` (nats), `brier` and its parts
        `brier_reliability`, `brier_resolution`, `brier_uncertainty` and `brier_within_bins`;
        `ece` (equal width), `ece_equal_mass`, `ece_debiased` (equal mass), `ece_shown`;
        `sharpness`, the mean of :math:`p (1 - p)`, which is the Brier score that the model
        promises; `macro_f1`, `micro_f1`; `aurc` and `risk_at_50` ... `risk_at_100` of decisions
        at 0.5, all labels' pooled.

    Raises:
        UserError: If shapes or values do not fit, or a number is below 1.
        ConfigError: If there is no such score.

    Example:
        >>> scores = bootstrap_scores([[0.9, 0.2], [0.6, 0.7]], [[1, 0], [0, 1]])
        >>> round(float(scores["brier"].estimate), 3)
        0.125
    """
    p, y = as_pair(probability, labels)
    together = Binner(p, y, binning="equal-mass")
    every: dict[str, Statistic] = {
        "macro_ap": _macro(_average_precision(p, y)),
        "nll": _pooled_mean(nll_terms(p, y)),
        "brier": _pooled_mean(_squares(p, y)),
        "brier_parts": _first(brier_parts(p, y)),
        "ece": _first(Binner(p, y).error),
        "ece_equal_mass": _first(together.error),
        "ece_debiased": _first(together.debiased_error),
        "ece_shown": _first(Binner.shown(p, y, k).error),
        "sharpness": _pooled_mean(_spread(p)),
        "macro_f1": _macro(_f1(decide(p, thresholds), y)),
        "micro_f1": _f1(decide(p, thresholds), y, micro=True),
        "risks": risk_statistic(*decision_losses(p, y)),
    }
    known = tuple(sorted({*every, *_STATISTIC} - set(_STATISTIC.values())))
    unknown = [name for name in only or () if name not in known]
    if unknown:
        raise ConfigError(" ".join(unknown_option("score", name, known) for name in unknown))
    wanted = set(every) if only is None else {_STATISTIC.get(name, name) for name in only}
    every = {name: statistic for name, statistic in every.items() if name in wanted}
    found = bootstrap(every, len(p), replicates=replicates, seed=seed, numbers_an_item=p.shape[1])
    if "brier_parts" in found:
        parts = found.pop("brier_parts")
        found |= {f"brier_{name}": _column(parts, at) for at, name in enumerate(PARTS)}
    if "risks" in found:
        risks = found.pop("risks")
        found |= {name: _column(risks, at) for at, name in enumerate(("aurc", *RISKS))}
    return found if only is None else {name: found[name] for name in only}


def bootstrap_scores_per_label(
    probability: ArrayLike,
    labels: ArrayLike,
    thresholds: ArrayLike = DEFAULT,
    *,
    replicates: int = NUM_REPLICATES,
    seed: int = 0,
) -> dict[str, Bootstrap]:
    """Return every score of each label on the items and on resamples of them.

    Args:
        probability: See `bootstrap_scores`.
        labels: See `bootstrap_scores`.
        thresholds: See `bootstrap_scores`.
        replicates: See `bootstrap_scores`.
        seed: See `bootstrap_scores`.

    Returns:
        Name to scores, each `labels`: `average_precision`, `nll`, `brier` and its parts, `ece`,
        `ece_equal_mass`, `ece_debiased`, `sharpness`, `f1` and `aurc`; NaN where a label that no
        item has leaves one undefined.

    Raises:
        UserError: See `bootstrap_scores`.
    """
    p, y = as_pair(probability, labels)
    apart = Binner(p, y, by_label=True, binning="equal-mass")
    confidence, loss = decision_losses(p, y)
    curves = [risk_statistic(confidence[:, c], loss[:, c], ()) for c in range(p.shape[1])]
    every: dict[str, Statistic] = {
        "average_precision": _average_precision(p, y),
        "nll": _mean(nll_terms(p, y)),
        "brier": _mean(_squares(p, y)),
        "brier_parts": brier_parts(p, y, by_label=True),
        "ece": Binner(p, y, by_label=True).error,
        "ece_equal_mass": apart.error,
        "ece_debiased": apart.debiased_error,
        "sharpness": _mean(_spread(p)),
        "f1": _f1(decide(p, thresholds), y),
        "aurc": lambda weights: np.concatenate([curve(weights) for curve in curves], axis=1),
    }
    found = bootstrap(every, len(p), replicates=replicates, seed=seed, numbers_an_item=p.shape[1])
    parts = found.pop("brier_parts")
    return found | {f"brier_{name}": _column(parts, at) for at, name in enumerate(PARTS)}


def score_ends(name: str, score: Bootstrap, level: float) -> tuple[Array, Array]:
    """Return the ends of a score's interval, where the score can be; each of the score's shape.

    Args:
        name: The score, as `bootstrap_scores` or `bootstrap_scores_per_label` call it.
        score: The score.
        level: How often such an interval holds the truth, in (0, 1).

    Raises:
        UserError: If the level is not in (0, 1).
    """
    low, high = score.ends(level, -np.inf if name in SIGNED else 0.0)
    return low, high if name == "nll" else np.minimum(high, 1.0)


def _squares(p: Floats, y: Bools) -> Array:
    return np.asarray(np.square(p.astype(np.float64) - y))


def _spread(p: Floats) -> Array:
    return np.asarray(p.astype(np.float64) * (1 - p.astype(np.float64)))


def _column(score: Bootstrap, at: int) -> Bootstrap:
    """Return one column, the last axis', of a score of several."""
    return Bootstrap(score.estimate[..., at], score.replicates[..., at], score.resampled)


def _first(statistic: Statistic) -> Statistic:
    """Return a statistic of the one group that all predictions are pooled in."""
    return lambda weights: statistic(weights)[:, 0]


def _mean(terms: Array) -> Statistic:
    """Return the weighted mean over items of terms `items x labels`, `replicates x labels`."""
    return lambda weights: weights @ terms / weights.sum(axis=1, keepdims=True)


def _pooled_mean(terms: Array) -> Statistic:
    """Return the weighted mean over items and labels, `replicates`."""
    return _first(_mean(terms.mean(axis=1, keepdims=True)))


def _macro(statistic: Statistic) -> Statistic:
    """Return the mean over the labels of which the score is defined, `replicates`."""

    def macro(weights: Array) -> Array:
        values = statistic(weights)
        defined = ~np.isnan(values)
        total = np.where(defined, values, 0.0).sum(axis=1)
        return np.asarray(total / np.where(defined.any(axis=1), defined.sum(axis=1), np.nan))

    return macro


def _f1(decisions: Bools, y: Bools, *, micro: bool = False) -> Statistic:
    """Return F1, `replicates x labels`, or that of all decisions at once, `replicates`."""
    sums = [part.astype(np.float64) for part in (decisions & y, decisions, y)]
    if micro:
        sums = [part.sum(axis=1) for part in sums]

    def f1(weights: Array) -> Array:
        hits, yes, true = (weights @ part for part in sums)
        return np.asarray(2 * hits / np.where(true > 0, yes + true, np.nan))

    return f1


def _average_precision(p: Floats, y: Bools) -> Statistic:
    """Return average precision, `replicates x labels`; equal probabilities enter together."""
    orders = np.argsort(-p, axis=0, kind="stable").T
    columns = []
    for order, scores, hits in zip(orders, p.T, y.T, strict=True):
        ranked = scores[order]
        starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
        columns.append((order, starts, hits[order]))

    def average_precision(weights: Array) -> Array:
        found = np.empty((len(weights), len(columns)))
        for column, (order, starts, hits) in enumerate(columns):
            ranked = weights[:, order]
            accepted = np.cumsum(np.add.reduceat(ranked, starts, axis=1), axis=1)
            gained = np.add.reduceat(ranked * hits, starts, axis=1)
            true = np.cumsum(gained, axis=1)
            precision = true / np.where(accepted > 0, accepted, 1.0)
            positives = np.where(true[:, -1] > 0, true[:, -1], np.nan)
            found[:, column] = (precision * gained).sum(axis=1) / positives
        return found

    return average_precision
