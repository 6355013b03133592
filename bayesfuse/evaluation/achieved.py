"""What tags achieve on labelled items: precision, recall and F1, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from bayesfuse.errors import UserError
from bayesfuse.evaluation.arrays import Bools
from bayesfuse.evaluation.resampling import NUM_REPLICATES, Array, Interval, Statistic, bootstrap
from bayesfuse.evaluation.text import aligned, json_safe

LEVEL = 0.95
"""How often an interval holds what other items would give."""


@dataclass(frozen=True)
class LabelAchieved:
    """What the tags of one label achieve; NaN where it is not defined.

    Attributes:
        name: The label.
        tagged: Items that got it.
        positives: Items that have it.
        precision: Share of the tagged that have it, with its Wilson interval.
        recall: Share of those that have it that are tagged, with its Wilson interval.
        f1: F1, with its bootstrap interval over items.
    """

    name: str
    tagged: int
    positives: int
    precision: Interval
    recall: Interval
    f1: Interval


@dataclass(frozen=True)
class Achieved:
    """What tags achieve on labelled items; prints as a table.

    Attributes:
        num_items: Labelled items.
        scores: Name to score with its bootstrap interval over items: `tags`, those an item gets;
            `micro_precision`, `micro_recall` and `micro_f1` of all tags at once; `macro_f1`, the
            mean over the labels that some item has; `item_precision` and `item_recall`, the mean
            over items with a tag, and with a label; `cost` an item, if costs are given.
        labels: The same of each label.
    """

    num_items: int
    scores: dict[str, Interval]
    labels: tuple[LabelAchieved, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, for JSON; what is not defined is None."""
        found = json_safe(asdict(self))
        assert isinstance(found, dict)
        return found

    def __str__(self) -> str:
        """Return the scores as aligned text, pooled first, then one line a label."""
        names = {
            "tags": "tags an item",
            "micro_precision": "precision, of all tags",
            "micro_recall": "recall, of all tags",
            "micro_f1": "F1, of all tags",
            "macro_f1": "F1, mean of labels",
            "item_precision": "precision, mean of items with a tag",
            "item_recall": "recall, mean of items with a label",
            "cost": "cost an item",
        }
        pooled = [[names[name], *_spelt(score)] for name, score in self.scores.items()]
        rows = [
            [one.name, f"{one.tagged:,}", f"{one.positives:,}"]
            + [text for score in (one.precision, one.recall, one.f1) for text in _spelt(score)]
            for one in self.labels
        ]
        of = f"{LEVEL * 100:g} %"
        head = ["label", "tagged", "have it", "precision", of, "recall", of, "F1", of]
        return f"{aligned(['', '', of], pooled)}\n\n{aligned(head, rows)}"


def achieved(
    tags: ArrayLike,
    labels: ArrayLike,
    label_names: Sequence[str],
    costs: tuple[ArrayLike, ArrayLike] | None = None,
    *,
    replicates: int = NUM_REPLICATES,
    seed: int = 0,
) -> Achieved:
    """Hold tags against the labels.

    Args:
        tags: `items x labels`, 0 or 1.
        labels: `items x labels`, 0 or 1.
        label_names: One name a label.
        costs: Of a wrong tag and of a missed label, `labels` each; None for no `cost`.
        replicates: Resamples of the items.
        seed: Of the resamples.

    Raises:
        UserError: If the shapes do not fit.

    Example:
        >>> found = achieved([[1, 0], [1, 1]], [[1, 0], [0, 1]], ["Drama", "Horror"])
        >>> found.scores["micro_recall"].estimate, found.labels[0].precision.estimate
        (1.0, 0.5)
    """
    said, true = np.asarray(tags).astype(np.bool_), np.asarray(labels).astype(np.bool_)
    if said.shape != true.shape or said.ndim != 2 or said.shape[1] != len(label_names):
        raise UserError(
            f"Got tags of shape {said.shape}, labels of shape {true.shape} and {len(label_names)} "
            "names; expected items x labels of both, and one name a label."
        )
    hits = said & true
    counts = [part.sum(axis=0) for part in (hits, said, true)]
    every: dict[str, Statistic] = {
        "tags": _mean(said.sum(axis=1)),
        "micro_precision": _ratio(hits.sum(axis=1), said.sum(axis=1)),
        "micro_recall": _ratio(hits.sum(axis=1), true.sum(axis=1)),
        "micro_f1": _ratio(2 * hits.sum(axis=1), (said.sum(axis=1) + true.sum(axis=1))),
        "macro_f1": _macro_f1(hits, said, true),
        "item_precision": _of_items(hits, said),
        "item_recall": _of_items(hits, true),
    }
    if costs is not None:
        wrong, missed = (np.asarray(cost, np.float64) for cost in costs)
        every["cost"] = _mean(((said & ~true) * wrong + (true & ~said) * missed).sum(axis=1))
    given = {"replicates": replicates, "seed": seed, "numbers_an_item": 3 * len(label_names)}
    found = bootstrap({**every, "f1": _f1(hits, said, true)}, len(said), **given)
    low, high = found.pop("f1").ends(LEVEL, 0.0)
    f1 = _f1(hits, said, true)(np.ones((1, len(said))))[0]
    scores = {}
    for name, score in found.items():
        one = score.interval(LEVEL, 0.0)
        top = np.inf if name in {"tags", "cost"} else 1.0
        scores[name] = Interval(one.estimate, one.low, min(one.high, top))
    return Achieved(
        num_items=len(said),
        scores=scores,
        labels=tuple(
            LabelAchieved(
                str(name),
                int(counts[1][c]),
                int(counts[2][c]),
                wilson(int(counts[0][c]), int(counts[1][c])),
                wilson(int(counts[0][c]), int(counts[2][c])),
                Interval(float(f1[c]), float(low[c]), min(float(high[c]), 1.0)),
            )
            for c, name in enumerate(label_names)
        ),
    )


