"""What an evaluation takes in: probabilities and 0/1 labels, both `items x labels`.

Items whose labels are unknown have no place here; leave their rows out before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.errors import UserError

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]


def as_probability(probability: ArrayLike, what: str = "probability") -> Floats:
    """Return an array of probabilities in the floating dtype it came in.

    Args:
        probability: Any shape, values in [0, 1].
        what: What to call it in an error.

    Returns:
        The array; integers become float64.

    Raises:
        UserError: If it is empty, or a value is NaN or outside [0, 1].
    """
    array = np.asarray(probability)
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    if array.size == 0:
        raise UserError(f"The {what} array has shape {array.shape}; expected at least one value.")
    outside = ~((array >= 0) & (array <= 1))
    if outside.any():
        where = tuple(int(index) for index in np.argwhere(outside)[0])
        raise UserError(
            f"The {what} array holds {array[where]} at {where}; expected numbers in [0, 1]. "
            "Pass probabilities, not logits, and leave out items that were not predicted."
        )
    return array


def as_pair(probability: ArrayLike, labels: ArrayLike) -> tuple[Floats, Bools]:
    """Return probabilities and labels of one shape, `items x labels`.

    Args:
        probability: Predicted probability of each label, `items x labels`, in [0, 1].
        labels: True labels, `items x labels`, 0 or 1 (or bool).

    Returns:
        The probabilities in their floating dtype, and the labels as bool.

    Raises:
        UserError: If the shapes differ, either is empty, or a value is not allowed.

    Example:
        >>> as_pair([[0.5, 0.2]], [[1, 0]])
        (array([[0.5, 0.2]]), array([[ True, False]]))
        >>> as_pair([[0.5, 0.2]], [[1, 0, 1]])
        Traceback (most recent call last):
            ...
        bayesfuse.errors.UserError: Got probabilities of shape (1, 2) and labels of shape (1, 3); \
expected both to be items x labels.
    """
    probabilities, truth = np.asarray(probability), np.asarray(labels)
    if probabilities.ndim != 2 or probabilities.shape != truth.shape:
        raise UserError(
            f"Got probabilities of shape {probabilities.shape} and labels of shape {truth.shape}; "
            "expected both to be items x labels."
        )
    checked = as_probability(probabilities)
    binary = truth.astype(np.bool_)
    if not np.array_equal(binary, truth):
        raise UserError(
            "The labels hold a value other than 0 and 1; expected 1 where an item has the label. "
            "Leave out items whose labels are unknown."
        )
    return checked, binary


def mean_where(values: Floats, defined: Bools) -> float:
    """Return the mean of the values that are defined, or NaN if none is (without a warning)."""
    return float(values[defined].mean()) if defined.any() else float("nan")
