from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.evaluation.selective import decision_losses, risk_coverage
from bayesfuse.report.risk import (
    COVERAGES,
    MAX_POINTS,
    collect_risks,
    label_risk_sketch,
    risk_sketch,
)
from bayesfuse.report.svg import PAGE, canvas

RNG = np.random.default_rng(0)
P = RNG.random((500, 3))
Y = (RNG.random(P.shape) < P).astype(np.float32)
UNSURE = -np.abs(P - 0.5).sum(axis=1)
NAMES = ["Drama", "War", "Western"]


def test_curves_are_those_of_the_decisions() -> None:
    found = collect_risks(P, UNSURE, Y, NAMES, replicates=50)
    confidence, loss = decision_losses(P, Y)
    for curve, sure, lost in (
        (found.decisions, confidence, loss),
        (found.items, -UNSURE, loss.mean(axis=1)),
        (found.labels[1], confidence[:, 1], loss[:, 1]),
    ):
        expected = risk_coverage(sure, lost)
        assert curve.aurc.estimate == pytest.approx(expected.aurc)
        assert curve.excess == pytest.approx(expected.excess_aurc)
        assert len(curve.coverage) <= MAX_POINTS
        assert curve.coverage[-1] == 1.0
        assert curve.risk == pytest.approx(
            np.interp(curve.coverage, expected.coverage, expected.risk).tolist()
        )
        assert curve.at[COVERAGES.index(1.0)].estimate == pytest.approx(lost.mean())
        assert all(one.low <= one.high for one in curve.at)
    assert [curve.name for curve in found.labels] == NAMES


def test_uncertainty_that_knows_leaves_fewer_mistakes_and_noise_does_not() -> None:
    found = collect_risks(P, UNSURE, Y, NAMES)
    assert found.decisions.at[2].high < found.decisions.at[0].low
    assert found.items.at[2].high < found.items.at[0].low
    blind = collect_risks(P, RNG.random(500), Y, NAMES).items
    assert blind.at[2].low < blind.at[0].estimate < blind.at[2].high


def test_thresholds_are_those_of_the_decisions() -> None:
    never = collect_risks(P, UNSURE, Y, NAMES, 1.0, replicates=20)
    assert never.decisions.at[0].estimate == pytest.approx(Y.mean())


def test_the_figure_holds_the_curve_and_its_words() -> None:
    found = collect_risks(P, UNSURE, Y, NAMES, replicates=20)
    sketch = risk_sketch(found.decisions, "Decisions", "decisions", "A caption.")
    with canvas(3, 3) as figure:
        sketch.draw(figure, PAGE)
        drawn = [line.get_xydata().tolist() for line in figure.axes[0].lines]
    curve = np.column_stack([found.decisions.coverage, found.decisions.risk])
    assert curve.tolist() in drawn
    assert f"AURC {found.decisions.aurc.estimate:.4f}" in sketch.alt
    small = label_risk_sketch(found.labels[0], 0)
    assert small.picture().name == "risk-label-0"
    assert small.caption.startswith("Drama\nAURC ")


def test_a_model_that_is_never_wrong_can_be_drawn() -> None:
    found = collect_risks(Y.astype(np.float64), UNSURE, Y, NAMES, replicates=20)
    assert found.decisions.aurc.estimate == 0
    assert "0.0% at 100%" in risk_sketch(found.decisions, "", "decisions", "").picture().alt
    assert label_risk_sketch(found.labels[0], 0).picture().svg
