"""The scores of one model with their intervals, as a table and for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bayesfuse.errors import UserError
from bayesfuse.evaluation.intervals import bootstrap_scores, bootstrap_scores_per_label, score_ends
from bayesfuse.evaluation.resampling import NUM_REPLICATES, Array, Bootstrap, Interval
from bayesfuse.evaluation.text import aligned, json_safe
from bayesfuse.evaluation.thresholds import DEFAULT

POOLED = {
    "macro_ap": "average precision, macro",
    "macro_f1": "F1 at thresholds, macro",
    "micro_f1": "F1 at thresholds, micro",
    "nll": "NLL a label (nats)",
    "brier": "Brier",
    "brier_reliability": "  reliability (0 is best)",
    "brier_resolution": "  resolution (more is better)",
    "brier_uncertainty": "  uncertainty (of the labels)",
    "sharpness": "sharpness: Brier that it promises",
    "ece": "ECE, equal width",
    "ece_equal_mass": "ECE, equal mass",
    "ece_debiased": "ECE, equal mass, debiased",
    "ece_shown": "ECE of the 3 likeliest labels",
    "aurc": "area under risk-coverage",
    "risk_at_50": "wrong among the surest half",
    "risk_at_100": "wrong among all decisions",
}
"""Scores of the printed table, all labels pooled."""

PER_LABEL = {"average_precision": "AP", "f1": "F1 at it", "nll": "NLL", "ece_equal_mass": "ECE"}
"""Scores of the printed table of labels."""


@dataclass(frozen=True, eq=False)
class ScoreIntervals:
    """Every score with the interval in which it would lie on other items of the same kind.

    Attributes:
        pooled: Name to score, all labels pooled (`bayesfuse.evaluation.intervals`).
        per_label: Label to name to score.
        level: How often such an interval holds the truth.
        replicates: Resamples of the items behind it.
    """

    pooled: Mapping[str, Interval]
    per_label: Mapping[str, Mapping[str, Interval]]
    level: float
    replicates: int

    def to_dict(self) -> dict[str, object]:
        """Return plain dicts and numbers for JSON; what is not defined becomes None."""

        def ends(scores: Mapping[str, Interval]) -> dict[str, object]:
            return {
                name: {"estimate": one.estimate, "low": one.low, "high": one.high}
                for name, one in scores.items()
            }

        labels = {label: ends(scores) for label, scores in self.per_label.items()}
        plain = json_safe({"pooled": ends(self.pooled), "labels": labels})
        assert isinstance(plain, dict)
        return {"level": self.level, "replicates": self.replicates, **plain}

    def __str__(self) -> str:
        """Return two aligned tables, pooled scores and one line a label."""
        every = [
            [title, f"{self.pooled[name].estimate:.4f}", _spelt(self.pooled[name])]
            for name, title in POOLED.items()
        ]
        interval = f"{self.level:.0%} interval"
        labels = [
            [label, *(cell for name in PER_LABEL for cell in _cells(scores[name]))]
            for label, scores in self.per_label.items()
        ]
        header = [cell for title in PER_LABEL.values() for cell in (title, interval)]
        return (
            f"{aligned(['all labels', 'score', interval], every)}\n\n"
            f"{aligned(['label', *header], labels)}\n\n"
            f"Intervals: bootstrap over items, {self.replicates:,} resamples; the training is not "
            "repeated."
        )


def score_intervals(
    probability: ArrayLike,
    labels: ArrayLike,
    label_names: Sequence[str],
    thresholds: ArrayLike = DEFAULT,
    *,
    replicates: int = NUM_REPLICATES,
    seed: int = 0,
    level: float = 0.95,
) -> ScoreIntervals:
    """Return every score of predicted probabilities with its interval over items.

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        label_names: One name a label.
        thresholds: One number, or one a label, chosen on other items.
        replicates: Resamples of the items.
        seed: Their seed.
        level: How often such an interval holds the truth, in (0, 1).

    Raises:
        UserError: If shapes or values do not fit.

    Example:
        >>> found = score_intervals([[0.9, 0.2], [0.6, 0.7]], [[1, 0], [0, 1]], ["War", "Love"])
        >>> round(found.pooled["brier"].estimate, 3), found.per_label["War"]["f1"].estimate
        (0.125, 0.6666666666666666)
    """
    pooled = bootstrap_scores(probability, labels, thresholds, replicates=replicates, seed=seed)
    apart = bootstrap_scores_per_label(
        probability, labels, thresholds, replicates=replicates, seed=seed
    )
    count = len(apart["nll"].estimate)
    if len(label_names) != count:
        raise UserError(
            f"Got {len(label_names)} label names for {count} columns of probabilities; expected "
            "one a label."
        )
    ends = {
        name: (score.estimate, *score_ends(name, score, level)) for name, score in apart.items()
    }
    per_label = {
        label: {name: _interval(*(part[column] for part in parts)) for name, parts in ends.items()}
        for column, label in enumerate(label_names)
    }
    whole = {name: _interval(*_parts(name, score, level)) for name, score in pooled.items()}
    return ScoreIntervals(whole, per_label, level, replicates)


def _parts(name: str, score: Bootstrap, level: float) -> tuple[Array, Array, Array]:
    return (score.estimate, *score_ends(name, score, level))


def _interval(estimate: Array, low: Array, high: Array) -> Interval:
    return Interval(float(estimate), float(low), float(high))


def _cells(one: Interval) -> tuple[str, str]:
    if np.isnan(one.estimate):
        return "", ""
    return f"{one.estimate:.3f}", _spelt(one, 3)


def _spelt(one: Interval, digits: int = 4) -> str:
    if np.isnan(one.low):
        return ""
    return f"{one.low:.{digits}f} to {one.high:.{digits}f}"
