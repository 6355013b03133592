from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.stats import entropy

from bayesfuse.errors import UserError
from bayesfuse.evaluation.uncertainty import DrawSummary, binary_entropy, summarise

LOG_2 = np.log(2)


def draws(min_draws: int = 1):
    """Draws of probabilities, `draws x items x labels`, certainty included."""
    shapes = array_shapes(min_dims=3, max_dims=3, max_side=6).filter(lambda s: s[0] >= min_draws)
    return arrays(np.float64, shapes, elements=st.floats(0, 1))


def test_binary_entropy_against_scipy():
    p = np.linspace(0, 1, 101)
    np.testing.assert_allclose(binary_entropy(p), entropy([p, 1 - p]), atol=1e-15)
    assert binary_entropy(0.5) == pytest.approx(LOG_2)


@given(draws())
def test_total_is_aleatoric_plus_epistemic_and_all_are_in_range(p):
    summary = DrawSummary().update(p)
    np.testing.assert_allclose(summary.total, summary.aleatoric + summary.epistemic, atol=1e-12)
    for part in (summary.total, summary.aleatoric, summary.epistemic):
        assert (part >= 0).all()
        assert (part <= LOG_2 + 1e-12).all()
    assert ((summary.mean >= 0) & (summary.mean <= 1)).all()
    assert ((summary.sd >= 0) & (summary.sd <= 0.5 + 1e-12)).all()


@given(draws())
def test_epistemic_is_the_mean_divergence_of_draws_from_their_mean(p):
    """The same mutual information by another road: mean KL(p_s || mean)."""
    mean = p.mean(axis=0)
    tiny = np.finfo(float).tiny
    divergence = sum(
        np.where(q > 0, q * (np.log(np.maximum(q, tiny)) - np.log(np.maximum(m, tiny))), 0.0)
        for q, m in ((p, mean), (1 - p, 1 - mean))
    ).mean(axis=0)
    np.testing.assert_allclose(DrawSummary().update(p).epistemic, divergence, atol=1e-12)


@given(draws(), st.integers(2, 5))
def test_draws_that_agree_leave_no_epistemic_uncertainty(p, repeats):
    same = np.repeat(p[:1], repeats, axis=0)
    summary = DrawSummary().update(same)
    np.testing.assert_allclose(summary.epistemic, 0, atol=1e-12)
    np.testing.assert_allclose(summary.sd, 0, atol=1e-12)
    np.testing.assert_allclose(summary.total, binary_entropy(p[0]), atol=1e-12)


def test_draws_that_contradict_each_other_are_epistemic_only():
    summary = DrawSummary().update([[[0.0]], [[1.0]]])
    assert summary.aleatoric.item() == 0
    assert summary.epistemic.item() == pytest.approx(LOG_2)
    assert summary.sd.item() == 0.5


def test_a_fair_coin_is_aleatoric_only():
    summary = DrawSummary().update(np.full((4, 1, 1), 0.5))
    assert summary.aleatoric.item() == pytest.approx(LOG_2)
    assert summary.epistemic.item() == 0


@given(draws(min_draws=2), st.data())
def test_chunks_of_any_size_give_what_one_gives(p, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, len(p) - 1))))
    chunked = DrawSummary()
    for chunk in np.split(p, cuts):
        chunked.update(chunk)
    assert chunked.num_draws == len(p)
    np.testing.assert_allclose(chunked.mean, p.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(chunked.sd, p.std(axis=0), atol=1e-9)
    np.testing.assert_allclose(chunked.aleatoric, binary_entropy(p).mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(chunked.total, binary_entropy(p.mean(axis=0)), atol=1e-9)


def test_sd_survives_draws_that_hardly_differ():
    """Sums of squares would cancel: the spread is 1e-9 of a mean near 1."""
    p = 1 - 1e-3 + 1e-9 * np.random.default_rng(0).standard_normal((1000, 1, 1))
    chunked = DrawSummary()
    for chunk in np.split(p, 10):
        chunked.update(chunk)
    assert chunked.sd.item() == pytest.approx(1e-9, rel=0.1)
    naive = np.mean(p**2) - np.mean(p) ** 2
    assert np.sqrt(max(naive, 0)) != pytest.approx(1e-9, rel=0.1)


def test_single_precision_draws_are_summed_in_double():
    p = np.full((100, 1, 1), 0.1, dtype=np.float32)
    assert DrawSummary().update(p).mean.item() == pytest.approx(float(np.float32(0.1)), abs=1e-15)


@given(draws())
def test_summarise_adds_quantiles_to_the_same_summary(p):
    predictive, summary = summarise(p, quantiles=(0.05, 0.5, 0.95)), DrawSummary().update(p)
    for part in ("mean", "sd", "total", "aleatoric", "epistemic"):
        np.testing.assert_array_equal(getattr(predictive, part), getattr(summary, part))
    assert list(predictive.quantiles) == [0.05, 0.5, 0.95]
    np.testing.assert_array_equal(predictive.quantiles[0.5], np.median(p, axis=0))
    assert (predictive.quantiles[0.05] <= predictive.quantiles[0.95]).all()
    assert predictive.num_draws == len(p)


def test_no_quantiles():
    assert summarise(np.full((2, 1, 1), 0.3), quantiles=()).quantiles == {}


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (np.full((2, 3), 0.5), r"shape \(2, 3\); expected draws x items x labels"),
        (np.zeros((0, 3, 2)), "at least one value"),
        (np.full((2, 3, 2), np.nan), "holds nan"),
        (np.full((2, 3, 2), 1.5), "not logits"),
    ],
)
def test_impossible_draws(chunk, message):
    with pytest.raises(UserError, match=message):
        DrawSummary().update(chunk)
    with pytest.raises(UserError, match=message):
        summarise(chunk)


def test_other_items_in_a_later_chunk():
    summary = DrawSummary().update(np.full((2, 3, 4), 0.5))
    with pytest.raises(UserError, match="5 items x 4 labels after draws of 3 x 4"):
        summary.update(np.full((2, 5, 4), 0.5))
    assert summary.num_draws == 2


@pytest.mark.parametrize("part", ["mean", "sd", "total", "aleatoric", "epistemic"])
def test_a_summary_of_nothing(part):
    with pytest.raises(UserError, match="no draws"):
        getattr(DrawSummary(), part)


def test_impossible_quantile():
    with pytest.raises(UserError, match=r"quantile level array holds 5\.0"):
        summarise(np.full((2, 1, 1), 0.5), quantiles=(5.0,))
