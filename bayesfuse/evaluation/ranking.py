"""Ranking items by posterior draws of a score: how high each one is, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesfuse.config import RANKINGS
from bayesfuse.errors import UserError, unknown_option
from bayesfuse.evaluation.arrays import Floats
from bayesfuse.evaluation.draw_file import DrawFile

DEFAULT_LEVEL = 0.9
"""Probability of an interval, and that with which two items are told apart."""

AT_ONCE = 2**22
"""Numbers that are in memory at once, of draws of some items."""


@dataclass(frozen=True)
class Ranking:
    """What draws say of every item's score and rank; every array is `items`, as the items came.

    Ranks are 1 for the highest score of a draw. Items of equal score share the mean of their
    places.

    Attributes:
        mean: Mean of the score over draws.
        sd: Its standard deviation over draws.
        lower: Lower end of the central interval of the score.
        upper: Its upper end.
        rank_mean: Expected rank.
        rank_lower: Lower end of the central interval of the rank, rounded down.
        rank_upper: Its upper end, rounded up.
        top: Probability of being among the `num_top` highest. Items of equal score that are there
            together for the last places share these; so the sum is `num_top`.
        num_top: See above; at most the number of items.
        level: Probability of the intervals.
        num_draws: Draws behind it.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    rank_mean: NDArray[np.float64]
    rank_lower: NDArray[np.int64]
    rank_upper: NDArray[np.int64]
    top: NDArray[np.float64]
    num_top: int
    level: float
    num_draws: int

    def order(self, by: str = "mean", sample: Floats | None = None) -> NDArray[np.int64]:
        """Return the items from the first to the last.

        Args:
            by: `mean`, by the posterior mean; `lower`, by the lower end of the interval; `rank`,
                by the expected rank; `top`, by the probability of being among the highest (ties by
                expected rank); `thompson`, by the scores of one posterior draw. Remaining ties go
                to the higher mean, then to the item that came first.
            sample: For `thompson`: the scores of a draw, `items`.

        Raises:
            UserError: If `by` is unknown, or `thompson` got no sample.
        """
        if by not in RANKINGS:
            raise UserError(unknown_option("ranking", by, RANKINGS))
        if by == "thompson" and sample is None:
            raise UserError("Thompson sampling ranks by one draw; expected `sample`, items.")
        first = np.arange(len(self.mean))
        keys = {
            "mean": (-self.mean,),
            "lower": (-self.mean, -self.lower),
            "rank": (-self.mean, self.rank_mean),
            "top": (-self.mean, self.rank_mean, -self.top),
            "thompson": (-self.mean, self.mean if sample is None else -sample),
        }[by]
        return np.lexsort((first, *keys)).astype(np.int64)


def ranks(scores: Floats) -> NDArray[np.float64]:
    """Return the rank of each item of one draw: 1 for the highest; equal scores share their mean.

    Args:
        scores: `items`.

    Example:
        >>> ranks(np.array([0.2, 0.9, 0.2]))
        array([2.5, 1. , 2.5])
    """
    return _ranks_and_top(scores, 1)[0]


