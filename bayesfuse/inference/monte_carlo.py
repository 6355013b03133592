r"""How far probabilities are from what infinitely many draws would give."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bayesfuse.errors import UserError


def monte_carlo_error(sd: ArrayLike, num_draws: int) -> float:
    r"""Return the Monte Carlo standard error of the probabilities of the worst label.

    .. math:: \text{error} = \max_c \sqrt{\frac1N \sum_{i=1}^N \frac{s_{ic}^2}{S - 1}}

    With :math:`s_{ic}` the standard deviation of S draws of the probability of label c for item i,
    :math:`s_{ic} / \sqrt{S - 1}` estimates how far their mean is from that of all draws there could
    be. Of each label the root mean square over the items counts, and of all labels the largest: a
    label of a few unsure items is not hidden by many that are easy.

    Args:
        sd: Standard deviation over draws, dividing by S, `items x labels`.
        num_draws: S, the draws behind it, >= 2.

    Returns:
        The error, a probability; 0 of no labels.

    Raises:
        UserError: If there are fewer than two draws, or `sd` is no `items x labels`.

    Example:
        >>> monte_carlo_error([[0.1, 0.2], [0.1, 0.2]], num_draws=101)
        0.02

    Reference: Flegal et al. 2008 (arXiv:math/0703746) for stopping by the standard error; draws
    here are independent, so that no batch means are needed.
    """
    spread = np.asarray(sd, np.float64)
    if spread.ndim != 2:
        raise UserError(f"Got spreads of shape {spread.shape}; expected items x labels.")
    if num_draws < 2:
        raise UserError(f"Got {num_draws} draws; expected at least 2, which have a spread.")
    if not spread.size:
        return 0.0
    by_label = np.sqrt(np.square(spread).mean(axis=0) / (num_draws - 1))
    return float(by_label.max())
