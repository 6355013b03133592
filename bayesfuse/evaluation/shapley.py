"""Shapley values, exactly, from the value of every coalition; on arrays of draws."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.errors import FeatureError

MAX_PLAYERS = 10
"""With more there are too many coalitions to look at each."""


def coalitions(num_players: int) -> NDArray[np.bool_]:
    """Return every coalition, `2 ** players x players`: row k has those whose bit is set in k.

    Raises:
        FeatureError: If there are too many players, or none.

    Example:
        >>> coalitions(2).astype(int).tolist()
        [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    if not 1 <= num_players <= MAX_PLAYERS:
        raise FeatureError(f"Got {num_players} players; expected 1 to {MAX_PLAYERS}.")
    numbers = np.arange(2**num_players)
    return (numbers[:, None] >> np.arange(num_players) & 1).astype(np.bool_)


def shapley_values(values: ArrayLike) -> NDArray[np.float64]:
    r"""Return what each player adds, the mean over all orders in which they may come.

    .. math:: \phi_m = \sum_{S \not\ni m} \frac{|S|!\,(M - |S| - 1)!}{M!}
        \big( v(S \cup \{m\}) - v(S) \big)

    Their sum is the value of all together less that of nobody.

    Args:
        values: The value v of every coalition, `2 ** players x ...`, in the order of `coalitions`.

    Returns:
        `players x ...`.

    Raises:
        FeatureError: If the number of coalitions is no power of 2, or too large.

    Example:
        >>> shapley_values([0.0, 1.0, 3.0, 6.0]).tolist()  # nobody, the first, the second, both
        [2.0, 4.0]

    Reference: Shapley 1953, A value for n-person games, its theorem on existence.
    """
    array = np.asarray(values, dtype=np.float64)
    num_players = max(1, len(array).bit_length() - 1)
    if len(array) != 2**num_players:
        raise FeatureError(f"Got values of {len(array)} coalitions; expected 2, 4, 8, and so on.")
    members = coalitions(num_players)
    sizes = members.sum(axis=1)
    weights = np.array(
        [
            math.factorial(size) * math.factorial(num_players - size - 1)
            for size in range(num_players)
        ]
    ) / math.factorial(num_players)
    found = []
    for player in range(num_players):
        without = np.flatnonzero(~members[:, player])
        gain = array[without + 2**player] - array[without]
        found.append(np.tensordot(weights[sizes[without]], gain, axes=1))
    return np.stack(found)
