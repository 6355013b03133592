"""The Brier score taken apart: calibration, discrimination, and what the labels leave open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bayesfuse.evaluation.arrays import as_pair
from bayesfuse.evaluation.binned import Binner
from bayesfuse.evaluation.calibration import NUM_BINS, Binning
from bayesfuse.evaluation.resampling import Array, Statistic

PARTS = ("reliability", "resolution", "uncertainty", "within_bins")
"""The columns of `brier_parts`."""


@dataclass(frozen=True)
class BrierDecomposition:
    """The parts of a Brier score; `score` is reliability - resolution + uncertainty + within_bins.

    Attributes:
        score: The Brier score.
        reliability: Squared gap between what was predicted and what was observed; 0 if calibrated.
        resolution: How far apart the observed rates of the bins are; the more the better.
        uncertainty: Variance of the labels, which no forecast of the base rate gets below.
        within_bins: What binning leaves over: variance of the probabilities within bins less
            twice their covariance with the labels there. Near 0 with enough bins.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float


def brier_decomposition(
    probability: ArrayLike,
    labels: ArrayLike,
    *,
    binning: Binning = "equal-mass",
    num_bins: int = NUM_BINS,
) -> BrierDecomposition:
    r"""Return the parts of the Brier score of all predictions pooled.

    .. math:: \frac1n \sum_i (p_i - y_i)^2 =
        \underbrace{\sum_b \frac{n_b}{n} (\bar p_b - \bar y_b)^2}_{\text{reliability}}
        - \underbrace{\sum_b \frac{n_b}{n} (\bar y_b - \bar y)^2}_{\text{resolution}}
        + \underbrace{\bar y (1 - \bar y)}_{\text{uncertainty}} + \text{within bins}

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        binning: `equal-width` or `equal-mass`.
        num_bins: Number of bins (>= 1).

    Raises:
        UserError: If shapes or values do not fit, or the binning is unknown.

    Example:
        >>> parts = brier_decomposition([[0.25], [0.25], [0.75], [0.75]], [[0], [0], [1], [0]])
        >>> round(parts.reliability, 4), round(parts.resolution, 4), parts.uncertainty
        (0.0625, 0.0625, 0.1875)

    Reference: Murphy 1973 (J. Appl. Meteorol. 12), eq. 15; Stephenson, Coelho and Jolliffe 2008
    (Weather and Forecasting 23), eq. 8, for what is left within bins.
    """
    p, y = as_pair(probability, labels)
    found = brier_parts(p, y, binning=binning, num_bins=num_bins)(np.ones((1, len(p))))[0, 0]
    reliability, resolution, uncertainty, within = (float(part) for part in found)
    return BrierDecomposition(
        score=reliability - resolution + uncertainty + within,
        reliability=reliability,
        resolution=resolution,
        uncertainty=uncertainty,
        within_bins=within,
    )


def brier_parts(
    probability: ArrayLike,
    labels: ArrayLike,
    *,
    by_label: bool = False,
    binning: Binning = "equal-mass",
    num_bins: int = NUM_BINS,
) -> Statistic:
    """Return the parts as a statistic, `replicates x groups x parts` (`PARTS`).

    Args:
        probability: See `brier_decomposition`.
        labels: See `brier_decomposition`.
        by_label: A group a label, in place of one for all predictions.
        binning: See `brier_decomposition`.
        num_bins: See `brier_decomposition`.
    """
    p, y = as_pair(probability, labels)
    binner = Binner(p, y, by_label=by_label, binning=binning, num_bins=num_bins)
    squares = np.square(p.astype(np.float64) - y)
    squares = squares if by_label else squares.mean(axis=1, keepdims=True)

    def statistic(weights: Array) -> Array:
        bins = binner(weights)
        size = np.where(bins.count > 0, bins.count, 1.0)
        total = bins.count.sum(axis=-1)
        mean = bins.observed.sum(axis=-1) / total
        rate, predicted = bins.observed / size, bins.predicted / size
        share = bins.count / total[..., None]
        reliability = (share * np.square(predicted - rate)).sum(axis=-1)
        resolution = (share * np.square(rate - mean[..., None])).sum(axis=-1)
        uncertainty = mean * (1 - mean)
        score = weights @ squares / weights.sum(axis=1, keepdims=True)
        within = score - (reliability - resolution + uncertainty)
        return np.stack([reliability, resolution, uncertainty, within], axis=-1)

    return statistic
