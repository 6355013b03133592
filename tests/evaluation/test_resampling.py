"""The bootstrap: intervals that hold the truth as often as they say, and paired differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bayesfuse.errors import UserError
from bayesfuse.evaluation import resampling as module
from bayesfuse.evaluation.resampling import Bootstrap, bootstrap


def mean_of(values):
    return lambda weights: weights @ values / weights.sum(axis=1)


def coverage(level: float, shrink: float, rounds: int = 400) -> int:
    """Return how many intervals of the mean of 60 normals hold the true mean."""
    rng = np.random.default_rng(3)
    held = 0
    for seed in range(rounds):
        values = rng.normal(0.3, 2.0, 60)
        found = bootstrap({"mean": mean_of(values)}, 60, replicates=300, seed=seed)["mean"]
        interval = found.interval(level)
        middle, half = found.estimate, (interval.high - interval.low) / 2 * shrink
        held += bool(middle - half <= 0.3 <= middle + half)
    return held


def test_intervals_hold_the_truth_as_often_as_they_say(failure_rate):
    # 60 items are few: the bootstrap's own standard error is short of it by sqrt(59 / 60)
    assert stats.binomtest(coverage(0.9, 1.0), 400, 0.89).pvalue > failure_rate
    # a negative control: intervals of half the width do not
    assert stats.binomtest(coverage(0.9, 0.5), 400, 0.89).pvalue < failure_rate


def test_equals_scipy():
    values = np.random.default_rng(0).exponential(size=200)
    found = bootstrap({"mean": mean_of(values)}, 200, replicates=8000)["mean"].interval()
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=8000, method="basic", random_state=1
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_a_difference_is_paired():
    rng = np.random.default_rng(1)
    hard = rng.normal(0, 5, 300)  # what both find hard
    scores = {"a": mean_of(hard + 0.2), "b": mean_of(hard + rng.normal(0, 0.1, 300))}
    found = bootstrap(scores, 300)
    difference = (found["a"] - found["b"]).interval()
    assert difference.excludes_zero
    assert difference.high - difference.low < 0.1
    # each alone says nothing
    assert found["a"].interval().low < float(found["b"].estimate) < found["a"].interval().high
    same = (found["a"] - found["a"]).interval()
    assert (same.low, same.high, same.excludes_zero) == (0.0, 0.0, False)


def test_unlike_resamples_are_refused():
    ones = mean_of(np.ones(5))
    one = bootstrap({"a": ones}, 5, replicates=3)["a"]
    other = bootstrap({"a": ones}, 5, replicates=3, seed=1)["a"]
    with pytest.raises(UserError, match="same resamples"):
        one - other
    with pytest.raises(UserError, match="same of all"):
        Bootstrap.mean([one, other])
    with pytest.raises(UserError, match="level 95"):
        one.interval(95)
    with pytest.raises(UserError, match="0 replicates"):
        bootstrap({"a": ones}, 5, replicates=0)


def test_chunks_change_nothing(monkeypatch):
    values = np.arange(10.0)
    whole = bootstrap({"m": mean_of(values)}, 10, replicates=50)["m"]
    monkeypatch.setattr(module, "NUMBERS_AT_ONCE", 70)
    parts = bootstrap({"m": mean_of(values)}, 10, replicates=50, numbers_an_item=2)["m"]
    np.testing.assert_allclose(whole.replicates, parts.replicates)


def test_what_is_not_defined_is_nan_without_a_warning():
    resampled = (4, 3, 0)
    undefined = Bootstrap(np.array([np.nan, 1.0]), np.array([[np.nan, 1.0]] * 3), resampled)
    low, high = undefined.ends()
    np.testing.assert_array_equal(low, [np.nan, 1.0])
    np.testing.assert_array_equal(high, [np.nan, 1.0])


def test_no_end_below_what_can_be_and_the_mean_over_seeds():
    wide = Bootstrap(np.array(0.1), np.array([0.0, 0.4, 0.1]), (4, 3, 0))
    assert wide.interval().low < 0
    assert wide.interval(lowest=0.0).low == 0.0
    twice = Bootstrap.mean([wide, Bootstrap(np.array(0.3), np.array([0.2] * 3), (4, 3, 0))])
    assert float(twice.estimate) == pytest.approx(0.2)
    np.testing.assert_allclose(twice.replicates, [0.1, 0.3, 0.15])
