"""Does the model know what it does not know: uncertainty of foreign items against that of own."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bayesfuse.errors import UserError
from bayesfuse.evaluation.resampling import Array, Statistic


def outlier_auroc(own: ArrayLike, foreign: ArrayLike) -> float:
    r"""Return how often a foreign item is more uncertain than one of the model's own.

    .. math:: \text{AUROC} = P(u_{\text{foreign}} > u_{\text{own}})
        + \tfrac12 P(u_{\text{foreign}} = u_{\text{own}})

    Args:
        own: Uncertainty of each item like those of the training, `items`; such as the mutual
            information, mean over labels, in nats.
        foreign: The same of items from elsewhere, `items`.

    Returns:
        In [0, 1]; 1/2 if the uncertainty tells nothing.

    Raises:
        UserError: If one is empty or a value is not finite.

    Example:
        >>> outlier_auroc([0.1, 0.2], [0.2, 0.5])
        0.875

    Reference: Hanley and McNeil 1982 (Radiology 143); Hendrycks and Gimpel 2017
    (arXiv:1610.02136) for its use here.
    """
    statistic, num_items = auroc_statistic(own, foreign)
    return float(statistic(np.ones((1, num_items)))[0])


def auroc_statistic(own: ArrayLike, foreign: ArrayLike) -> tuple[Statistic, int]:
    """Return the AUROC as a statistic, `replicates`, and the number of items it is a function of.

    The items are the own ones and then the foreign ones.
    """
    inside, outside = np.asarray(own, np.float64).ravel(), np.asarray(foreign, np.float64).ravel()
    scores = np.concatenate([inside, outside])
    if not (len(inside) and len(outside) and np.isfinite(scores).all()):
        raise UserError(
            f"Got the uncertainty of {len(inside)} own and {len(outside)} foreign items; expected "
            "at least one of each, all finite."
        )
    order = np.argsort(scores, kind="stable")
    ranked, is_foreign = scores[order], (np.arange(len(scores)) >= len(inside))[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))

    def statistic(weights: Array) -> Array:
        sorted_weights = weights[:, order]
        here = np.add.reduceat(sorted_weights * ~is_foreign, starts, axis=1)
        there = np.add.reduceat(sorted_weights * is_foreign, starts, axis=1)
        below = np.cumsum(here, axis=1) - here / 2
        pairs = here.sum(axis=1) * there.sum(axis=1)
        found = (there * below).sum(axis=1) / np.where(pairs > 0, pairs, 1.0)
        return np.where(pairs > 0, found, np.nan)

    return statistic, len(scores)
