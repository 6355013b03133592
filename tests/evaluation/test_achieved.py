"""What tags achieve: against scikit-learn, and intervals that hold."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from bayesfuse.errors import UserError
from bayesfuse.evaluation.achieved import achieved, wilson

NAMES = ("Drama", "Horror", "War")


def some(num_items: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.random((num_items, 3)) < (0.5, 0.3, 0.1)
    return labels ^ (rng.random(labels.shape) < 0.2), labels


def test_scores_are_those_of_scikit_learn() -> None:
    tags, labels = some()
    found = achieved(tags, labels, NAMES, (np.ones(3), np.full(3, 4.0)))
    told = {name: score.estimate for name, score in found.scores.items()}
    for kind in ("precision", "recall", "f1"):
        score = getattr(metrics, f"{kind}_score")
        assert told[f"micro_{kind}"] == pytest.approx(score(labels, tags, average="micro"))
        each = [getattr(one, kind).estimate for one in found.labels]
        np.testing.assert_allclose(each, score(labels, tags, average=None))
    assert told["macro_f1"] == pytest.approx(metrics.f1_score(labels, tags, average="macro"))
    assert told["tags"] == tags.sum(axis=1).mean()
    tagged, have = tags.any(axis=1), labels.any(axis=1)
    of_tagged = metrics.precision_score(labels[tagged], tags[tagged], average="samples")
    assert told["item_precision"] == pytest.approx(of_tagged)
    of_labelled = metrics.recall_score(labels[have], tags[have], average="samples")
    assert told["item_recall"] == pytest.approx(of_labelled)
    cost = (tags & ~labels).sum() + 4 * (labels & ~tags).sum()
    assert told["cost"] == pytest.approx(cost / len(tags))


def test_every_interval_is_about_its_estimate() -> None:
    found = achieved(*some(), NAMES)
    for score in [*found.scores.values(), *(one.f1 for one in found.labels)]:
        assert 0 <= score.low < score.estimate < score.high
    assert "cost" not in found.scores


def test_what_is_not_defined_is_none_in_json_and_a_dash_in_print() -> None:
    found = achieved(np.zeros((5, 1)), np.zeros((5, 1)), ["War"])
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["labels"][0]["precision"]["estimate"] is None
    assert told["scores"]["micro_f1"]["estimate"] is None
    assert str(found).splitlines()[-1].split() == ["War", "0", "0", "-", "-", "-"]


def test_wilson_holds_as_often_as_it_says() -> None:
    n, share = 40, 0.85
    hits = np.arange(n + 1)
    holds = [found.low <= share <= found.high for found in (wilson(int(k), n) for k in hits)]
    covered = float((stats.binom.pmf(hits, n, share) * holds).sum())
    assert 0.92 < covered < 0.98
    # the textbook interval at half its width would be noticed
    half = [abs(k / n - share) <= 0.98 * np.sqrt(k / n * (1 - k / n) / n) for k in hits]
    assert float((stats.binom.pmf(hits, n, share) * half).sum()) < 0.8


def test_shapes_have_to_fit() -> None:
    with pytest.raises(UserError, match=r"tags of shape \(2, 2\), labels of shape \(2, 3\)"):
        achieved(np.zeros((2, 2)), np.zeros((2, 3)), ["a", "b"])
