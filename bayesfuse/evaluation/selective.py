"""Accuracy against rejection: how few mistakes are left if the least sure decisions are handed on.

Decisions of equal confidence enter together, so the order of items changes nothing; within such a
group the risk is that of a random order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.errors import UserError
from bayesfuse.evaluation.arrays import as_pair, as_probability
from bayesfuse.evaluation.resampling import Array, Statistic

COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of decisions kept at which the risk is looked at."""


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """What share of the decisions that are kept is wrong, by how many are kept.

    Attributes:
        coverage: Shares kept, ascending, ending at 1.
        risk: Mean loss of those that are kept, same length.
        aurc: Area under the risk-coverage curve; the overall risk if the confidence says nothing.
        excess_aurc: What it has over that of a perfect order of the same decisions.
    """

    coverage: Array
    risk: Array
    aurc: float
    excess_aurc: float


def risk_coverage(confidence: ArrayLike, loss: ArrayLike) -> RiskCoverage:
    r"""Return the risk-coverage curve of decisions, and the area under it.

    .. math:: \text{AURC} = \int_0^1 \frac{1}{c \, n} \sum_{i \text{ among the } c \, n
        \text{ surest}} \ell_i \; dc

    Args:
        confidence: How sure each decision is, any shape; only the order counts.
        loss: What each came to, same shape: 0 right, 1 wrong, or any other loss.

    Returns:
        The curve, a point for each distinct confidence.

    Raises:
        UserError: If shapes differ or a value is not finite.

    Example:
        >>> curve = risk_coverage([0.9, 0.8, 0.7, 0.6], [0, 0, 0, 1])
        >>> curve.coverage, curve.risk, round(curve.excess_aurc, 3)
        (array([0.25, 0.5 , 0.75, 1.  ]), array([0.  , 0.  , 0.  , 0.25]), 0.0)

    Reference: Geifman and El-Yaniv 2017 (arXiv:1705.08500); Geifman, Uziel and El-Yaniv 2019
    (arXiv:1805.08206), section 3, for the excess. The integral takes the place of their sum.
    """
    sure, lost = _as_decisions(confidence, loss)
    sure, lost = sure.reshape(-1, 1), lost.reshape(-1, 1)
    ones = np.ones((1, len(sure)))
    order, starts = _order(sure[:, 0])
    kept, mistakes = _groups(ones[:, order], lost[order, 0], starts)
    coverage = np.cumsum(kept[0]) / len(sure)
    risk = np.cumsum(mistakes[0]) / np.cumsum(kept[0])
    found = [risk_statistic(c, lost, ())(ones)[0, 0] for c in (sure, -lost)]
    return RiskCoverage(coverage, risk, float(found[0]), float(found[0] - found[1]))


def decision_losses(
    probability: ArrayLike, labels: ArrayLike, thresholds: ArrayLike = 0.5
) -> tuple[Array, Array]:
    r"""Return how sure each decision is and whether it is wrong, both `items x labels`.

    The confidence is how far the probability is from its threshold t, relative to the farthest it
    could be on that side; at t = 1/2 it orders decisions as :math:`\max(p, 1 - p)` does.

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        thresholds: One number, or one a label; yes is at or above it.

    Raises:
        UserError: If shapes or values do not fit.

    Example:
        >>> confidence, loss = decision_losses([[0.9, 0.5]], [[1, 0]])
        >>> confidence.round(3), loss
        (array([[0.8, 0. ]]), array([[0., 1.]]))
    """
    p, y = as_pair(probability, labels)
    cuts = np.broadcast_to(as_probability(thresholds, "threshold").astype(np.float64), p.shape)
    yes = p >= cuts
    room = np.where(yes, 1 - cuts, cuts)
    distance = np.abs(p.astype(np.float64) - cuts)
    return distance / np.where(room > 0, room, 1.0), (yes != y).astype(np.float64)


def risk_statistic(
    confidence: ArrayLike, loss: ArrayLike, coverages: Sequence[float] = COVERAGES
) -> Statistic:
    """Return AURC and the risk at some coverages as a statistic, `replicates x (1 + coverages)`.

    Args:
        confidence: `items` or `items x labels`, whose decisions are then pooled.
        loss: Same shape.
        coverages: Shares kept, in (0, 1].

    Raises:
        UserError: If shapes differ, a value is not finite or a coverage is not in (0, 1].
    """
    sure, lost = _as_decisions(confidence, loss)
    if not all(0 < c <= 1 for c in coverages):
        raise UserError(f"Got coverages {tuple(coverages)}; expected shares in (0, 1].")
    per_item = sure.size // len(sure)
    item = np.repeat(np.arange(len(sure)), per_item)
    order, starts = _order(sure.ravel())
    losses, item = lost.ravel()[order], item[order]

    def statistic(weights: Array) -> Array:
        kept, mistakes = _groups(weights[:, item], losses, starts)
        kept_before = np.cumsum(kept, axis=1) - kept
        lost_before = np.cumsum(mistakes, axis=1) - mistakes
        rate = mistakes / np.where(kept > 0, kept, 1.0)
        # The mean of (L + r t) / (W + t) over t in (0, g]: r + (L - r W) / g · log((W + g) / W).
        ratio = kept / np.where(kept_before > 0, kept_before, 1.0)
        area = rate * kept
        area += np.where(kept_before > 0, (lost_before - rate * kept_before) * np.log1p(ratio), 0.0)
        total = kept.sum(axis=1)
        columns = [area.sum(axis=1) / total]
        rows = np.arange(len(weights))
        for coverage in coverages:
            wanted = coverage * total
            # The group in which so many are reached; rounding must not step past the last one.
            group = (kept_before + kept < wanted[:, None] * (1 - 1e-12)).sum(axis=1)
            within = wanted - kept_before[rows, group]
            columns.append((lost_before[rows, group] + rate[rows, group] * within) / wanted)
        return np.stack(columns, axis=1)

    return statistic


def _as_decisions(confidence: ArrayLike, loss: ArrayLike) -> tuple[Array, Array]:
    """Return both in float64 if they are of one shape and finite."""
    sure, lost = np.asarray(confidence, np.float64), np.asarray(loss, np.float64)
    if sure.shape != lost.shape or not sure.size:
        raise UserError(
            f"Got confidences of shape {sure.shape} and losses of shape {lost.shape}; expected the "
            "same, with at least one decision."
        )
    if not (np.isfinite(sure).all() and np.isfinite(lost).all()):
        raise UserError("A confidence or a loss is not finite; leave such decisions out.")
    return sure, lost


def _order(confidence: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the decisions from sure to unsure, and where each group of equals starts."""
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    return order, np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))


def _groups(weights: Array, losses: Array, starts: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return the weight and the weighted loss of each group of equals, `replicates x groups`."""
    return (
        np.add.reduceat(weights, starts, axis=1),
        np.add.reduceat(weights * losses, starts, axis=1),
    )
