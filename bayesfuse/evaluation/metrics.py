r"""Scores of decisions (F1), of rankings (average precision) and of probabilities (NLL, Brier).

Where a score is not defined it is NaN for that one label or item and is left out of the averages,
which say how many were left out: F1 and average precision of a label that no item has, or of an
item that has no label. scikit-learn counts such F1 as 0 instead, and so pulls averages down by
labels that the split at hand cannot test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlog1py, xlogy

from bayesfuse.evaluation.arrays import Bools, Floats, as_pair, mean_where
from bayesfuse.evaluation.thresholds import DEFAULT, decide


@dataclass(frozen=True)
class F1:
    """F1 of decisions, averaged in four ways, each in [0, 1] (NaN if nothing is defined).

    Attributes:
        micro: Over all decisions at once, those on labels without a positive included.
        macro: Mean over labels that some item has.
        weighted: Mean over labels, weighted by how many items have each.
        samples: Mean over items that have some label.
        labels_left_out: Labels without a positive, left out of macro.
        items_left_out: Items without a label, left out of samples.
    """

    micro: float
    macro: float
    weighted: float
    samples: float
    labels_left_out: int
    items_left_out: int


@dataclass(frozen=True)
class AveragePrecision:
    """Average precision of rankings, averaged in three ways, each in [0, 1] (NaN if undefined).

    Attributes:
        micro: Of the ranking of all item and label pairs at once.
        macro: Mean over labels that some item has, of the ranking of items.
        samples: Mean over items that have some label, of the ranking of labels.
        labels_left_out: Labels without a positive, left out of macro.
        items_left_out: Items without a label, left out of samples.
    """

    micro: float
    macro: float
    samples: float
    labels_left_out: int
    items_left_out: int


def f1(probability: ArrayLike, labels: ArrayLike, thresholds: ArrayLike = DEFAULT) -> F1:
    r"""Return F1 in its four averages, for decisions at the given thresholds.

    .. math:: F_1 = \frac{2 \, TP}{2 \, TP + FP + FN}

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        thresholds: One number or one a label (`labels`); yes is at or above it.

    Returns:
        The averages and how much each left out.

    Raises:
        UserError: If shapes or values do not fit.

    Example:
        >>> f1([[0.9, 0.2], [0.6, 0.7]], [[1, 0], [0, 1]]).micro
        0.8

    Reference: Armitage et al. 2020 (PM+MO), section 4, eq. 7 for `samples`.
    """
    probabilities, truth = as_pair(probability, labels)
    decisions = decide(probabilities, thresholds)
    by_label, by_item = _f1(decisions, truth, axis=0), _f1(decisions, truth, axis=1)
    support = truth.sum(axis=0)
    has_positive, has_label = support > 0, truth.sum(axis=1) > 0
    weighted = np.nansum(by_label * support) / support.sum() if support.any() else np.nan
    return F1(
        micro=float(_f1(decisions.reshape(-1, 1), truth.reshape(-1, 1), axis=0)[0]),
        macro=mean_where(by_label, has_positive),
        weighted=float(weighted),
        samples=mean_where(by_item, has_label),
        labels_left_out=int((~has_positive).sum()),
        items_left_out=int((~has_label).sum()),
    )


def f1_per_label(
    probability: ArrayLike, labels: ArrayLike, thresholds: ArrayLike = DEFAULT
) -> NDArray[np.float64]:
    """Return each label's F1, `labels`; NaN for a label that no item has (see `f1`)."""
    probabilities, truth = as_pair(probability, labels)
    return _f1(decide(probabilities, thresholds), truth, axis=0)


def average_precision(probability: ArrayLike, labels: ArrayLike) -> AveragePrecision:
    r"""Return average precision in its three averages.

    .. math:: AP = \sum_k (R_k - R_{k-1}) P_k

    over the distinct probabilities from high to low, with precision P and recall R of accepting
    everything from there up; equal probabilities are accepted together.

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.

    Returns:
        The averages and how much each left out.

    Raises:
        UserError: If shapes or values do not fit.

    Example:
        >>> average_precision([[0.9, 0.2], [0.6, 0.7]], [[1, 0], [0, 1]]).macro
        1.0
    """
    probabilities, truth = as_pair(probability, labels)
    has_positive, has_label = truth.sum(axis=0) > 0, truth.sum(axis=1) > 0
    return AveragePrecision(
        micro=float(_average_precision(probabilities.reshape(1, -1), truth.reshape(1, -1))[0]),
        macro=mean_where(_average_precision(probabilities.T, truth.T), has_positive),
        samples=mean_where(_average_precision(probabilities, truth), has_label),
        labels_left_out=int((~has_positive).sum()),
        items_left_out=int((~has_label).sum()),
    )


