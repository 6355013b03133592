"""Whether one model is better than another whatever the seed: the paired t test."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from bayesfuse.errors import UserError


def paired_t(mine: ArrayLike, theirs: ArrayLike) -> float:
    r"""Return how likely a mean difference this large is if seeds alone made it.

    .. math:: t = \frac{\bar d}{s_d / \sqrt n}, \qquad p = 2\, P(T_{n-1} > |t|),
        \qquad d_k = a_k - b_k

    Args:
        mine: A score of each seed, `seeds`.
        theirs: The other model's, of the same seeds.

    Returns:
        The two-sided p; 1 if no seed differs, NaN of fewer than two seeds or of a score that is
        not defined.

    Raises:
        UserError: If there are not as many of both.

    Example:
        >>> round(paired_t([0.52, 0.55, 0.53], [0.50, 0.51, 0.52]), 3)
        0.118

    Reference: Student 1908, The Probable Error of a Mean.
    """
    a, b = np.asarray(mine, np.float64), np.asarray(theirs, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise UserError(
            f"Got scores of shapes {a.shape} and {b.shape}; expected one a seed, of the same seeds."
        )
    difference = a - b
    if len(difference) < 2 or not np.isfinite(difference).all():
        return math.nan
    mean, spread = float(difference.mean()), float(difference.std(ddof=1))
    if spread == 0:
        return 1.0 if mean == 0 else 0.0
    t = mean / (spread / math.sqrt(len(difference)))
    return float(2 * stats.t.sf(abs(t), len(difference) - 1))
