"""Risk against coverage: by hand, in any order, and at chance where the confidence says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from bayesfuse.errors import UserError
from bayesfuse.evaluation.resampling import bootstrap
from bayesfuse.evaluation.selective import (
    COVERAGES,
    decision_losses,
    risk_coverage,
    risk_statistic,
)


def draw(items: int = 3000):
    rng = np.random.default_rng(0)
    p = expit(rng.normal(0, 2, items))
    return p, rng.random(items) < p


def test_many_decisions_against_the_sum_of_the_papers():
    p, y = draw()
    confidence, loss = decision_losses(p[:, None], y[:, None])
    order = np.argsort(-confidence[:, 0])
    risks = np.cumsum(loss[order, 0]) / np.arange(1, len(p) + 1)
    curve = risk_coverage(confidence, loss)
    assert curve.aurc == pytest.approx(risks.mean(), abs=2e-3)
    np.testing.assert_allclose(curve.risk[-1], loss.mean())
    found = risk_statistic(confidence, loss)(np.ones((1, len(p))))[0]
    assert found[0] == pytest.approx(curve.aurc)
    for risk, coverage in zip(found[1:], COVERAGES, strict=True):
        assert risk == pytest.approx(risks[round(coverage * len(p)) - 1])


def test_order_of_items_and_ties():
    rng = np.random.default_rng(1)
    confidence, loss = rng.integers(0, 4, 60) / 4, rng.integers(0, 2, 60).astype(float)
    shuffle = rng.permutation(60)
    there, back = risk_coverage(confidence, loss), risk_coverage(confidence[shuffle], loss[shuffle])
    np.testing.assert_allclose(there.risk, back.risk)
    assert there.aurc == pytest.approx(back.aurc)
    assert len(there.risk) == 4
    # all alike: any share of the decisions has the overall risk
    alike = risk_statistic(np.ones(60), loss)(np.ones((1, 60)))[0]
    np.testing.assert_allclose(alike, loss.mean())


def test_weights_are_repeated_decisions():
    p, y = draw(100)
    confidence, loss = decision_losses(np.stack([p, p[::-1]], 1), np.stack([y, ~y], 1))
    weights = np.random.default_rng(1).integers(0, 4, len(p))
    again = np.repeat(np.arange(len(p)), weights)
    np.testing.assert_allclose(
        risk_statistic(confidence, loss)(weights[None].astype(float))[0],
        risk_statistic(confidence[again], loss[again])(np.ones((1, len(again))))[0],
    )


def test_a_perfect_order_has_no_excess_and_the_worst_has_most():
    loss = np.array([0.0] * 80 + [1.0] * 20)
    best, worst = risk_coverage(-loss, loss), risk_coverage(loss, loss)
    assert best.excess_aurc == pytest.approx(0.0)
    share = 0.8  # no mistake up to there, then (c - 0.8) / c
    assert best.aurc == pytest.approx(1 - share + share * np.log(share))
    assert worst.aurc > 0.2 + best.aurc


def test_a_shuffled_confidence_is_at_chance_and_a_true_one_is_not():
    p, y = draw()
    confidence, loss = decision_losses(p[:, None], y[:, None])
    shuffled = np.random.default_rng(4).permutation(confidence)
    overall = loss.mean()

    def gain(sure):
        statistic = risk_statistic(sure, loss, (1.0,))
        scores = {"gain": lambda w: statistic(w)[:, 0] - statistic(w)[:, 1]}
        return bootstrap(scores, len(p))["gain"].interval()

    assert not gain(shuffled).excludes_zero
    assert gain(shuffled).estimate == pytest.approx(0.0, abs=0.1 * overall)
    assert gain(confidence).high < -0.3 * overall


def test_thresholds_move_the_confidence():
    confidence, loss = decision_losses([[0.3, 0.1, 1.0]], [[1, 0, 1]], 0.2)
    np.testing.assert_allclose(confidence, [[0.125, 0.5, 1.0]])
    np.testing.assert_array_equal(loss, [[0, 0, 0]])
    for cut in (0.0, 1.0):  # no room on one side
        sure, _ = decision_losses([[0.0, 1.0]], [[1, 0]], cut)
        assert np.isfinite(sure).all()


def test_mistakes():
    with pytest.raises(UserError, match=r"shape \(2,\)"):
        risk_coverage([0.1, 0.2], [1.0])
    with pytest.raises(UserError, match="not finite"):
        risk_coverage([np.nan], [1.0])
    with pytest.raises(UserError, match="coverages"):
        risk_statistic([0.1], [1.0], (0.0,))
