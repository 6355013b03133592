"""Which items to label next: those whose labels, together, would teach the model most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from bayesfuse.errors import UserError
from bayesfuse.evaluation.arrays import Floats

MAX_LABELS = 6
"""Labels of one question at most: their answers are looked at together, 2 to the power of them."""

MAX_ANSWERS = 512
"""Answers to the items chosen so far that are all looked at; of more, so many are drawn."""

POOL = 2**16
"""Items that are looked at together: those that would teach most by themselves."""

BLOCK = 2**12
"""Items whose draws are read at once."""

AT_ONCE = 2**7
"""Items that are looked at in one step."""


@dataclass(frozen=True)
class Batch:
    """Items to label next, the most informative first.

    Attributes:
        items: Their rows.
        gains: What each adds to what those before it teach, in nats.
    """

    items: NDArray[np.int64]
    gains: NDArray[np.float64]

    @property
    def information(self) -> float:
        """What their labels teach together, nats; S draws tell about log S at most."""
        return float(self.gains.sum())


def most_informative(
    draws_of: Callable[[NDArray[np.int64]], Floats],
    bounds: NDArray[np.float64],
    count: int,
    *,
    candidates: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Batch:
    r"""Choose items one after the other, each the one that teaches most beside those chosen.

    The mutual information between weights and the labels of a batch is grown greedily,

    .. math:: i_{b+1} = \arg\max_i \; I(y_1, \dots, y_b, y_i; \theta)
        = \arg\max_i \; \mathbb{E}_{y_{1..b}} \, I(y_i; \theta \mid y_{1..b})

    with θ one of the S joint posterior draws, equally likely before any label is known. So an item
    that repeats what another one would teach is not chosen beside it, as it would be by its own
    mutual information. The answers :math:`y_{1..b}` are enumerated while they are few, and drawn
    from their predictive distribution afterwards (`MAX_ANSWERS`). What an item adds never grows as
    others are chosen; so those whose last known gain is below the best are not looked at again,
    and this loses nothing while the answers are enumerated.

    Args:
        draws_of: From rows to their draws, `draws x items x labels`, of the labels asked about.
        bounds: What each item would teach at most: the sum of its mutual information over the
            labels asked about, `items`, nats.
        count: Items to choose; fewer if there are fewer candidates.
        candidates: Rows to choose from; all if None.
        seed: Of the answers that are drawn.

    Raises:
        UserError: If count is less than 1, or more than `MAX_LABELS` labels are asked about.

    Example:
        >>> draws = np.array([[0.9, 0.9, 0.2], [0.1, 0.1, 0.3]])[:, :, None]  # two are the same
        >>> alone = np.array([0.4, 0.4, 0.01])
        >>> most_informative(lambda rows: draws[:, rows], alone, 2).gains.round(3)
        array([0.368, 0.146])

    Reference: Houlsby et al. 2011 (BALD); Kirsch et al. 2019 (BatchBALD), eq. 9 to 12, whose
    greedy choice this is, by the chain rule and with lazy evaluation (Minoux 1978).
    """
    if count < 1:
        raise UserError(f"{count} items were asked for; expected at least 1.")
    rows = np.arange(len(bounds)) if candidates is None else np.asarray(candidates, np.int64)
    rows = rows[np.argsort(-bounds[rows], kind="stable")][:POOL]
    pool, answers = _Pool(draws_of, rows, bounds[rows]), _Answers(seed)
    chosen: list[int] = []
    gains: list[float] = []
    for _ in range(min(count, len(rows))):
        place, gain = pool.best(answers)
        chosen.append(place)
        gains.append(max(gain, 0.0))  # rounding may say less than nothing
        answers.add(pool.take(place))
    return Batch(rows[chosen], np.array(gains))


class _Answers:
    """The answers to the items chosen so far: how likely each is, and what each would teach.

    `shares` is P(y), `answers`; `weights` is P(draw | y), `answers x draws`, rows that sum to 1.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.shares: NDArray[np.float64] = np.ones(1)
        self.weights: NDArray[np.float64] | None = None

    def gains(self, outcomes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what items add, nats, from `draws x items x outcomes`."""
        draws, items, kinds = outcomes.shape
        weights = np.full((1, draws), 1 / draws) if self.weights is None else self.weights
        predictive = weights @ outcomes.reshape(draws, items * kinds)
        entropy = -xlogy(predictive, predictive).reshape(-1, items, kinds).sum(axis=2)
        within = -xlogy(outcomes, outcomes).sum(axis=2)
        gained: NDArray[np.float64] = self.shares @ entropy - (self.shares @ weights) @ within
        return gained

    def add(self, outcomes: NDArray[np.float64]) -> None:
        """Take in one more item, `draws x outcomes`."""
        draws, kinds = outcomes.shape
        weights = np.full((1, draws), 1 / draws) if self.weights is None else self.weights
        joint = (weights[:, None, :] * outcomes.T).reshape(-1, draws)
        likely = joint.sum(axis=1)
        shares = np.repeat(self.shares, kinds) * likely
        kept = np.flatnonzero(shares > 0)
        if len(kept) > MAX_ANSWERS:  # systematic: each comes as often as its share says, +-1
            points = (np.arange(MAX_ANSWERS) + self._rng.random()) / MAX_ANSWERS
            kept = np.searchsorted(np.cumsum(shares) / shares.sum(), points, side="right")
            self.shares = np.full(MAX_ANSWERS, 1 / MAX_ANSWERS)
        else:
            self.shares = shares[kept] / shares[kept].sum()
        self.weights = joint[kept] / likely[kept, None]


class _Pool:
    """Candidates by how much they may add at most, read from the first on as far as needed."""

    def __init__(
        self,
        draws_of: Callable[[NDArray[np.int64]], Floats],
        rows: NDArray[np.int64],
        limits: NDArray[np.float64],
    ) -> None:
        self._draws_of, self._rows = draws_of, rows
        self._limits = limits.astype(np.float64)
        self._blocks: list[NDArray[np.float64]] = []

    def best(self, answers: _Answers) -> tuple[int, float]:
        """Return the place of who adds most, and how much."""
        best, best_gain, read = -1, -np.inf, 0
        while read < len(self._rows) and (best < 0 or self._limits[read:].max() > best_gain):
            if read // BLOCK == len(self._blocks):
                self._blocks.append(_outcomes(self._draws_of(self._rows[read : read + BLOCK])))
            block = self._blocks[read // BLOCK]
            limits = self._limits[read : read + BLOCK]  # a view: what is learned of them stays
            order = np.argsort(-limits, kind="stable")
            for start in range(0, len(order), AT_ONCE):
                places = order[start : start + AT_ONCE]
                places = places[limits[places] > best_gain]
                if len(places):
                    limits[places] = answers.gains(block[:, places])
                    place = int(places[limits[places].argmax()])
                    if limits[place] > best_gain:
                        best, best_gain = read + place, float(limits[place])
            read += BLOCK
        return best, best_gain

    def take(self, place: int) -> NDArray[np.float64]:
        """Return the outcomes of a candidate, `draws x outcomes`, and never name it again."""
        self._limits[place] = -np.inf
        return self._blocks[place // BLOCK][:, place % BLOCK]


def _outcomes(draws: Floats) -> NDArray[np.float64]:
    """Return the probability of each set of labels, `draws x items x outcomes`."""
    labels = draws.shape[2]
    if labels > MAX_LABELS:
        raise UserError(
            f"{labels} labels were asked about; expected at most {MAX_LABELS} to choose items for."
        )
    found = np.ones((*draws.shape[:2], 1))
    for label in range(labels):
        p = draws[:, :, label, None].astype(np.float64)
        found = np.concatenate([found * p, found * (1 - p)], axis=2)
    return found
