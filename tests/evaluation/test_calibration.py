from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve

from bayesfuse.errors import UserError
from bayesfuse.evaluation.calibration import (
    BINNINGS,
    calibration_error_per_label,
    expected_calibration_error,
    reliability_curve,
)

EVERY_BINNING = pytest.mark.parametrize("binning", BINNINGS)


def by_hand(probability, labels, binning: str, num_bins: int) -> float:
    """ECE from its definition: one loop over predictions, one over bins."""
    pairs = sorted(zip(np.ravel(probability).tolist(), np.ravel(labels).tolist(), strict=True))
    values = [p for p, _ in pairs]
    bins: dict[int, list[tuple[float, bool]]] = {}
    for p, y in pairs:
        if binning == "equal-width":
            inside = [b for b in range(num_bins) if p >= np.linspace(0, 1, num_bins + 1)[b]]
            index = inside[-1]
        else:
            index = values.index(p) * num_bins // len(values)
        bins.setdefault(index, []).append((p, y))
    return sum(
        len(inside)
        / len(pairs)
        * abs(np.mean([p for p, _ in inside]) - np.mean([y for _, y in inside]))
        for inside in bins.values()
    )


@EVERY_BINNING
@given(st.integers(0, 2**32 - 1), st.integers(1, 15), st.booleans(), st.integers(1, 30))
def test_equals_its_definition(binning, seed, num_bins, ties, items):
    rng = np.random.default_rng(seed)
    probability = rng.integers(0, 11, (items, 3)) / 10 if ties else rng.random((items, 3))
    labels = rng.random((items, 3)) < 0.4
    options = {"binning": binning, "num_bins": num_bins}
    assert expected_calibration_error(probability, labels, **options) == pytest.approx(
        by_hand(probability, labels, binning, num_bins)
    )
    np.testing.assert_allclose(
        calibration_error_per_label(probability, labels, **options),
        [by_hand(probability[:, c], labels[:, c], binning, num_bins) for c in range(3)],
        atol=1e-12,
    )


def test_curve_against_scikit_learn():
    rng = np.random.default_rng(1)
    probability = rng.random((400, 2))
    labels = rng.random((400, 2)) < probability
    curve = reliability_curve(probability, labels, num_bins=10)
    rate, mean = calibration_curve(labels.ravel(), probability.ravel(), n_bins=10)
    np.testing.assert_allclose(curve.observed_rate, rate)
    np.testing.assert_allclose(curve.mean_predicted, mean)
    assert curve.count.sum() == 800


def test_equal_mass_bins_hold_the_same_number():
    probability = np.random.default_rng(2).random((97, 3)) ** 4
    curve = reliability_curve(probability, np.zeros((97, 3)), binning="equal-mass", num_bins=10)
    assert curve.count.max() - curve.count.min() <= 1
    assert (np.diff(curve.mean_predicted) > 0).all()


def test_empty_bins_are_nan_and_weigh_nothing():
    curve = reliability_curve([[0.1], [0.9]], [[0], [1]], num_bins=3)
    assert curve.count.tolist() == [1, 0, 1]
    assert np.isnan(curve.mean_predicted).tolist() == [False, True, False]
    assert np.isnan(curve.observed_rate).tolist() == [False, True, False]
    assert curve.error == pytest.approx(0.1)


@EVERY_BINNING
def test_certain_and_right_is_zero_certain_and_wrong_is_one(binning):
    labels = np.array([[0], [1], [1]])
    assert expected_calibration_error(labels, labels, binning=binning) == 0
    assert expected_calibration_error(1 - labels, labels, binning=binning) == 1


def sampling_bound(num_predictions: int, num_bins: int, failure_rate: float) -> float:
    """ECE that calibrated predictions exceed with at most this probability.

    Each bin's expected gap is at most its standard error, 1 / (2 sqrt(n_b)), so the expected ECE is
    at most sqrt(bins / n) / 2; one label moves the ECE by at most 1 / n (McDiarmid's inequality).
    """
    spread = math.sqrt(math.log(1 / failure_rate) / (2 * num_predictions))
    return math.sqrt(num_bins / num_predictions) / 2 + spread


@EVERY_BINNING
def test_calibrated_is_small_and_sharpened_or_flattened_is_not(binning, failure_rate):
    rng = np.random.default_rng(3)
    probability = expit(rng.normal(-1, 1.5, (5000, 4)))
    labels = rng.random((5000, 4)) < probability
    pooled = sampling_bound(20_000, 15, failure_rate / 5)
    alone = sampling_bound(5_000, 15, failure_rate / 5)
    assert expected_calibration_error(probability, labels, binning=binning) < pooled
    assert (calibration_error_per_label(probability, labels, binning=binning) < alone).all()
    for slope in (2.0, 0.5):  # the negative control: over- and under-confident
        wrong = expit(slope * logit(probability))
        assert expected_calibration_error(wrong, labels, binning=binning) > pooled
        assert (calibration_error_per_label(wrong, labels, binning=binning) > alone).all()


@EVERY_BINNING
def test_pooling_can_hide_what_labels_show(binning):
    rng = np.random.default_rng(4)
    probability = np.full((4000, 2), 0.5) + rng.uniform(-1e-3, 1e-3, (4000, 2))
    labels = rng.random((4000, 2)) < np.array([0.2, 0.8])
    assert expected_calibration_error(probability, labels, binning=binning) < 0.1
    assert (calibration_error_per_label(probability, labels, binning=binning) > 0.25).all()


@EVERY_BINNING
def test_the_order_of_items_changes_nothing(binning):
    rng = np.random.default_rng(5)
    probability = rng.integers(0, 4, (50, 1)) / 4
    labels = rng.random((50, 1)) < 0.5
    rows = rng.permutation(50)
    assert expected_calibration_error(probability, labels, binning=binning) == pytest.approx(
        expected_calibration_error(probability[rows], labels[rows], binning=binning), abs=1e-12
    )


def test_unknown_binning_and_number_of_bins():
    with pytest.raises(
        UserError, match=r'Unknown binning "equal-with".* Did you mean "equal-width"'
    ):
        expected_calibration_error([[0.5]], [[1]], binning="equal-with")
    with pytest.raises(UserError, match="num_bins=0"):
        reliability_curve([[0.5]], [[1]], num_bins=0)
