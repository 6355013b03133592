"""`draws="auto"`: as many draws as it takes, and no fewer."""

from __future__ import annotations

import numpy as np
import pytest

from bayesfuse import FusionClassifier
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError
from bayesfuse.estimator import drawing
from bayesfuse.estimator.drawing import enough_draws

NUM_ITEMS = 80
rng = np.random.default_rng(0)
X = FeatureTable.from_arrays({"text": rng.normal(size=(NUM_ITEMS, 4))})


def fit(**settings) -> FusionClassifier:
    text = X.batch(slice(None))[0]["text"]
    y = np.column_stack([text[:, :2] > 0, np.zeros(NUM_ITEMS)]).astype(int)
    usual = {"hidden": 6, "classifier_hidden": 6, "epochs": 3, "annealing_epochs": 1}
    return FusionClassifier(**{**usual, "init_scale": 0.2, "device": "cpu"} | settings).fit(X, y)


@pytest.fixture(scope="module")
def fitted() -> FusionClassifier:
    return fit()


@pytest.fixture(scope="module")
def truth(fitted) -> np.ndarray:
    """What very many other draws say."""
    return fitted.sample_proba(X, 1500, seed=99).mean(axis=0, dtype=np.float64)


def test_a_smaller_tolerance_takes_more_draws(fitted):
    found = [enough_draws(fitted, X, tolerance=t) for t in (0.5, 0.005, 0.0025)]
    counts = [one.draws for one in found]
    assert counts[0] == drawing.MIN_DRAWS
    assert counts == sorted(set(counts))
    assert all(count % drawing.AT_ONCE == 0 for count in counts)
    assert all(one.reached and one.error <= one.tolerance for one in found)
    # half the error, four times the draws
    assert 3 < found[2].draws / found[1].draws < 5.5


def test_the_error_is_that_of_the_mean(fitted, truth):
    # over seeds, the worst label is as far from the truth as is said; a negative control beside it
    off, said = [], []
    for seed in range(8):
        enough = enough_draws(fitted, X, tolerance=0.005, seed=seed)
        mean = fitted.sample_proba(X, enough.draws, seed).mean(axis=0, dtype=np.float64)
        off.append(np.sqrt(np.square(mean - truth)[:, :2].mean(axis=0)).max())
        said.append(enough.error)
    ratio = np.sqrt(np.square(off).mean() / np.square(said).mean())
    assert 0.6 < ratio < 1.5
    few = fitted.sample_proba(X, 4, 0).mean(axis=0, dtype=np.float64)
    assert np.sqrt(np.square(few - truth)[:, :2].mean(axis=0)).max() > 2 * max(said)


def test_draws_are_those_of_the_number_and_joint(fitted):
    enough = enough_draws(fitted, X)
    np.testing.assert_array_equal(
        fitted.sample_proba(X, "auto"), fitted.sample_proba(X, enough.draws)
    )
    assert enough == enough_draws(fitted, X)
    assert enough != enough_draws(fitted, X, seed=5)


def test_some_draws_are_part_of_all(fitted):
    every = fitted.sample_proba(X, 12)[:, :, :2]
    some = fitted.sample_proba(X, range(5, 9))[:, :, :2]
    np.testing.assert_allclose(some, every[5:9], atol=1e-6)


def test_many_items_are_measured_by_some(fitted, monkeypatch):
    monkeypatch.setattr(drawing, "NUM_MEASURED", 50)
    found = enough_draws(fitted, X, tolerance=0.01)
    assert found.num_items == 50
    assert found == enough_draws(fitted, X, tolerance=0.01)


def test_it_gives_up_and_says_so(fitted):
    found = enough_draws(fitted, X, tolerance=1e-6, max_draws=40)
    assert (found.draws, found.reached) == (40, False)
    assert "not the 1e-06 that was asked for" in str(found)
    assert "40 draws: the Monte Carlo error of the probabilities is 0.0" in str(found)


def test_no_posterior_needs_one_draw():
    assert enough_draws(fit(elbo="none"), X).draws == 1


def test_a_fixed_label_does_not_count(fitted):
    spread = fitted.sample_proba(X, 64)[:, :, 2].std()
    assert spread > 0
    found = enough_draws(fitted, X, tolerance=0.01, max_draws=64)
    free = fitted.sample_proba(X, found.draws)[:, :, :2].astype(np.float64).std(axis=0)
    expected = np.sqrt(np.square(free).mean(axis=0) / (found.draws - 1)).max()
    assert found.error == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("options", [{"tolerance": 0}, {"tolerance": -1}, {"max_draws": 1}])
def test_numbers_out_of_range_are_refused(fitted, options):
    with pytest.raises(ConfigError, match="expected"):
        enough_draws(fitted, X, **options)


@pytest.mark.parametrize("draws", ["all", 0, range(3, 3)])
def test_other_draws_are_refused(fitted, draws):
    with pytest.raises(ConfigError, match="draws is"):
        fitted.sample_proba(X, draws)
