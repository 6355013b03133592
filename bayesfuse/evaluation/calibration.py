"""Calibration: does a tag given with probability 0.7 turn out true seven times in ten?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.errors import UserError, unknown_option
from bayesfuse.evaluation.arrays import Bools, Floats, as_pair

Binning = Literal["equal-width", "equal-mass"]
BINNINGS: tuple[Binning, ...] = ("equal-width", "equal-mass")
NUM_BINS = 15
"""The usual number of bins (Guo et al. 2017)."""


@dataclass(frozen=True)
class ReliabilityCurve:
    """What was predicted and what was observed, bin by bin, from low probability to high.

    Attributes:
        mean_predicted: Mean probability in each bin, `bins`; NaN where the bin is empty.
        observed_rate: Share of positives in each bin, `bins`; NaN where the bin is empty.
        count: Number of predictions in each bin, `bins`.
    """

    mean_predicted: NDArray[np.float64]
    observed_rate: NDArray[np.float64]
    count: NDArray[np.int64]

    @property
    def error(self) -> float:
        """The expected calibration error: the mean gap, weighted by the bins' counts."""
        gap = np.abs(self.mean_predicted - self.observed_rate)
        return float(np.nansum(self.count * gap) / self.count.sum())


def reliability_curve(
    probability: ArrayLike,
    labels: ArrayLike,
    *,
    binning: Binning = "equal-width",
    num_bins: int = NUM_BINS,
) -> ReliabilityCurve:
    """Return the reliability curve of all predictions pooled, whatever their label.

    `equal-width` cuts [0, 1] into bins of one width, each with its lower edge and the last with 1
    too. `equal-mass` puts as nearly as possible the same number of predictions into each; equal
    probabilities always share a bin, so the order of items does not matter.

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        binning: `equal-width` or `equal-mass`.
        num_bins: Number of bins (>= 1).

    Returns:
        The curve, `num_bins` long; with `equal-mass` and many equal values some bins are empty.

    Raises:
        UserError: If shapes or values do not fit, or the binning is unknown.

    Example:
        >>> curve = reliability_curve([[0.1], [0.3], [0.8]], [[0], [1], [1]], num_bins=2)
        >>> curve.mean_predicted, curve.observed_rate, curve.count
        (array([0.2, 0.8]), array([0.5, 1. ]), array([2, 1]))
    """
    probabilities, truth = as_pair(probability, labels)
    return _curve(probabilities.ravel(), truth.ravel(), binning, num_bins)


def expected_calibration_error(
    probability: ArrayLike,
    labels: ArrayLike,
    *,
    binning: Binning = "equal-width",
    num_bins: int = NUM_BINS,
) -> float:
    r"""Return the expected calibration error of all predictions pooled.

    .. math:: \text{ECE} = \sum_b \frac{n_b}{n} \left| \bar p_b - \bar y_b \right|

    over bins b, with the mean probability and the share of positives in each. Even calibrated
    predictions have an ECE above 0, from sampling: about
    :math:`\sum_b \sqrt{2 \bar p_b (1 - \bar p_b) n_b / \pi} / n`, so compare models on the same
    items with the same bins.

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        binning: `equal-width` or `equal-mass`.
        num_bins: Number of bins (>= 1).

    Returns:
        The error, in [0, 1].

    Raises:
        UserError: If shapes or values do not fit, or the binning is unknown.

    Example:
        >>> expected_calibration_error([[0.25], [0.25]], [[1], [0]])
        0.25

    Reference: Guo et al. 2017 (arXiv:1706.04599), eq. 3, with the probability of a label in the
    place of the winning class's confidence.
    """
    return reliability_curve(probability, labels, binning=binning, num_bins=num_bins).error


def calibration_error_per_label(
    probability: ArrayLike,
    labels: ArrayLike,
    *,
    binning: Binning = "equal-width",
    num_bins: int = NUM_BINS,
) -> NDArray[np.float64]:
    """Return the expected calibration error of each label by itself, `labels`.

    Pooling can hide a label that is over-confident behind one that is under-confident; this does
    not. A label that no item has is defined here: whatever probability it gets is its error.

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        binning: `equal-width` or `equal-mass`.
        num_bins: Number of bins (>= 1).

    Returns:
        The errors, `labels`, each in [0, 1].

    Raises:
        UserError: If shapes or values do not fit, or the binning is unknown.

    Reference: the terms of classwise ECE, Kull et al. 2019 (arXiv:1910.12656).
    """
    probabilities, truth = as_pair(probability, labels)
    return np.array(
        [
            _curve(p, y, binning, num_bins).error
            for p, y in zip(probabilities.T, truth.T, strict=True)
        ]
    )


def _curve(p: Floats, y: Bools, binning: Binning, num_bins: int) -> ReliabilityCurve:
    """Return the reliability curve of one series of predictions."""
    p = p.astype(np.float64)
    index = bin_index(p, binning, num_bins)
    count = np.bincount(index, minlength=num_bins)
    # An empty bin has no mean: 0 / NaN is NaN without a warning.
    size = np.where(count > 0, count, np.nan)
    return ReliabilityCurve(
        mean_predicted=np.bincount(index, p, num_bins) / size,
        observed_rate=np.bincount(index, y, num_bins) / size,
        count=count,
    )


def bin_index(p: Floats, binning: Binning, num_bins: int) -> NDArray[np.int64]:
    """Return the bin of each of a series of predictions, from 0 (see `reliability_curve`)."""
    if num_bins < 1:
        raise UserError(f"Got num_bins={num_bins}; expected at least 1 bin.")
    p = p.astype(np.float64)
    if binning == "equal-width":
        edges = np.linspace(0, 1, num_bins + 1)
        return np.minimum(np.searchsorted(edges, p, side="right") - 1, num_bins - 1)
    if binning == "equal-mass":
        rank = np.searchsorted(np.sort(p), p)  # equal values share the lowest of their ranks
        return rank * num_bins // len(p)
    raise UserError(unknown_option("binning", binning, BINNINGS))
