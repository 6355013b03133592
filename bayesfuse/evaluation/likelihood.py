"""How likely draws of probabilities make the labels: item by item, label by label."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.errors import UserError
from bayesfuse.evaluation.arrays import as_probability

SMALLEST = float(np.finfo(np.float32).epsneg) / 2
"""Probabilities are floats of 32 bits, which know none nearer to 1 than this, and so none of a
label's absence that is smaller; one draw costs an item at most 17 nats a label."""


def log_likelihood(
    probability: ArrayLike, labels: ArrayLike, *, by_item: bool = False
) -> NDArray[np.float32]:
    r"""Return the log likelihood of each draw, in nats.

    .. math:: \ell^{(s)}_{ic} = y_{ic} \log p^{(s)}_{ic} + (1 - y_{ic}) \log(1 - p^{(s)}_{ic})

    Args:
        probability: `draws x items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        by_item: Sum over labels, which are independent given a draw.

    Returns:
        `draws x items x labels`, or `draws x items`.

    Raises:
        UserError: If the shapes differ.

    Example:
        >>> log_likelihood([[[0.5, 0.25]]], [[1, 0]]).round(3).tolist()
        [[[-0.6930000185966492, -0.2879999876022339]]]
        >>> log_likelihood([[[0.5, 0.25]]], [[1, 0]], by_item=True).round(3).tolist()
        [[-0.9810000061988831]]
    """
    p, y = as_probability(probability), np.asarray(labels).astype(bool)
    if p.ndim != 3 or p.shape[1:] != y.shape:
        raise UserError(
            f"Got draws of shape {p.shape} and labels of shape {y.shape}; expected "
            "draws x items x labels, and items x labels."
        )
    found = np.empty(p.shape[:2] if by_item else p.shape, np.float32)
    for draw, one in enumerate(p):
        said = np.where(y, one, 1 - one.astype(np.float64))
        nats = np.log(np.maximum(said, SMALLEST))
        found[draw] = nats.sum(axis=1) if by_item else nats
    return found
