"""The log likelihood of draws against scipy's, and what float32 cannot say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bayesfuse.errors import UserError
from bayesfuse.evaluation.likelihood import SMALLEST, log_likelihood


def test_it_is_that_of_bernoullis() -> None:
    rng = np.random.default_rng(0)
    p, y = rng.random((5, 7, 3)).astype(np.float32), rng.random((7, 3)) < 0.5
    expected = stats.bernoulli.logpmf(y, p.astype(np.float64))
    np.testing.assert_allclose(log_likelihood(p, y), expected, rtol=1e-5)
    summed = log_likelihood(p, y, by_item=True)
    assert summed.shape == (5, 7)
    np.testing.assert_allclose(summed, expected.sum(axis=2), rtol=1e-5)


def test_a_certainty_that_was_wrong_costs_much_and_not_infinitely_much() -> None:
    found = log_likelihood(np.array([[[1.0, 0.0]]], np.float32), [[0, 1]])
    np.testing.assert_allclose(found, np.log(SMALLEST), rtol=1e-6)
    assert -18 < found.min() < -16


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match=r"\(2, 3\)"):
        log_likelihood(np.ones((4, 3, 2)), np.ones((2, 3)))
