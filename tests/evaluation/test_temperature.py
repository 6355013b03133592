"""Temperature scaling finds the temperature that was put in, and helps nobody who needs none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from bayesfuse.errors import UserError
from bayesfuse.evaluation.metrics import nll
from bayesfuse.evaluation.temperature import (
    RANGE,
    best_temperature,
    best_temperatures,
    tempered,
)


def draw(heat, items: int = 6000):
    """Return probabilities that are `heat` times too sure, and labels."""
    rng = np.random.default_rng(0)
    logits = rng.normal(-0.5, 1.5, (items, 3))
    labels = rng.random(logits.shape) < expit(logits)
    return expit(logits * np.asarray(heat)), labels


@pytest.mark.parametrize("heat", [0.5, 1.0, 2.5])
def test_the_temperature_that_was_put_in(heat):
    p, y = draw(heat)
    found = best_temperature(p, y)
    assert found == pytest.approx(heat, rel=0.06)
    assert nll(tempered(p, found), y) <= nll(p, y)
    grid = [nll(tempered(p, t), y) for t in (0.9 * found, found, 1.1 * found)]
    assert np.argmin(grid) == 1


def test_labels_of_their_own():
    heats = [0.5, 1.0, 3.0]
    p, y = draw(heats)
    np.testing.assert_allclose(best_temperatures(p, y), heats, rtol=0.1)
    y[:, 0] = False
    found = best_temperatures(p, y)
    assert found[0] == best_temperature(p, y)
    assert found[2] == pytest.approx(3.0, rel=0.1)


def test_certainties_stay_finite_and_the_range_is_kept():
    p, y = np.array([[1.0], [0.0]], np.float32), np.array([[1], [0]])
    assert best_temperature(p, y) == pytest.approx(RANGE[0], rel=1e-3)
    assert np.isfinite(tempered(p, 2.0)).all()
    assert best_temperature(1 - p, y) == pytest.approx(RANGE[1], rel=1e-3)
    with pytest.raises(UserError, match="temperature of 0"):
        tempered(p, 0.0)
