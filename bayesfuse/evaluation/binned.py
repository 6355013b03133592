"""Calibration as a function of how often each item counts: what the bootstrap resamples.

Bins are laid by the items at hand and stay where they are in every resample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.special import ndtr

from bayesfuse.errors import UserError
from bayesfuse.evaluation.arrays import Floats, as_pair
from bayesfuse.evaluation.calibration import NUM_BINS, Binning, bin_index
from bayesfuse.evaluation.resampling import Array, Statistic


@dataclass(frozen=True, eq=False)
class Binned:
    """Sums over the predictions in each bin, for each set of weights.

    Attributes:
        count: Sum of weights, `replicates x groups x bins`; a group is a label, or all pooled.
        predicted: Weighted sum of probabilities, same shape.
        observed: Weighted sum of positives, same shape.
    """

    count: Array
    predicted: Array
    observed: Array

    @property
    def error(self) -> Array:
        """The expected calibration error, `replicates x groups` (see `reliability_curve`)."""
        gap = np.abs(self.predicted - self.observed)
        return np.asarray(gap.sum(axis=-1) / self.count.sum(axis=-1))

    @property
    def debiased_error(self) -> Array:
        r"""The calibration error less what chance adds to it, `replicates x groups`.

        .. math:: 2 \, \text{ECE} - \sum_b \frac{n_b}{n} \, \mathrm E \lvert Z_b \rvert, \qquad
            Z_b \sim \mathcal N \Bigl( \bar p_b - \bar y_b, \;
            \frac{\bar y_b (1 - \bar y_b)}{n_b} \Bigr)

        The expectation is the folded normal's, in closed form. It takes away what chance adds
        where a bin's gap is well above it, and two fifths of it where there is no gap at all.

        Reference: Kumar, Liang and Ma 2019 (arXiv:1909.10155), section 5 and appendix, for the
        normal resampling, of which this is the limit of many draws.
        """
        size = np.where(self.count > 0, self.count, 1.0)
        gap = np.abs(self.predicted - self.observed) / size
        rate = np.clip(self.observed / size, 0.0, 1.0)
        sd = np.sqrt(rate * (1 - rate) / size)
        ratio = gap / np.where(sd > 0, sd, 1.0)
        # E|N(g, s)| = s sqrt(2/pi) exp(-g²/2s²) + g (1 - 2 Phi(-g/s)); g itself if s is 0.
        folded = sd * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + gap * (1 - 2 * ndtr(-ratio))
        expected = np.where(sd > 0, folded, gap)
        terms = self.count * (2 * gap - expected)
        return np.asarray(terms.sum(axis=-1) / self.count.sum(axis=-1))

    @property
    def observed_rate(self) -> Array:
        """Share of positives in each bin, `replicates x groups x bins`; NaN where it is empty."""
        return np.asarray(self.observed / np.where(self.count > 0, self.count, np.nan))


class Binner:
    """Lays predictions into bins once, and sums what is in them for any weights of the items.

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        by_label: Bins of each label's own, in place of one set for all predictions.
        binning: `equal-width` or `equal-mass`.
        num_bins: Number of bins (>= 1).
        chosen: Boolean, `items x labels`: the predictions that count; all if None.

    Raises:
        UserError: If shapes or values do not fit, or no prediction counts.

    Example:
        >>> binner = Binner([[0.25], [0.25], [0.75]], [[1], [0], [1]], num_bins=2)
        >>> binner(np.ones((1, 3))).error.round(3)
        array([[0.25]])
        >>> binner(np.array([[1.0, 3.0, 0.0]])).error  # the second item thrice
        array([[0.]])
    """

    def __init__(
        self,
        probability: ArrayLike,
        labels: ArrayLike,
        *,
        by_label: bool = False,
        binning: Binning = "equal-width",
        num_bins: int = NUM_BINS,
        chosen: NDArray[np.bool_] | None = None,
    ) -> None:
        p, y = as_pair(probability, labels)
        chosen = np.ones(p.shape, np.bool_) if chosen is None else chosen
        self.num_items, num_labels = p.shape
        self.num_groups, self.num_bins = num_labels if by_label else 1, num_bins
        item, label = np.nonzero(chosen)
        group = label if by_label else np.zeros_like(label)
        if len(np.unique(group)) != self.num_groups:
            raise UserError(
                "No prediction counts of some label; expected at least one of each. Score labels "
                "pooled, or choose others."
            )
        predicted = p[chosen].astype(np.float64)
        cell = np.empty(len(item), np.int64)
        for number in range(self.num_groups):
            own = group == number
            index = bin_index(predicted[own], binning, num_bins)
            cell[own] = number * num_bins + index
        shape = (self.num_groups * num_bins, self.num_items)
        self._sums = [
            sparse.csr_array((values, (cell, item)), shape=shape)
            for values in (np.ones(len(item)), predicted, y[chosen].astype(np.float64))
        ]

    def __call__(self, weights: Array) -> Binned:
        """Return the sums for weights `replicates x items`."""
        shape = (len(weights), self.num_groups, self.num_bins)
        count, predicted, observed = ((s @ weights.T).T.reshape(shape) for s in self._sums)
        return Binned(count, predicted, observed)

    @property
    def error(self) -> Statistic:
        """The expected calibration error as a statistic, `replicates x groups`."""
        return lambda weights: self(weights).error

    @property
    def debiased_error(self) -> Statistic:
        """The debiased calibration error as a statistic, `replicates x groups`."""
        return lambda weights: self(weights).debiased_error

    @property
    def observed_rate(self) -> Statistic:
        """The reliability curve as a statistic, `replicates x groups x bins`."""
        return lambda weights: self(weights).observed_rate

    @classmethod
    def shown(
        cls,
        probability: ArrayLike,
        labels: ArrayLike,
        k: int,
        *,
        binning: Binning = "equal-width",
        num_bins: int = NUM_BINS,
    ) -> Self:
        """Return the predictions that a user sees who is shown the k likeliest labels of an item.

        What is shown was chosen for being high, so a model that is calibrated over all labels may
        still promise too much here.

        Raises:
            UserError: If k is below 1; one above the number of labels shows all.
        """
        p, _ = as_pair(probability, labels)
        chosen = shown_labels(p, k)
        return cls(probability, labels, binning=binning, num_bins=num_bins, chosen=chosen)


def shown_labels(probability: Floats, k: int) -> NDArray[np.bool_]:
    """Return which labels are an item's k likeliest, `items x labels`; of equals the first.

    Raises:
        UserError: If k is below 1.

    Example:
        >>> shown_labels(np.array([[0.1, 0.7, 0.3]]), k=2)
        array([[False,  True,  True]])
    """
    if k < 1:
        raise UserError(f"Got k={k} labels to show; expected at least 1.")
    order = np.argsort(-probability, axis=1, kind="stable")[:, :k]
    chosen = np.zeros(probability.shape, np.bool_)
    np.put_along_axis(chosen, order, True, axis=1)
    return chosen
