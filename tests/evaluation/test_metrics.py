from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from bayesfuse.evaluation import metrics
from bayesfuse.evaluation.thresholds import decide

# 0.5 itself, ties within and between labels, and thresholds that are hit exactly.
LEVELS = [0.0, 0.1, 0.25, 0.5, 0.5, 0.75, 0.9, 1.0]


@st.composite
def predictions(draw, complete: bool = True):
    """Probabilities and labels, `items x labels`; if complete every row and column has a 1."""
    items, labels = draw(st.integers(2, 12)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    truth = rng.random((items, labels)) < rng.uniform(0.1, 0.6)
    if complete:
        truth[rng.integers(items, size=labels), np.arange(labels)] = True
        truth[np.arange(items), rng.integers(labels, size=items)] = True
    if draw(st.booleans()):
        return rng.choice(LEVELS, (items, labels)), truth
    return rng.random((items, labels)), truth


@given(predictions(), st.sampled_from(["half", "one", "each"]))
def test_f1_against_scikit_learn(case, kind):
    probability, labels = case
    width = labels.shape[1]
    thresholds = {"half": 0.5, "one": 0.25, "each": np.linspace(0.1, 0.9, width)}[kind]
    decisions = decide(probability, thresholds)
    ours = metrics.f1(probability, labels, thresholds)
    for average in ("micro", "macro", "weighted", "samples"):
        theirs = oracle.f1_score(labels, decisions, average=average, zero_division=0)
        assert getattr(ours, average) == pytest.approx(theirs)
    per_label = oracle.f1_score(labels, decisions, average=None, zero_division=0)
    np.testing.assert_allclose(metrics.f1_per_label(probability, labels, thresholds), per_label)
    assert (ours.labels_left_out, ours.items_left_out) == (0, 0)


@given(predictions())
def test_average_precision_against_scikit_learn(case):
    probability, labels = case
    ours = metrics.average_precision(probability, labels)
    for average in ("micro", "macro", "samples"):
        theirs = oracle.average_precision_score(labels, probability, average=average)
        assert getattr(ours, average) == pytest.approx(theirs)
    np.testing.assert_allclose(
        metrics.average_precision_per_label(probability, labels),
        oracle.average_precision_score(labels, probability, average=None),
    )


@given(predictions(complete=False), st.sampled_from([np.float32, np.float64]))
def test_nll_and_brier_against_scikit_learn(case, dtype):
    probability, labels = case[0].astype(dtype), case[1]
    nll = metrics.nll_per_label(probability, labels)
    brier = metrics.brier_per_label(probability, labels)
    for c in range(labels.shape[1]):
        theirs = oracle.log_loss(labels[:, c], probability[:, c].astype(float), labels=[0, 1])
        if dtype == np.float64:
            assert nll[c] == pytest.approx(theirs)
        assert brier[c] == pytest.approx(
            oracle.brier_score_loss(labels[:, c], probability[:, c], pos_label=1)
        )
    assert metrics.nll(probability, labels) == pytest.approx(nll.mean())
    assert metrics.brier(probability, labels) == pytest.approx(brier.mean())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_certain_mistake_costs_as_much_as_the_dtype_can_say(dtype):
    (cost,) = metrics.nll_per_label(np.array([[1.0]], dtype=dtype), [[0]])
    assert cost == pytest.approx(-np.log(np.finfo(dtype).eps))


@given(predictions(complete=False))
def test_what_is_not_defined_is_left_out_and_counted(case):
    probability, labels = case
    kept, with_label = labels.any(axis=0), labels.any(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f1 = metrics.f1(probability, labels)
        ap = metrics.average_precision(probability, labels)
        f1_per_label = metrics.f1_per_label(probability, labels)
        ap_per_label = metrics.average_precision_per_label(probability, labels)
    for scores in (f1, ap):
        assert scores.labels_left_out == (~kept).sum()
        assert scores.items_left_out == (~with_label).sum()
    for per_label in (f1_per_label, ap_per_label):
        assert (np.isnan(per_label) == ~kept).all()
    if not labels.any():
        for scores in (f1, ap):
            assert np.isnan([scores.micro, scores.macro, scores.samples]).all()
        assert np.isnan(f1.weighted)
        return
    decisions = probability >= 0.5
    assert f1.micro == pytest.approx(oracle.f1_score(labels.ravel(), decisions.ravel()))
    assert f1.macro == pytest.approx(
        np.mean([oracle.f1_score(labels[:, c], decisions[:, c]) for c in np.flatnonzero(kept)])
    )
    assert f1.samples == pytest.approx(
        np.mean([oracle.f1_score(labels[i], decisions[i]) for i in np.flatnonzero(with_label)])
    )
    assert ap.macro == pytest.approx(
        np.mean(
            [
                oracle.average_precision_score(labels[:, c], probability[:, c])
                for c in np.flatnonzero(kept)
            ]
        )
    )


def test_a_label_without_positives_would_pull_macro_down_in_scikit_learn():
    labels = np.array([[1, 0], [1, 0]])
    probability = np.array([[0.9, 0.1], [0.8, 0.2]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert oracle.f1_score(labels, probability >= 0.5, average="macro") == 0.5
    assert metrics.f1(probability, labels).macro == 1.0


def test_samples_f1_is_equation_7_of_the_paper():
    labels = np.array([[1, 1, 0], [0, 1, 0]])
    decisions = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    by_hand = np.mean([2 * 1 / (2 + 2), 2 * 1 / (1 + 1)])
    assert metrics.f1(decisions, labels).samples == by_hand


@given(predictions())
def test_average_precision_knows_ranks_only(case):
    probability, labels = case
    squashed = probability**2 / 2
    ours, theirs = (metrics.average_precision(p, labels) for p in (probability, squashed))
    assert ours.macro == pytest.approx(theirs.macro)
    assert ours.micro == pytest.approx(theirs.micro)


@given(predictions(complete=False), st.randoms(use_true_random=False))
def test_the_order_of_items_changes_nothing(case, random):
    probability, labels = case
    rows = random.sample(range(len(labels)), len(labels))
    for score in (metrics.f1_per_label, metrics.average_precision_per_label, metrics.nll_per_label):
        np.testing.assert_allclose(
            score(probability, labels), score(probability[rows], labels[rows])
        )
