"""The parts of the Brier score add up to it, and each tells what it is named for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from bayesfuse.evaluation.decomposition import PARTS, brier_decomposition, brier_parts
from bayesfuse.evaluation.metrics import brier, brier_per_label


def draw(items: int = 4000):
    rng = np.random.default_rng(0)
    truth = expit(rng.normal(-1, 1.5, (items, 3)))
    return truth, rng.random(truth.shape) < truth


@pytest.mark.parametrize("num_bins", [1, 4, 15])
def test_the_parts_add_up(num_bins):
    p, y = draw(200)
    parts = brier_decomposition(p, y, num_bins=num_bins)
    assert parts.score == pytest.approx(brier(p, y))
    assert parts.uncertainty == pytest.approx(y.mean() * (1 - y.mean()))
    by_label = brier_parts(p, y, by_label=True, num_bins=num_bins)(np.ones((1, 200)))[0]
    np.testing.assert_allclose(by_label @ [1, -1, 1, 1], brier_per_label(p, y))


def test_probabilities_that_are_their_bins_leave_nothing_within():
    p, y = draw(300)
    coarse = np.round(p * 4) / 4
    parts = brier_decomposition(coarse, y, binning="equal-width", num_bins=50)
    assert parts.within_bins == pytest.approx(0.0, abs=1e-12)


def test_overconfidence_is_unreliable_and_shuffling_loses_resolution():
    p, y = draw()
    honest = brier_decomposition(p, y)
    loud = brier_decomposition(expit(3 * logit(p)), y)
    shuffled = brier_decomposition(np.random.default_rng(1).permuted(p, axis=0), y)
    assert honest.reliability < 1e-3
    assert loud.reliability > 0.02
    assert loud.resolution == pytest.approx(honest.resolution, rel=1e-6)  # the order is the same
    assert shuffled.resolution < honest.resolution / 20
    assert honest.within_bins == pytest.approx(0.0, abs=2e-3)


def test_weights_are_repeated_items():
    p, y = draw(150)
    p = np.round(p, 1)
    weights = np.random.default_rng(1).integers(0, 4, len(p))
    again = np.repeat(np.arange(len(p)), weights)
    options = {"binning": "equal-width", "num_bins": 8}
    found = brier_parts(p, y, **options)(weights[None].astype(float))[0, 0]
    expected = brier_decomposition(p[again], y[again], **options)
    np.testing.assert_allclose(found, [getattr(expected, name) for name in PARTS], atol=1e-12)
