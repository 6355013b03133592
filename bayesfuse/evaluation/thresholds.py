"""Thresholds: where to cut a probability to say yes, chosen on labelled items (val)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.errors import UserError, unknown_option
from bayesfuse.evaluation.arrays import Bools, Floats, as_pair, as_probability

DEFAULT = 0.5
"""The threshold of a label about which the items at hand say nothing."""


def decide(probability: ArrayLike, thresholds: ArrayLike = DEFAULT) -> Bools:
    r"""Say yes where a probability reaches its threshold: :math:`\hat p_{ic} \ge t_c`.

    Args:
        probability: `items x labels`, in [0, 1].
        thresholds: One number, or one a label (`labels`), in [0, 1].

    Returns:
        Decisions, `items x labels`.

    Raises:
        UserError: If a value is outside [0, 1] or the shapes do not fit.

    Example:
        >>> decide([[0.2, 0.2], [0.7, 0.1]], [0.7, 0.2])
        array([[False,  True],
               [ True, False]])
    """
    probabilities = as_probability(probability)
    cuts = as_probability(thresholds, "threshold")
    if cuts.ndim and cuts.shape != probabilities.shape[1:]:
        raise UserError(
            f"Got thresholds of shape {cuts.shape} for probabilities of shape "
            f"{probabilities.shape} (items x labels); expected one number or one a label."
        )
    return probabilities.astype(np.float64) >= cuts


def best_thresholds(probability: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    r"""Return, for each label, the threshold that maximises its F1 on these items.

    .. math:: t_c = \arg\max_t \frac{2 \, TP_c(t)}{2 \, TP_c(t) + FP_c(t) + FN_c(t)}

    The maximum is exact: F1 changes only at predicted values, and every cut between two of them is
    tried. The threshold is the midpoint between the lowest probability that is accepted and the
    highest that is not (0 if all are accepted). Items with equal probability are never parted. Of
    cuts with equal F1 the highest wins: it claims the fewest tags. A label that no item has gets
    0.5, since any threshold is as good.

    Args:
        probability: `items x labels`, in [0, 1]; from items that are not the ones to be scored.
        labels: `items x labels`, 0 or 1.

    Returns:
        Thresholds, `labels`, in [0, 1].

    Raises:
        UserError: If shapes or values do not fit (see `as_pair`).

    Example:
        >>> best_thresholds([[0.1], [0.3], [0.4]], [[0], [1], [1]])
        array([0.2])
    """
    probabilities, truth = as_pair(probability, labels)
    return np.array(
        [
            _cut(scores, _f1_when_accepting(hits)) if hits.any() else DEFAULT
            for scores, hits in (
                _ranked(p, y) for p, y in zip(probabilities.T, truth.T, strict=True)
            )
        ]
    )


def best_threshold(
    probability: ArrayLike, labels: ArrayLike, average: Literal["micro", "macro"] = "micro"
) -> float:
    """Return the one threshold for all labels that maximises micro or macro F1 on these items.

    Exact, with the same midpoints and the same choice among ties as `best_thresholds`. Labels that
    no item has are left out of macro F1, as everywhere.

    Args:
        probability: `items x labels`, in [0, 1]; from items that are not the ones to be scored.
        labels: `items x labels`, 0 or 1.
        average: Which F1 to maximise.

    Returns:
        The threshold, in [0, 1]; 0.5 if no item has any label.

    Raises:
        UserError: If shapes or values do not fit, or `average` is unknown.

    Example:
        >>> best_threshold([[0.1, 0.6], [0.4, 0.5]], [[0, 1], [1, 0]])
        0.25
    """
    if average not in ("micro", "macro"):
        raise UserError(unknown_option("average", average, ("micro", "macro")))
    probabilities, truth = as_pair(probability, labels)
    if not truth.any():
        return DEFAULT
    if average == "micro":
        scores, hits = _ranked(probabilities.ravel(), truth.ravel())
        return _cut(scores, _f1_when_accepting(hits))
    every_score, every_gain = [], []
    for p, y in zip(probabilities.T, truth.T, strict=True):
        scores, hits = _ranked(p, y)
        f1 = _f1_when_accepting(hits) if hits.any() else np.zeros(len(hits))
        every_score.append(scores)
        every_gain.append(np.diff(f1, prepend=0.0))
    scores, gains = np.concatenate(every_score), np.concatenate(every_gain)
    order = np.argsort(-scores, kind="stable")
    # Rounded so that ties stay ties: a running sum of gains carries rounding errors.
    macro = np.round(np.cumsum(gains[order]), 10)
    return _cut(scores[order], np.asarray(macro, dtype=np.float64))


def _ranked(scores: Floats, truth: Bools) -> tuple[NDArray[np.float64], Bools]:
    """Return scores from high to low, and the truth in that order."""
    order = np.argsort(-scores, kind="stable")
    return scores[order].astype(np.float64), truth[order]


def _f1_when_accepting(hits: Bools) -> NDArray[np.float64]:
    """Return F1 when the first 1, 2, ..., all items are accepted, the best-scored first."""
    accepted = np.arange(1, len(hits) + 1)
    return np.asarray(2 * np.cumsum(hits) / (accepted + hits.sum()), dtype=np.float64)


def _cut(scores: NDArray[np.float64], value: NDArray[np.float64]) -> float:
    """Return the midpoint below the best place to stop, never between equal scores."""
    lower = np.append(scores[1:], 0.0)
    can_stop = scores > lower
    can_stop[-1] = True
    best = int(np.argmax(np.where(can_stop, value, -1.0)))
    midpoint = float((scores[best] + lower[best]) / 2)
    # Between neighbouring floats, or at 0, the midpoint is not above what must stay rejected.
    return midpoint if midpoint > lower[best] else float(scores[best])
