"""All scores with intervals: equal to the plain ones, and wrong probabilities lose clearly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from bayesfuse.errors import ConfigError
from bayesfuse.evaluation import metrics
from bayesfuse.evaluation.calibration import expected_calibration_error
from bayesfuse.evaluation.intervals import (
    RISKS,
    bootstrap_scores,
    bootstrap_scores_per_label,
)


def draw(items: int = 500, labels: int = 4):
    rng = np.random.default_rng(0)
    truth = expit(rng.normal(-1, 1.5, (items, labels)))
    return truth, rng.random(truth.shape) < truth


def plain(p, y, cuts) -> dict[str, float]:
    return {
        "macro_ap": metrics.average_precision(p, y).macro,
        "nll": metrics.nll(p, y),
        "brier": metrics.brier(p, y),
        "ece": expected_calibration_error(p, y),
        "macro_f1": metrics.f1(p, y, cuts).macro,
        "micro_f1": metrics.f1(p, y, cuts).micro,
        "sharpness": float((p * (1 - p)).mean()),
        "risk_at_100": float(((p >= 0.5) != y).mean()),
    }


@pytest.mark.parametrize("decimals", [1, 9])
def test_estimates_are_the_plain_scores_and_weights_are_repeated_items(decimals):
    p, y = draw(60)
    p, y[:, 3] = p.round(decimals), False  # a label that no item has
    cuts = [0.3, 0.4, 0.5, 0.6]
    found = bootstrap_scores(p, y, cuts, replicates=40)
    for name, value in plain(p, y, cuts).items():
        assert float(found[name].estimate) == pytest.approx(value), name
    weights = np.random.default_rng(0).multinomial(60, np.full(60, 1 / 60), size=40)
    for replicate in (0, 39):
        again = np.repeat(np.arange(60), weights[replicate])
        for name, value in plain(p[again], y[again], cuts).items():
            assert found[name].replicates[replicate] == pytest.approx(value), name
    parts = [found[f"brier_{n}"].estimate for n in ("reliability", "resolution", "uncertainty")]
    rest = found["brier_within_bins"].estimate
    assert parts[0] - parts[1] + parts[2] + rest == pytest.approx(float(found["brier"].estimate))


def test_some_scores_alone_are_the_same_numbers():
    p, y = draw(60)
    every = bootstrap_scores(p, y, replicates=40)
    only = ("risk_at_50", "nll", "brier_resolution", "ece_shown")
    some = bootstrap_scores(p, y, replicates=40, only=only)
    assert tuple(some) == only
    for name in only:
        np.testing.assert_array_equal(some[name].replicates, every[name].replicates)
    with pytest.raises(ConfigError, match=r'Unknown score "nnl".* Did you mean "nll"'):
        bootstrap_scores(p, y, only=["nnl"])
    with pytest.raises(ConfigError, match="Unknown score"):
        bootstrap_scores(p, y, only=["risks"])


def test_label_by_label():
    p, y = draw(60)
    y[:, 3] = False
    found = bootstrap_scores_per_label(p, y, 0.3, replicates=40)
    np.testing.assert_allclose(
        found["average_precision"].estimate, metrics.average_precision_per_label(p, y)
    )
    np.testing.assert_allclose(found["nll"].estimate, metrics.nll_per_label(p, y))
    np.testing.assert_allclose(found["f1"].estimate, metrics.f1_per_label(p, y, 0.3))
    for name, score in found.items():
        assert score.replicates.shape == (40, 4), name
        low, high = score.ends()
        defined = ~np.isnan(score.estimate)
        assert (low[defined] <= high[defined]).all()
    assert np.isnan(found["average_precision"].ends()[0][3])
    pooled = bootstrap_scores(p, y, replicates=40)
    np.testing.assert_allclose(pooled["nll"].replicates, found["nll"].replicates.mean(axis=1))


def test_an_overconfident_copy_loses_and_an_equal_one_does_not():
    p, y = draw()
    honest, loud = bootstrap_scores(p, y), bootstrap_scores(expit(3 * logit(p)), y)
    for name in ("nll", "brier", "ece", "ece_equal_mass", "ece_debiased", "ece_shown"):
        difference = (loud[name] - honest[name]).interval()
        assert difference.low > 0, name
    # the ranking and the order of confidences are the same
    for name in ("macro_ap", "aurc", *RISKS):
        difference = (loud[name] - honest[name]).interval()
        assert difference.estimate == pytest.approx(0.0, abs=1e-9), name
    noise = np.random.default_rng(5).normal(0, 0.02, p.shape)
    alike = bootstrap_scores(expit(logit(p) + noise), y)
    assert not (alike["nll"] - honest["nll"]).interval().excludes_zero
    # 0 is within the honest model's interval of the debiased error, not in the other's
    assert not honest["ece_debiased"].interval().excludes_zero
    assert loud["ece_debiased"].interval().excludes_zero


def test_a_shuffled_copy_is_no_better_than_chance():
    p, y = draw()
    shuffled = np.random.default_rng(1).permuted(p, axis=0)
    blind = bootstrap_scores(shuffled, y)
    seeing = bootstrap_scores(p, y)
    assert (seeing["macro_ap"] - blind["macro_ap"]).interval().low > 0.2
    assert (seeing["aurc"] - blind["aurc"]).interval().high < 0
    assert float(blind["macro_ap"].estimate) == pytest.approx(y.mean(), abs=0.07)
