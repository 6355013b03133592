"""Calibration under weights: equal to the plain one, and debiased it is about 0 if calibrated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from bayesfuse.errors import UserError
from bayesfuse.evaluation.binned import Binner, shown_labels
from bayesfuse.evaluation.calibration import (
    BINNINGS,
    calibration_error_per_label,
    expected_calibration_error,
    reliability_curve,
)


def draw(items: int = 300, labels: int = 4, seed: int = 0, sharpen: float = 1.0):
    """Return probabilities, calibrated if not sharpened, and labels."""
    rng = np.random.default_rng(seed)
    truth = expit(rng.normal(-1, 1.5, (items, labels)))
    return expit(sharpen * logit(truth)), rng.random(truth.shape) < truth


@pytest.mark.parametrize("binning", BINNINGS)
def test_with_weights_of_one_it_is_the_plain_error(binning):
    p, y = draw()
    ones = np.ones((1, len(p)))
    pooled = Binner(p, y, binning=binning)(ones)
    assert pooled.error[0, 0] == pytest.approx(expected_calibration_error(p, y, binning=binning))
    np.testing.assert_allclose(
        Binner(p, y, by_label=True, binning=binning)(ones).error[0],
        calibration_error_per_label(p, y, binning=binning),
    )
    curve = reliability_curve(p, y, binning=binning)
    np.testing.assert_allclose(pooled.observed_rate[0, 0], curve.observed_rate)


def test_weights_are_repeated_items():
    p, y = draw()
    weights = np.random.default_rng(1).integers(0, 4, len(p))
    again = np.repeat(np.arange(len(p)), weights)
    found = Binner(p, y)(weights[None].astype(float)).error[0, 0]
    assert found == pytest.approx(expected_calibration_error(p[again], y[again]))


def errors(sharpen: float) -> np.ndarray:
    """Return the plain and the debiased error of 200 data sets, `data sets x 2`."""
    found = []
    for seed in range(200):
        p, y = draw(80, 2, seed, sharpen)
        bins = Binner(p, y, binning="equal-mass")(np.ones((1, 80)))
        found.append([bins.error[0, 0], bins.debiased_error[0, 0]])
    return np.array(found)


def test_debiasing_takes_away_what_chance_adds():
    calibrated, overconfident = errors(1.0).mean(axis=0), errors(3.0).mean(axis=0)
    assert calibrated[0] > 0.05  # all of it chance
    # chance leaves 0.8 s of a gap of 0, and takes 2 x 0.8 s - 0.8 x sqrt(2) s of it away
    assert calibrated[1] == pytest.approx((2 - 2**0.5) * calibrated[0], rel=0.1)
    # where there is an error, it stays: what a hundred times as many items say
    p, y = draw(20_000, 2, 999, 3.0)
    assert overconfident[1] == pytest.approx(
        expected_calibration_error(p, y, binning="equal-mass"), abs=0.01
    )


def test_debiasing_in_closed_form_is_that_of_many_draws():
    p, y = draw(60, 2)
    bins = Binner(p, y, num_bins=5)(np.ones((1, 60)))
    share = (bins.count / bins.count.sum())[0, 0]
    gap = ((bins.predicted - bins.observed) / bins.count)[0, 0]
    rate = bins.observed_rate[0, 0]
    sd = np.sqrt(rate * (1 - rate) / bins.count[0, 0])
    draws = np.abs(np.random.default_rng(0).normal(gap, sd, (400_000, 5)))
    expected = 2 * bins.error[0, 0] - (draws.mean(axis=0) * share).sum()
    assert bins.debiased_error[0, 0] == pytest.approx(expected, abs=5e-4)


def test_shown_labels_only():
    p, y = draw()
    ones = np.ones((1, len(p)))
    everything = Binner.shown(p, y, k=4)(ones).error
    np.testing.assert_allclose(everything, Binner(p, y)(ones).error)
    best = np.argmax(p, axis=1)[:, None]
    top, truth = np.take_along_axis(p, best, 1), np.take_along_axis(y, best, 1)
    np.testing.assert_allclose(
        Binner.shown(p, y, k=1)(ones).error[0, 0], expected_calibration_error(top, truth)
    )
    # a model that is calibrated for each label and blind to items promises too much of its best
    blind = np.random.default_rng(2).normal(0.3, 0.15, (2000, 6)).clip(0, 1)
    labels = np.random.default_rng(3).random((2000, 6)) < 0.3
    whole = Binner(blind, labels)(np.ones((1, 2000))).error[0, 0]
    assert Binner.shown(blind, labels, k=1)(np.ones((1, 2000))).error[0, 0] > whole + 0.03


def test_mistakes():
    p, y = draw(5)
    with pytest.raises(UserError, match="k=0"):
        shown_labels(p, 0)
    nothing = np.zeros(p.shape, bool)
    with pytest.raises(UserError, match="No prediction counts"):
        Binner(p, y, chosen=nothing)
