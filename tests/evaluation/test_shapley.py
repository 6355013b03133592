"""Shapley values against the definition: the mean over all orders."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bayesfuse.errors import FeatureError
from bayesfuse.evaluation.shapley import MAX_PLAYERS, coalitions, shapley_values


def by_orders(values: np.ndarray, num_players: int) -> np.ndarray:
    total = np.zeros((num_players, *values.shape[1:]))
    orders = list(itertools.permutations(range(num_players)))
    for order in orders:
        there = 0
        for player in order:
            total[player] += values[there + 2**player] - values[there]
            there += 2**player
    return total / len(orders)


@pytest.mark.parametrize("num_players", [1, 2, 3, 5])
def test_values_are_the_mean_over_orders(num_players):
    values = np.random.default_rng(num_players).normal(size=(2**num_players, 3, 2))
    found = shapley_values(values)
    np.testing.assert_allclose(found, by_orders(values, num_players), atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=0), values[-1] - values[0], atol=1e-12)


def test_who_adds_nothing_gets_nothing_and_equals_get_the_same():
    members = coalitions(3)
    values = (members[:, 0] | members[:, 1]).astype(float)  # the third adds nothing
    assert shapley_values(values).tolist() == pytest.approx([0.5, 0.5, 0.0])


def test_what_is_no_set_of_coalitions():
    for wrong in (np.zeros(3), np.zeros(0), np.zeros(1), np.zeros(2 ** (MAX_PLAYERS + 1))):
        with pytest.raises(FeatureError, match=r"expected"):
            shapley_values(wrong)
    with pytest.raises(FeatureError, match=r"Got 0 players"):
        coalitions(0)
