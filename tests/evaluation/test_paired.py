"""The paired t test over seeds, against scipy's and its own promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bayesfuse.errors import UserError
from bayesfuse.evaluation.paired import paired_t


def test_it_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for seeds in (2, 5, 30):
        mine, theirs = rng.normal(size=(2, seeds))
        assert paired_t(mine, theirs) == pytest.approx(stats.ttest_rel(mine, theirs).pvalue)


def test_it_finds_differences_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    common = rng.normal(size=(2000, 5))  # what seeds share cancels
    noise = rng.normal(size=(2, 2000, 5))
    by_chance = [paired_t(a, b) < 0.05 for a, b in zip(common + noise[0], common, strict=True)]
    assert 0.035 < np.mean(by_chance) < 0.065
    moved = zip(common + 3 + noise[0], common, strict=True)
    assert np.mean([paired_t(a, b) < 0.05 for a, b in moved]) > 0.9


def test_what_cannot_be_tested() -> None:
    assert math.isnan(paired_t([0.5], [0.4]))
    assert math.isnan(paired_t([0.5, math.nan], [0.4, 0.3]))
    assert paired_t([0.5, 0.4], [0.5, 0.4]) == 1
    with pytest.raises(UserError, match="of the same seeds"):
        paired_t([0.5, 0.4], [0.5])
