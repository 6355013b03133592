from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.evaluation.evaluate import evaluate
from bayesfuse.report.strata import ALL, collect_strata, strata_sketches
from bayesfuse.report.svg import PAGE, canvas

RNG = np.random.default_rng(0)
P = RNG.random((400, 3))
Y = (RNG.random(P.shape) < P).astype(np.float32)
SHARE = np.where(np.arange(400) < 100, 0.3, 0.1) + 0.01 * RNG.random(400)
STRATA = {
    "with text": np.arange(400) >= 100,
    "without text": np.arange(400) < 100,
    "few": np.arange(400) < 19,
    "everyone": np.ones(400, bool),
}


def test_each_stratum_has_its_own_scores() -> None:
    found = {one.name: one for one in collect_strata(P, Y, SHARE, STRATA)}
    assert list(found) == [ALL, "with text", "without text"]
    lacking = STRATA["without text"]
    scores = evaluate(P[lacking], Y[lacking], list("abc"))
    one = found["without text"]
    assert one.num_items == 100
    assert one.macro_ap.estimate == pytest.approx(scores.average_precision.macro)
    assert one.nll.estimate == pytest.approx(scores.nll)
    assert one.epistemic.estimate == pytest.approx(SHARE[lacking].mean())
    assert one.epistemic.low > found["with text"].epistemic.high
    assert one.nll.high - one.nll.low > found[ALL].nll.high - found[ALL].nll.low


def test_a_stratum_that_is_off_stands_out_and_a_right_one_does_not() -> None:
    wrong = np.where(STRATA["without text"][:, None], 1 - P, P)
    found = {one.name: one for one in collect_strata(wrong, Y, SHARE, STRATA)}
    assert found["without text"].ece.low > found["with text"].ece.high
    right = {one.name: one for one in collect_strata(P, Y, SHARE, STRATA)}
    assert right["without text"].ece.low < right["with text"].ece.high


def test_nothing_to_hold_against_is_nothing() -> None:
    assert collect_strata(P, Y, SHARE, {"everyone": STRATA["everyone"]}) == []


def test_figures_hold_every_stratum() -> None:
    strata = collect_strata(P, Y, SHARE, STRATA)
    sketches = strata_sketches(strata)
    names = [sketch.name for sketch in sketches]
    assert names == ["strata-macro_ap", "strata-nll", "strata-ece", "strata-epistemic"]
    for sketch in sketches:
        assert "without text" in sketch.alt
    with canvas(4, 3) as figure:
        sketches[3].draw(figure, PAGE)
        axes = figure.axes[0]
        ticks = [text.get_text() for text in axes.get_yticklabels()]
        dots = [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "o"]
    assert ticks == ["all items (400)", "with text (300)", "without text (100)"]
    assert dots == [one.epistemic.estimate for one in strata]