def wilson(hits: int, of: int, level: float = LEVEL) -> Interval:
    r"""Return a share and the interval of shares that do not contradict it (Wilson 1927).

    .. math:: \frac{k + z^2/2}{n + z^2} \pm \frac{z \sqrt{n}}{n + z^2}
        \sqrt{\frac kn \Bigl(1 - \frac kn\Bigr) + \frac{z^2}{4n}}

    Args:
        hits: How many, k.
        of: Of how many, n; NaN comes of 0.
        level: Of the interval.

    Example:
        >>> found = wilson(9, 10)
        >>> found.estimate, round(found.low, 3), round(found.high, 3)
        (0.9, 0.596, 0.982)
    """
    if of == 0:
        return Interval(np.nan, np.nan, np.nan)
    z = float(stats.norm.ppf((1 + level) / 2))
    share = hits / of
    middle = (hits + z**2 / 2) / (of + z**2)
    half = z * np.sqrt(of) / (of + z**2) * np.sqrt(share * (1 - share) + z**2 / (4 * of))
    return Interval(share, max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def _mean(terms: NDArray[Any]) -> Statistic:
    return lambda weights: np.asarray(weights @ terms / weights.sum(axis=1))


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> Statistic:
    """Return a sum over items over another, NaN where that is 0, `replicates`."""
    return lambda weights: _divided(weights @ above, weights @ below)


def _of_items(hits: Bools, of: Bools) -> Statistic:
    """Return the mean over items of each one's share of hits, of those that have any."""
    count = of.sum(axis=1)
    return _ratio(hits.sum(axis=1) / np.maximum(count, 1), (count > 0).astype(np.float64))


def _f1(hits: Bools, said: Bools, true: Bools) -> Statistic:
    """Return F1, `replicates x labels`; NaN where no item has the label."""
    sums = [part.astype(np.float64) for part in (hits, said, true)]

    def f1(weights: Array) -> Array:
        both, yes, have = (weights @ part for part in sums)
        return np.where(have > 0, _divided(2 * both, yes + have), np.nan)

    return f1


def _macro_f1(hits: Bools, said: Bools, true: Bools) -> Statistic:
    each = _f1(hits, said, true)

    def macro(weights: Array) -> Array:
        values = each(weights)
        defined = ~np.isnan(values)
        return _divided(np.where(defined, values, 0.0).sum(axis=1), defined.sum(axis=1))

    return macro


def _divided(above: NDArray[Any], below: NDArray[Any]) -> Array:
    return np.asarray(above / np.where(below > 0, below, np.nan), np.float64)


def _spelt(score: Interval) -> list[str]:
    if np.isnan(score.estimate):
        return ["-", ""]
    return [f"{score.estimate:.3f}", f"{score.low:.3f} to {score.high:.3f}"]
