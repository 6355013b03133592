"""The pooled scores of a report, each with its interval over items."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import ArrayLike

from bayesfuse.evaluation.intervals import bootstrap_scores, score_ends
from bayesfuse.evaluation.resampling import NUM_REPLICATES, Interval

MOST_NUMBERS = 2e7
"""Items x labels x resamples: a few seconds' worth. The fewer items, the more resamples."""

FEWEST = 100
"""Resamples, however many items there are."""

KEYS = {
    "macro_ap": "macro_ap",
    "nll": "nll",
    "brier": "brier",
    "ece_equal_width": "ece",
    "ece_equal_mass": "ece_equal_mass",
    "ece_debiased": "ece_debiased",
    "ece_shown": "ece_shown",
    "sharpness": "sharpness",
    "micro_f1": "micro_f1",
    "macro_f1": "macro_f1",
}
"""What the report calls a score -> what `bootstrap_scores` does."""


def num_replicates(num_items: int, num_labels: int, most: int = NUM_REPLICATES) -> int:
    """Return how many resamples a report can afford.

    Example:
        >>> num_replicates(400, 8), num_replicates(10_000, 20), num_replicates(1_000_000, 20)
        (1000, 100, 100)
    """
    return int(np.clip(MOST_NUMBERS / max(1, num_items * num_labels), FEWEST, most))


def score_intervals(
    probability: ArrayLike,
    labels: ArrayLike,
    thresholds: ArrayLike,
    *,
    replicates: int | None = None,
    seed: int = 0,
    level: float = 0.95,
    only: Collection[str] = tuple(KEYS),
) -> dict[str, Interval]:
    """Return the scores of `KEYS` with bootstrap intervals over items.

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        thresholds: One number, or one a label, for F1.
        replicates: Resamples; as many as a few seconds allow if None.
        seed: Of the resamples.
        level: Of the intervals.
        only: Which of `KEYS`; the fewer, the sooner it is done.

    Raises:
        UserError: If shapes or values do not fit.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> p = rng.random((200, 3))
        >>> found = score_intervals(p, rng.random((200, 3)) < p, 0.5)["brier"]
        >>> found.low < 1 / 6 < found.high
        True
    """
    p = np.asarray(probability)
    replicates = num_replicates(*p.shape) if replicates is None else replicates
    names = {key: KEYS[key] for key in KEYS if key in only}
    scores = bootstrap_scores(
        p, labels, thresholds, only=tuple(names.values()), replicates=replicates, seed=seed
    )
    found = {}
    for key, name in names.items():
        low, high = score_ends(name, scores[name], level)
        found[key] = Interval(float(scores[name].estimate), float(low), float(high))
    return found
