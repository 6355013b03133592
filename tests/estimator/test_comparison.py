"""The table of a comparison: text, file and JSON say the same."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, logit

from bayesfuse.estimator.comparison import HEADLINES, Comparison, Row
from bayesfuse.evaluation.intervals import bootstrap_scores, bootstrap_scores_per_label


def row(name: str, p, y) -> Row:
    scores = bootstrap_scores(p, y, 0.4, replicates=200)
    by_label = bootstrap_scores_per_label(p, y, 0.4, replicates=200)
    return Row(name, scores, by_label, dict.fromkeys(scores, float("nan")), 12.34, 0.5, 1234)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    rng = np.random.default_rng(0)
    p = expit(rng.normal(-1, 1.5, (300, 2)))
    y = rng.random(p.shape) < p
    rows = [row("honest", p, y), row("loud", expit(3 * logit(p)), y), row("same", p, y)]
    return Comparison(rows, ("Drama", "War"), {"scored": "val"})


def test_an_overconfident_copy_has_stars_and_an_equal_one_has_none(comparison):
    text = str(comparison)
    assert "12.3" in text
    assert "1,234" in text
    below = text[text.index("More than honest, with 95% intervals") :].splitlines()
    loud, same = (next(line for line in below if line.startswith(n)) for n in ("loud", "same"))
    assert loud.count("*") >= 2  # NLL and ECE; the ranking is the same
    assert "*" not in same
    assert comparison.difference(comparison.rows[1], "nll").low > 0
    assert comparison.difference(comparison.rows[1], "ece").low > 0
    assert not comparison.difference(comparison.rows[1], "macro_ap").excludes_zero


def test_the_frame_and_the_json(comparison):
    frame = comparison.to_frame()
    one = frame.set_index(["method", "label", "score"])
    nll = one.loc[("loud", "", "nll")]
    found = comparison.difference(comparison.rows[1], "nll")
    assert nll["difference_low"] == pytest.approx(found.low)
    assert nll["low"] < nll["estimate"] < nll["high"]
    assert one.loc[("honest", "", "num_parameters"), "estimate"] == 1234
    assert set(frame["label"]) == {"", "Drama", "War"}
    assert set(HEADLINES) <= set(frame["score"])
    told = json.loads(json.dumps(comparison.to_dict()))
    assert len(told["scores"]) == len(frame)
    assert told["scores"][0]["low"] is None
    assert told["scored"] == "val"


def test_one_row_has_no_differences(comparison):
    alone = Comparison(comparison.rows[:1], comparison.label_names, {})
    assert "More than" not in str(alone)
