"""Recalibration of draws: that it mends what is wrong, leaves what is right, and comes back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, logit

from bayesfuse.errors import ConfigError, UserError
from bayesfuse.evaluation.calibration import calibration_error_per_label
from bayesfuse.evaluation.metrics import nll
from bayesfuse.evaluation.recalibration import METHODS, Recalibration
from bayesfuse.evaluation.temperature import best_temperature, tempered


def sample(
    num_items: int = 4000, heat: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return draws whose mean is right at a heat of 1, over-confident above, and labels."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(num_items, 3)) + 0.7 * rng.normal(size=(8, num_items, 3))
    labels = rng.random((num_items, 3)) < expit(logits).mean(axis=0)
    return expit(heat * logits).astype(np.float32), labels


def scores(draws: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    mean = draws.mean(axis=0, dtype=np.float64)
    return nll(mean, labels), float(calibration_error_per_label(mean, labels).mean())


@pytest.mark.parametrize("method", METHODS)
def test_over_confident_draws_are_mended_for_other_items(method: str) -> None:
    found = Recalibration.fit(method, *sample(heat=2.5))
    draws, labels = sample(heat=2.5, seed=1)
    before, after = scores(draws, labels), scores(found(draws), labels)
    assert found.method == method
    assert after[0] < before[0] - 0.02
    assert after[1] < before[1] / 2


@pytest.mark.parametrize("method", METHODS)
def test_draws_that_are_right_are_hardly_changed(method: str) -> None:
    found = Recalibration.fit(method, *sample())
    draws, labels = sample(seed=1)
    assert np.abs(found(draws) - draws).mean() < 0.03
    assert scores(found(draws), labels)[0] < scores(draws, labels)[0] + 0.005


def test_the_temperature_is_that_of_the_mean_over_draws() -> None:
    draws, labels = sample(heat=2.5)
    found = Recalibration.fit("temperature", draws, labels)
    assert found.temperature is not None
    best = nll(found(draws).mean(axis=0), labels)
    for factor in (0.95, 1.05):
        other = Recalibration(found.temperature * factor)
        assert nll(other(draws).mean(axis=0), labels) > best
    one = Recalibration.fit("temperature", draws[:1], labels)
    assert one.temperature == pytest.approx(best_temperature(draws[0], labels), rel=1e-3)
    # a temperature of the mean's logits is another one
    of_mean = best_temperature(draws.mean(axis=0), labels)
    assert abs(of_mean - found.temperature) > 0.05


def test_an_isotonic_map_never_turns_an_order_round() -> None:
    draws, labels = sample(300, heat=3)
    changed = Recalibration.fit("isotonic", draws, labels)(draws)
    for label in range(3):
        order = np.argsort(draws[..., label].ravel())
        assert (np.diff(changed[..., label].ravel()[order]) >= 0).all()
    assert changed.min() >= np.float32(1 / 302)
    assert changed.max() <= np.float32(301 / 302)


def test_a_label_that_all_or_none_have_is_left_as_it_is() -> None:
    draws, labels = sample(50)
    labels[:, 0], labels[:, 1] = False, True
    changed = Recalibration.fit("isotonic", draws, labels)(draws)
    np.testing.assert_allclose(changed[..., :2], draws[..., :2], rtol=1e-6)
    assert not np.allclose(changed[..., 2], draws[..., 2])


@pytest.mark.parametrize("method", METHODS)
def test_it_comes_back_from_json_and_keeps_shape_and_dtype(method: str) -> None:
    draws, labels = sample(200, heat=2)
    found = Recalibration.fit(method, draws, labels)
    again = Recalibration.from_dict(json.loads(json.dumps(found.to_dict())))
    for given in (draws, draws[0], draws[:, :1].astype(np.float64)):
        assert (again(given).shape, again(given).dtype) == (given.shape, given.dtype)
        np.testing.assert_array_equal(again(given), found(given))


def test_a_temperature_is_that_of_tempered() -> None:
    p = np.random.default_rng(0).random((5, 4, 2))
    np.testing.assert_array_equal(Recalibration(1.7)(p), tempered(p, 1.7))
    np.testing.assert_allclose(logit(Recalibration(2.0)(p)), logit(p) / 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "one of the two"),
        ({"temperature": 1.0, "knots": ((np.zeros(1), np.zeros(1)),)}, "one of the two"),
        ({"temperature": 0.0}, "expected more than 0"),
        ({"knots": ((np.array([0.5, 0.4]), np.array([0.1, 0.2])),)}, "do not rise"),
        ({"knots": ((np.array([0.4, 0.5]), np.array([0.3, 0.2])),)}, "do not rise"),
        ({"knots": ((np.array([0.4, 0.5]), np.array([0.3, 1.2])),)}, r"leaves \[0, 1\]"),
        ({"knots": ((np.zeros(0), np.zeros(0)),)}, "do not rise"),
    ],
)
def test_what_is_no_recalibration_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Recalibration(**given)  # type: ignore[arg-type]


def test_what_does_not_fit_is_refused() -> None:
    draws, labels = sample(20)
    with pytest.raises(ConfigError, match=r'Did you mean "isotonic"\?'):
        Recalibration.fit("isotonc", draws, labels)
    with pytest.raises(UserError, match="expected draws x items x labels"):
        Recalibration.fit("isotonic", draws[0], labels)
    with pytest.raises(UserError, match="of 2 labels; expected 3"):
        Recalibration.fit("isotonic", draws, labels)(draws[..., :2])