def average_precision_per_label(probability: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Return each label's average precision, `labels`; NaN for a label that no item has."""
    probabilities, truth = as_pair(probability, labels)
    return _average_precision(probabilities.T, truth.T)


def nll_per_label(
    probability: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    r"""Return each label's mean negative log-likelihood over items, in nats.

    .. math:: -\frac1N \sum_i \bigl[ y_i \log \hat p_i + (1 - y_i) \log(1 - \hat p_i) \bigr]

    Probabilities are kept one machine epsilon of their own dtype away from 0 and 1, because a 1.0
    in float32 says no more than "above 1 - 1.2e-7"; scikit-learn's `log_loss` does the same.

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        weights: What each term counts for, `items x labels`; 1 if None.

    Returns:
        Nats, `labels`, each >= 0 and finite.

    Raises:
        UserError: If shapes or values do not fit.

    Example:
        >>> nll_per_label([[0.5, 1.0], [0.5, 0.0]], [[1, 1], [0, 0]]).round(3)
        array([0.693, 0.   ])
    """
    terms = nll_terms(probability, labels)
    weighted = terms if weights is None else terms * np.asarray(weights, np.float64)
    return np.asarray(weighted.mean(axis=0), dtype=np.float64)


def nll_terms(probability: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Return what each item and label adds to the `nll_per_label`, `items x labels`, in nats."""
    probabilities, truth = as_pair(probability, labels)
    epsilon = float(np.finfo(probabilities.dtype).eps)
    p = np.clip(probabilities.astype(np.float64), epsilon, 1 - epsilon)
    return np.asarray(-(xlogy(truth, p) + xlog1py(1.0 - truth, -p)), dtype=np.float64)


def nll(probability: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the negative log-likelihood a label in nats: the mean over items and labels.

    Args:
        probability: See `nll_per_label`.
        labels: See `nll_per_label`.
        weights: What each term counts for, `items x labels`; 1 if None.
    """
    return float(nll_per_label(probability, labels, weights).mean())


def brier_per_label(probability: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    r"""Return each label's Brier score, :math:`\frac1N \sum_i (\hat p_i - y_i)^2`, `labels`."""
    probabilities, truth = as_pair(probability, labels)
    return np.asarray(np.square(probabilities.astype(np.float64) - truth).mean(axis=0))


def brier(probability: ArrayLike, labels: ArrayLike) -> float:
    """Return the Brier score: the mean over items and labels."""
    return float(brier_per_label(probability, labels).mean())


def _f1(decisions: Bools, truth: Bools, axis: int) -> NDArray[np.float64]:
    """Return F1 along an axis; NaN where nothing is true, whatever was decided."""
    true = truth.sum(axis)
    twice_hits = 2.0 * (decisions & truth).sum(axis)
    scores = twice_hits / np.maximum(decisions.sum(axis) + true, 1)
    return np.where(true > 0, scores, np.nan)


def _average_precision(scores: Floats, truth: Bools) -> NDArray[np.float64]:
    """Return the average precision of each row; NaN where nothing is true."""
    width = scores.shape[1]
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked, hits = np.take_along_axis(scores, order, 1), np.take_along_axis(truth, order, 1)
    # The last position with the same score: precision is taken there for all of its equals.
    is_last = np.ones(scores.shape, dtype=np.bool_)
    is_last[:, :-1] = ranked[:, :-1] != ranked[:, 1:]
    position = np.where(is_last, np.arange(width), width)
    last = np.minimum.accumulate(position[:, ::-1], axis=1)[:, ::-1]
    precision = np.take_along_axis(hits.cumsum(axis=1), last, 1) / (last + 1)
    true = hits.sum(axis=1)
    total = (precision * hits).sum(axis=1)
    return np.where(true > 0, total / np.maximum(true, 1), np.nan)
