"""Scores with intervals: the same numbers as elsewhere, ends that hold the truth, plain JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bayesfuse.errors import UserError
from bayesfuse.evaluation.evaluate import evaluate
from bayesfuse.evaluation.intervals import bootstrap_scores, bootstrap_scores_per_label
from bayesfuse.evaluation.score_intervals import PER_LABEL, POOLED, score_intervals

RNG = np.random.default_rng(0)
P = RNG.uniform(0.02, 0.9, size=(300, 3))
Y = RNG.random(P.shape) < P
NAMES = ("Love", "Sea", "War")
FOUND = score_intervals(P, Y, NAMES, 0.4, replicates=200)


def test_estimates_are_those_of_the_plain_evaluation() -> None:
    plain = evaluate(P, Y, NAMES, 0.4)
    assert FOUND.pooled["nll"].estimate == pytest.approx(plain.nll)
    assert FOUND.pooled["ece"].estimate == pytest.approx(plain.ece.equal_width)
    assert FOUND.pooled["macro_ap"].estimate == pytest.approx(plain.average_precision.macro)
    for one in plain.labels:
        scores = FOUND.per_label[one.name]
        assert scores["f1"].estimate == pytest.approx(one.f1_at_threshold)
        assert scores["average_precision"].estimate == pytest.approx(one.average_precision)


def test_ends_are_those_of_the_bootstrap_cut_where_a_score_cannot_be() -> None:
    pooled = bootstrap_scores(P, Y, 0.4, replicates=200)
    low, high = pooled["nll"].ends()
    assert (FOUND.pooled["nll"].low, FOUND.pooled["nll"].high) == (float(low), float(high))
    assert FOUND.pooled["ece"].low == max(float(pooled["ece"].ends()[0]), 0)
    debiased = pooled["ece_debiased"].ends()[0]
    assert FOUND.pooled["ece_debiased"].low == float(debiased)  # may be below 0
    ends = np.array(bootstrap_scores_per_label(P, Y, 0.4, replicates=200)["brier"].ends())
    found = [
        (FOUND.per_label[name]["brier"].low, FOUND.per_label[name]["brier"].high) for name in NAMES
    ]
    assert np.array_equal(found, ends.T)
    narrow = score_intervals(P, Y, NAMES, 0.4, replicates=200, level=0.5).pooled["nll"]
    assert FOUND.pooled["nll"].low < narrow.low < narrow.high < FOUND.pooled["nll"].high


def test_it_prints_every_score_that_it_names() -> None:
    told = str(FOUND)
    for title in (*POOLED.values(), *PER_LABEL.values(), *NAMES):
        assert title in told
    nll = FOUND.pooled["nll"]
    assert f"{nll.estimate:.4f}" in told
    assert f"{nll.low:.4f} to {nll.high:.4f}" in told
    assert "200 resamples" in told


def test_a_label_that_no_item_has_leaves_a_gap() -> None:
    labels = Y.copy()
    labels[:, 1] = False
    found = score_intervals(P, labels, NAMES, replicates=50)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    empty = {"estimate": None, "low": None, "high": None}
    assert plain["labels"]["Sea"]["average_precision"] == empty
    assert plain["labels"]["Sea"]["brier"]["estimate"] > 0
    assert (plain["level"], plain["replicates"]) == (0.95, 50)
    (line,) = [line for line in str(found).splitlines() if line.startswith("Sea")]
    assert "nan" not in line
    assert line.count(" to ") == 2  # NLL and ECE, not AP and F1


def test_a_name_too_few() -> None:
    with pytest.raises(UserError, match="Got 2 label names for 3 columns"):
        score_intervals(P, Y, NAMES[:2], replicates=2)
