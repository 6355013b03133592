"""Temperature scaling: one number, or one a label, by which all logits are divided."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from bayesfuse.errors import UserError
from bayesfuse.evaluation.arrays import Bools, Floats, as_pair, as_probability

RANGE = (0.05, 20.0)
"""Temperatures that are looked at; beyond, all probabilities are about 0 and 1, or about 1/2."""


def best_temperature(probability: ArrayLike, labels: ArrayLike) -> float:
    r"""Return the one temperature for all labels with the least negative log-likelihood.

    .. math:: T = \arg\min_T \; -\sum_{ic} \log \text{Bernoulli}\bigl(y_{ic} \mid
        \sigma(\operatorname{logit}(p_{ic}) / T) \bigr)

    Args:
        probability: `items x labels`, in [0, 1]; of items that are not the ones to be scored.
        labels: `items x labels`, 0 or 1.

    Returns:
        The temperature, within `RANGE`; above 1 for probabilities that were over-confident.

    Raises:
        UserError: If shapes or values do not fit.

    Example:
        >>> round(best_temperature([[0.9], [0.9], [0.9], [0.9]], [[1], [1], [1], [0]]), 3)
        2.0

    Reference: Guo et al. 2017 (arXiv:1706.04599), section 4.2, for Bernoulli labels.
    """
    p, y = as_pair(probability, labels)
    return _best(_logit(p).ravel(), y.ravel())


def best_temperatures(probability: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Return each label's own best temperature, `labels` (see `best_temperature`).

    A label that no item or every item has gets the temperature of all labels together: whatever
    is surer would be better on these items.
    """
    p, y = as_pair(probability, labels)
    both = np.logical_and(y.any(axis=0), ~y.all(axis=0)).tolist()
    together = best_temperature(p, y)
    columns = zip(_logit(p).T, y.T, both, strict=True)
    return np.array([_best(z, own) if two else together for z, own, two in columns])


def tempered(probability: ArrayLike, temperature: ArrayLike) -> NDArray[np.float64]:
    r"""Return :math:`\sigma(\operatorname{logit}(p) / T)`, the same shape.

    Args:
        probability: `... x labels`, in [0, 1]; draws count, too.
        temperature: One number, or one a label, > 0.

    Raises:
        UserError: If a probability or a temperature is out of range.

    Example:
        >>> tempered([[0.9, 0.1]], 2.0)
        array([[0.75, 0.25]])
    """
    heat = np.asarray(temperature, np.float64)
    if not (heat > 0).all():
        raise UserError(f"Got a temperature of {heat.min():g}; expected numbers above 0.")
    return np.asarray(expit(_logit(as_probability(probability)) / heat))


def _logit(p: Floats) -> NDArray[np.float64]:
    """Return logits, finite: a 1.0 says no more than its dtype can (see `nll_per_label`)."""
    epsilon = float(np.finfo(p.dtype).eps)
    return np.asarray(logit(np.clip(p.astype(np.float64), epsilon, 1 - epsilon)))


def _best(logits: NDArray[np.float64], truth: Bools) -> float:
    signed = np.where(truth, logits, -logits)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -signed * np.exp(-log_temperature)).mean())

    # convex in 1 / T, so with one minimum in log T
    found = minimize_scalar(
        loss, bounds=tuple(np.log(RANGE)), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))
