from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesfuse.errors import UserError
from bayesfuse.evaluation.thresholds import best_threshold, best_thresholds, decide


@st.composite
def predictions(draw):
    """Probabilities with many ties or none, `items x labels`, and labels that may be empty."""
    items, labels = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    ties = draw(st.booleans())
    probability = rng.integers(0, 6, (items, labels)) / 5 if ties else rng.random((items, labels))
    return probability.astype(dtype).astype(np.float64), rng.random((items, labels)) < rng.uniform(
        0, 0.7
    )


def f1(decisions, truth) -> float:
    """F1 of one series, 0 where nothing is true and nothing decided."""
    return float(2 * (decisions & truth).sum() / max(decisions.sum() + truth.sum(), 1))


def every_cut(scores) -> list[float]:
    """A threshold between any two neighbouring scores, and one below all of them."""
    distinct = np.unique(scores.astype(np.float64))
    return [0.0, *((distinct[1:] + distinct[:-1]) / 2), *distinct]


@given(predictions())
def test_no_other_threshold_has_a_higher_f1(case):
    probability, labels = case
    thresholds = best_thresholds(probability, labels)
    decisions = decide(probability, thresholds)
    for c in range(labels.shape[1]):
        p, y = probability[:, c], labels[:, c]
        if not y.any():
            assert thresholds[c] == 0.5
            continue
        rivals = {t: f1(p >= t, y) for t in every_cut(p)}
        assert f1(decisions[:, c], y) == max(rivals.values())
        # Of the best cuts it claims the fewest tags.
        fewest = min((p >= t).sum() for t, value in rivals.items() if value == max(rivals.values()))
        assert decisions[:, c].sum() == fewest


@given(predictions())
def test_one_threshold_for_all_by_micro_f1(case):
    probability, labels = case
    threshold = best_threshold(probability, labels)
    if not labels.any():
        assert threshold == 0.5
        return
    flat, truth = probability.ravel(), labels.ravel()
    assert f1(flat >= threshold, truth) == max(f1(flat >= t, truth) for t in every_cut(flat))


@given(predictions())
def test_one_threshold_for_all_by_macro_f1(case):
    probability, labels = case

    def macro(threshold: float) -> float:
        kept = np.flatnonzero(labels.any(axis=0))
        return float(np.mean([f1(probability[:, c] >= threshold, labels[:, c]) for c in kept]))

    threshold = best_threshold(probability, labels, average="macro")
    if not labels.any():
        assert threshold == 0.5
        return
    assert macro(threshold) == pytest.approx(max(map(macro, every_cut(probability))))


def test_micro_and_macro_disagree_where_labels_differ_in_size():
    # A frequent label that wants a high cut, a rare one that wants a low cut.
    rng = np.random.default_rng(0)
    frequent = rng.random(200) < 0.5
    rare = np.arange(200) < 2
    probability = np.stack([0.4 + 0.4 * frequent, 0.1 + 0.1 * rare], axis=1)
    labels = np.stack([frequent, rare], axis=1)
    assert best_threshold(probability, labels, "micro") > 0.4
    assert best_threshold(probability, labels, "macro") < 0.4


def test_midpoint_between_accepted_and_rejected():
    labels = [[0], [0], [1], [1]]
    assert best_thresholds([[0.1], [0.2], [0.6], [0.9]], labels) == pytest.approx([0.4])
    assert best_thresholds([[0.2], [0.4]], [[1], [1]]) == pytest.approx([0.1])


@pytest.mark.parametrize("low", [0.3, np.nextafter(0.3, 1.0)])  # one midpoint rounds up, one down
def test_neighbouring_floats_are_told_apart(low):
    high = np.nextafter(low, 1.0)
    probability, labels = np.array([[low], [high]]), [[0], [1]]
    assert decide(probability, best_thresholds(probability, labels)).tolist() == [[False], [True]]


def test_accepting_a_probability_of_zero():
    probability, labels = [[0.0], [0.0]], [[1], [1]]
    thresholds = best_thresholds(probability, labels)
    assert thresholds.tolist() == [0.0]
    assert decide(probability, thresholds).all()


def test_a_decision_is_yes_at_the_threshold_itself():
    assert decide([[0.5, 0.49]]).tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ([0.5, 0.5, 0.5], r"thresholds of shape \(3,\)"),
        ([[0.5, 0.5]], r"thresholds of shape \(1, 2\)"),
        ([0.5, np.nan], r"threshold array holds nan at \(1,\)"),
        (1.5, "holds 1.5"),
    ],
)
def test_impossible_thresholds(thresholds, message):
    with pytest.raises(UserError, match=message):
        decide([[0.1, 0.2]], thresholds)


def test_unknown_average():
    with pytest.raises(UserError, match=r'Unknown average "marco".* Did you mean "macro"'):
        best_threshold([[0.5]], [[1]], average="marco")


def test_single_precision_is_cut_where_it_was_measured():
    low = np.float32(0.3)
    probability = np.array([[low], [np.nextafter(low, np.float32(1))]])
    labels = [[0], [1]]
    for threshold in (best_thresholds(probability, labels), best_threshold(probability, labels)):
        assert decide(probability, threshold).tolist() == [[False], [True]]
