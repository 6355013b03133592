from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from bayesfuse import evaluation
from bayesfuse.errors import UserError
from bayesfuse.evaluation import evaluate

NAMES = ["Drama", "Horror", "Sci-Fi"]


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    probability = rng.random((200, 3))
    labels = rng.random((200, 3)) < probability
    return probability, labels


def test_every_score_is_the_one_of_its_module(case):
    p, y = case
    thresholds = [0.3, 0.5, 0.7]
    scores = evaluate(p, y, NAMES, thresholds)
    assert (scores.num_items, scores.num_labels) == (200, 3)
    assert scores.f1 == evaluation.f1(p, y)
    assert scores.f1_at_thresholds == evaluation.f1(p, y, thresholds)
    assert scores.average_precision == evaluation.average_precision(p, y)
    assert scores.nll == pytest.approx(evaluation.nll(p, y))
    assert scores.brier == pytest.approx(evaluation.brier(p, y))
    for binning in ("equal-width", "equal-mass"):
        name = binning.replace("-", "_")
        pooled = evaluation.expected_calibration_error(p, y, binning=binning)
        alone = evaluation.calibration_error_per_label(p, y, binning=binning)
        assert getattr(scores.ece, name) == pooled
        assert getattr(scores.ece, f"macro_{name}") == pytest.approx(alone.mean())
        assert [getattr(one, f"ece_{name}") for one in scores.labels] == alone.tolist()
    table = {
        "name": NAMES,
        "positives": y.sum(0),
        "base_rate": y.mean(0),
        "mean_probability": p.mean(0),
        "average_precision": evaluation.average_precision_per_label(p, y),
        "f1": evaluation.f1_per_label(p, y),
        "threshold": thresholds,
        "f1_at_threshold": evaluation.f1_per_label(p, y, thresholds),
        "nll": evaluation.nll_per_label(p, y),
        "brier": evaluation.brier_per_label(p, y),
    }
    for column, values in table.items():
        assert [getattr(one, column) for one in scores.labels] == list(values), column


def test_one_threshold_counts_for_every_label(case):
    scores = evaluate(*case, NAMES, 0.25)
    assert [one.threshold for one in scores.labels] == [0.25] * 3
    assert scores.f1_at_thresholds == evaluation.f1(*case, 0.25)


def test_without_thresholds_nothing_is_said_about_them(case):
    scores = evaluate(*case, NAMES)
    assert scores.f1_at_thresholds is None
    assert {(one.threshold, one.f1_at_threshold) for one in scores.labels} == {(None, None)}
    assert "threshold" not in str(scores)
    assert scores.to_dict()["f1_at_thresholds"] is None


def test_a_label_and_an_item_that_cannot_be_scored():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = evaluate([[0.9, 0.2], [0.6, 0.1], [0.1, 0.2]], [[1, 0], [1, 0], [0, 0]], NAMES[:2])
        text = str(scores)
    plain = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert plain["f1"]["macro"] == 1.0
    assert plain["f1"]["labels_left_out"] == 1
    assert plain["labels"][1]["f1"] is None
    assert plain["labels"][1]["average_precision"] is None
    assert plain["labels"][1]["positives"] == 0
    assert plain["labels"][1]["nll"] > 0
    assert "1 label has no positive here: left out of macro" in text
    assert "1 item has no label: left out of samples" in text


def test_to_dict_round_trips_through_json(case):
    scores = evaluate(*case, NAMES, 0.4)
    plain = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert plain == scores.to_dict()
    assert plain["average_precision"]["macro"] == scores.average_precision.macro
    assert [one["name"] for one in plain["labels"]] == NAMES


def test_printed_table():
    scores = evaluate([[0.75, 0.25], [0.5, 0.5]], [[1, 0], [0, 1]], NAMES[:2], [0.6, 0.5])
    assert (
        str(scores)
        == """\
2 items, 2 labels

                    micro   macro  weighted  samples
F1 at 0.5          0.8000  0.8333    0.8333   0.8333
F1 at thresholds   1.0000  1.0000    1.0000   1.0000
average precision  0.8333  1.0000             0.7500

                    pooled  label by label
NLL a label (nats)  0.4904
Brier               0.1562
ECE, equal width    0.1250          0.3750
ECE, equal mass     0.1250          0.3750

label   positives  base rate  mean p      AP  F1 at 0.5  threshold  F1 at it     NLL   Brier  \
ECE width  ECE mass
Drama           1     0.5000  0.6250  1.0000     0.6667     0.6000    1.0000  0.4904  0.1562  \
   0.3750    0.3750
Horror          1     0.5000  0.3750  1.0000     1.0000     0.5000    1.0000  0.4904  0.1562  \
   0.3750    0.3750"""
    )


@pytest.mark.parametrize(
    ("names", "thresholds", "message"),
    [
        (NAMES[:2], None, "2 label names for 3 columns"),
        (NAMES, [0.5, 0.5], r"thresholds of shape \(2,\)"),
        (NAMES, 1.5, "threshold array holds 1.5"),
    ],
)
def test_what_does_not_fit_is_said(case, names, thresholds, message):
    with pytest.raises(UserError, match=message):
        evaluate(*case, names, thresholds)