def rank_draws(scores: DrawFile, *, level: float = DEFAULT_LEVEL, top: int = 20) -> Ranking:
    r"""Rank items by draws of their scores.

    With :math:`R_i^{(s)} = 1 + \#\{j : r_j^{(s)} > r_i^{(s)}\}`, plus half the number of others of
    equal score, the expected rank is :math:`\frac1S \sum_s R_i^{(s)}` and the probability of the
    top k the share of draws with :math:`R_i^{(s)} \le k`. Draws are joint over items, so that what
    all of them have in common (a label that is rare or not) moves no rank. Ranks are worked out a
    draw at a time and intervals a chunk of items at a time: memory is that of some arrays `items`.

    Args:
        scores: `draws x items`.
        level: Probability of the central intervals, in (0, 1).
        top: k, >= 1.

    Raises:
        UserError: If there is no item, the level is outside (0, 1), or top is less than 1.

    Example:
        >>> with DrawFile(2, 3) as scores:
        ...     scores.write(np.array([[0.9, 0.5, 0.1], [0.8, 0.1, 0.3]]), 0)
        ...     found = rank_draws(scores, top=2)
        >>> found.rank_mean, found.top
        (array([1. , 2.5, 2.5]), array([1. , 0.5, 0.5]))

    Reference: Laird & Louis 1989 (expected ranks); Lin et al. 2006, sec. 3 (top k), whose losses
    these rankings are best for.
    """
    if not 0 < level < 1:
        raise UserError(f"The level is {level}; expected a probability between 0 and 1.")
    if top < 1:
        raise UserError(f"The top {top} was asked for; expected at least 1.")
    draws, items = scores.num_draws, scores.num_items
    if not items or not draws:
        raise UserError(f"Got {draws} draws of {items} items; expected at least one of each.")
    top = min(top, items)
    rank_sum, in_top = np.zeros(items), np.zeros(items)
    tails = ((1 - level) / 2, (1 + level) / 2)
    with DrawFile(draws, items) as rank_file:
        for draw in range(draws):
            rank, share = _ranks_and_top(scores.draw(draw), top)
            rank_file.write_draw(draw, rank)
            rank_sum += rank
            in_top += share
        step = max(1, AT_ONCE // draws)
        starts = range(0, items, step)
        parts = [_intervals(scores.items(start, start + step), tails) for start in starts]
        mean, sd, lower, upper = np.concatenate(parts, axis=1)
        bounds = [
            np.quantile(rank_file.items(start, start + step), tails, axis=0) for start in starts
        ]
    rank_lower, rank_upper = np.concatenate(bounds, axis=1)
    return Ranking(
        mean=mean,
        sd=sd,
        lower=lower,
        upper=upper,
        rank_mean=rank_sum / draws,
        rank_lower=np.floor(rank_lower).astype(np.int64),
        rank_upper=np.ceil(rank_upper).astype(np.int64),
        top=in_top / draws,
        num_top=top,
        level=level,
        num_draws=draws,
    )


def near_ties(
    scores: DrawFile, order: NDArray[np.int64], *, level: float = DEFAULT_LEVEL
) -> NDArray[np.int64]:
    r"""Group items that follow each other and cannot be told apart from the first of their group.

    Going down the order, an item j stays in the group of the first one, i, as long as neither is
    above the other with probability `level` or more,

    .. math:: 1 - \ell < P(r_i > r_j) + \tfrac12 P(r_i = r_j) < \ell

    over the joint draws; otherwise it is the first of the next group. Two items of one group are
    each compared with the first of it, not with each other.

    Args:
        scores: `draws x items`.
        order: The items from the first to the last.
        level: ℓ, in (0.5, 1].

    Returns:
        The group of each place in the order, from 1, `items`.

    Raises:
        UserError: If the level is outside (0.5, 1].

    Example:
        >>> with DrawFile(2, 3) as scores:
        ...     scores.write(np.array([[0.9, 0.5, 0.1], [0.4, 0.5, 0.2]]), 0)
        ...     near_ties(scores, np.array([0, 1, 2]))
        array([1, 1, 2])
    """
    if not 0.5 < level <= 1:
        raise UserError(f"The level is {level}; expected a probability above 0.5, at most 1.")
    groups = np.empty(len(order), np.int64)
    group, leader = 0, np.zeros((scores.num_draws, 1), np.float32)
    with DrawFile(scores.num_draws, len(order)) as ordered:
        for draw in range(scores.num_draws):
            ordered.write_draw(draw, scores.draw(draw)[order])
        chunk = max(1, AT_ONCE // scores.num_draws)
        for start in range(0, len(order), chunk):
            block, place, step = ordered.items(start, start + chunk), 0, 64
            while place < block.shape[1]:
                following = block[:, place : place + step]
                apart = _told_apart(leader, following, level) if group else np.ones(1, np.bool_)
                stays = int(np.argmax(apart)) if apart.any() else following.shape[1]
                groups[start + place : start + place + stays] = group
                place += stays
                step *= 2  # a large group is looked at in few steps, a small one in a short one
                if apart.any():
                    group, leader, step = group + 1, block[:, place : place + 1].copy(), 64
                    groups[start + place] = group
                    place += 1
    return groups


def write_scores(scores: DrawFile, chunks: Iterable[Floats]) -> None:
    """Write chunks of scores, `draws x items`, one after the other.

    Raises:
        UserError: If they are of more or fewer items than there is place for.
    """
    start = 0
    for chunk in chunks:
        scores.write(chunk, start)
        start += chunk.shape[1]
    if start != scores.num_items:
        raise UserError(f"Got the scores of {start} items; expected {scores.num_items}.")


def _told_apart(leader: Floats, others: Floats, level: float) -> NDArray[np.bool_]:
    above = ((leader > others).sum(axis=0) + 0.5 * (leader == others).sum(axis=0)) / len(leader)
    # `>=` of two shares that are equal but for rounding
    told: NDArray[np.bool_] = np.maximum(above, 1 - above) >= level - 1e-12
    return told


def _ranks_and_top(scores: Floats, top: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ranks of one draw, and the share of each item in the `top` first places."""
    order = np.argsort(-scores)
    falling = scores[order]
    starts = np.flatnonzero(np.append(True, falling[1:] != falling[:-1]))
    sizes = np.diff(np.append(starts, len(order)))
    rank, share = np.empty(len(order)), np.empty(len(order))
    rank[order] = np.repeat(starts + (sizes + 1) / 2, sizes)
    share[order] = np.repeat((top - starts).clip(0, sizes) / sizes, sizes)
    return rank, share


def _intervals(block: NDArray[np.float32], tails: tuple[float, float]) -> NDArray[np.float64]:
    """Return mean, spread and quantiles of some items, `4 x items`."""
    draws = block.astype(np.float64)
    quantiles = np.quantile(draws, tails, axis=0)
    return np.stack([draws.mean(axis=0), draws.std(axis=0), *quantiles])
