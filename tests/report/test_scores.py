from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.evaluation.evaluate import evaluate
from bayesfuse.evaluation.intervals import bootstrap_scores
from bayesfuse.report.scores import FEWEST, KEYS, num_replicates, score_intervals

RNG = np.random.default_rng(0)
P = RNG.random((150, 4))
Y = (RNG.random(P.shape) < P).astype(np.float32)
CUTS = np.array([0.3, 0.5, 0.6, 0.4])


def test_values_are_those_of_evaluate() -> None:
    found = score_intervals(P, Y, CUTS, replicates=50)
    scores = evaluate(P, Y, list("abcd"), CUTS)
    assert scores.f1_at_thresholds is not None
    expected = {
        "macro_ap": scores.average_precision.macro,
        "nll": scores.nll,
        "brier": scores.brier,
        "ece_equal_width": scores.ece.equal_width,
        "ece_equal_mass": scores.ece.equal_mass,
        "micro_f1": scores.f1_at_thresholds.micro,
        "macro_f1": scores.f1_at_thresholds.macro,
    }
    assert {key: found[key].estimate for key in expected} == pytest.approx(expected)
    assert set(found) == set(KEYS)


def test_intervals_are_the_bootstraps_and_stay_where_a_score_can_be() -> None:
    found = score_intervals(P, Y, CUTS, replicates=200, seed=3)
    again = bootstrap_scores(P, Y, CUTS, replicates=200, seed=3)["nll"].interval()
    assert found["nll"] == again
    for key, one in found.items():
        assert one.low <= one.high
        assert key == "ece_debiased" or one.low >= 0
        assert key == "nll" or one.high <= 1


def test_few_items_have_wider_intervals() -> None:
    few, many = (score_intervals(P[:n], Y[:n], CUTS)["nll"] for n in (30, 150))
    assert few.high - few.low > 1.5 * (many.high - many.low)


def test_the_work_is_bounded() -> None:
    assert num_replicates(100, 3) == 1000
    assert num_replicates(100, 3, most=400) == 400
    assert num_replicates(10**7, 20) == FEWEST
