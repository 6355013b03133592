"""PSIS against ArviZ and exact answers: conjugate models, guides that are too narrow."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from bayesfuse.errors import ConfigError, UserError
from bayesfuse.evaluation.importance import (
    GuideCheck,
    _pit_of_counts,
    guide_check,
    leave_one_out,
    psis,
)
from bayesfuse.evaluation.likelihood import log_likelihood

pytest.importorskip("arviz", reason="needs pip install 'bayesfuse[report]'")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # ArviZ 0.23, of its next version


def beta_bernoulli(seed: int = 0, num_items: int = 30, draws: int = 4000):
    """Draws of the posterior of one rate a label, Beta(1, 1) before; and the labels."""
    rng = np.random.default_rng(seed)
    y = rng.random((num_items, 2)) < np.array([0.3, 0.6])
    k = y.sum(axis=0)
    rates = rng.beta(1 + k, 1 + num_items - k, (draws, 2))
    p = np.broadcast_to(rates[:, None], (draws, num_items, 2))
    exact = np.where(y, k - 1 + 1, num_items - 1 - k + 1) / (num_items + 1)
    return p, y, np.log(exact).sum(axis=1)


def test_leaving_one_out_is_exact_where_it_is_known() -> None:
    p, y, exact = beta_bernoulli()
    ids = [f"f{i}" for i in range(len(y))]
    found = leave_one_out(p, log_likelihood(p, y, by_item=True), y, ids)
    assert found.elpd == pytest.approx(exact.mean(), abs=0.003)
    assert found.waic == pytest.approx(exact.mean(), abs=0.01)
    assert found.in_sample > exact.mean() + 0.03  # what looks better than it is
    assert (found.num_high, found.highest) == (0, ())
    assert found.pit_p > 0.001
    assert "PSIS-LOO" in str(found)
    json.dumps(found.to_dict(), allow_nan=False)


def test_an_item_that_the_fit_hangs_on_has_a_high_k() -> None:
    rng = np.random.default_rng(1)
    y = np.zeros((20, 1), bool)
    y[7] = True
    p = rng.beta(0.8, 30, (2000, 1, 1)) * np.ones((1, 20, 1))
    found = leave_one_out(p, log_likelihood(p, y, by_item=True), y, [f"f{i}" for i in range(20)])
    assert found.highest[0][0] == "f7"
    assert found.num_high == 1
    assert "f7" in str(found)


def test_the_pit_of_counts_is_uniform_if_and_only_if_it_should_be(failure_rate: float) -> None:
    rng = np.random.default_rng(2)
    p = rng.random((1, 3000, 5))
    weights = np.ones((1, 3000))
    right = _pit_of_counts(p, rng.random((3000, 5)) < p[0], weights, rng)
    wrong = _pit_of_counts(p, rng.random((3000, 5)) < 0.8 * p[0], weights, rng)
    assert stats.kstest(right, "uniform").pvalue > failure_rate
    assert stats.kstest(wrong, "uniform").pvalue < failure_rate


def test_weights_are_those_of_arviz() -> None:
    arviz = pytest.importorskip("arviz")
    if int(arviz.__version__.split(".")[0]) >= 1:
        pytest.skip("ArviZ 1.x has it elsewhere")
    ll = np.random.default_rng(3).normal(-2, 0.5, (200, 9))
    idata = arviz.from_dict(posterior={"x": np.zeros((1, 200))}, log_likelihood={"y": ll[None]})
    theirs = arviz.loo(idata, pointwise=True)
    y, p = np.zeros((9, 1)), np.full((200, 9, 1), 0.5)
    ours = leave_one_out(p, ll, y, list("abcdefghi"))
    assert ours.elpd == pytest.approx(float(theirs.elpd_loo) / 9, rel=1e-6)
    assert ours.largest == pytest.approx(float(theirs.pareto_k.max()), rel=1e-3)
    assert ours.waic == pytest.approx(float(arviz.waic(idata).elpd_waic) / 9, rel=5e-3)


@pytest.mark.parametrize("dimensions", [1, 3])
def test_guides_that_are_right_wide_and_narrow(dimensions: int) -> None:
    rng = np.random.default_rng(4)

    def check(guide_scale: float, loc: float = 0) -> GuideCheck:
        theta = rng.normal(loc, guide_scale, (2000, dimensions))
        posterior = stats.norm.logpdf(theta).sum(axis=1)
        return guide_check(posterior - stats.norm.logpdf(theta, loc, guide_scale).sum(axis=1), 3)

    right, narrow, elsewhere = check(1.1), check(0.3), check(0.3, loc=2)
    assert right.shape < 0.7 < min(narrow.shape, elsewhere.shape)
    assert right.effective > narrow.effective
    assert "too narrow" in narrow.verdict
    assert max(map(len, str(narrow).splitlines())) <= 96
    assert "--guide lowrank" in " ".join(str(narrow).split())
    assert json.loads(json.dumps(narrow.to_dict()))["verdict"] == narrow.verdict


def test_ratios_that_are_all_the_same_are_of_the_posterior_itself() -> None:
    weights, shape = psis(np.random.default_rng(0).normal(0, 1e-6, (2, 100)))
    np.testing.assert_allclose(np.exp(weights).sum(axis=1), 1)
    assert (shape < 0.7).all()
    assert guide_check(np.zeros(100), 1).verdict == "The guide is close to the posterior."


def test_mistakes_are_told() -> None:
    with pytest.raises(ConfigError, match="at least 50"):
        psis(np.zeros(10))
    with pytest.raises(UserError, match="2 ids"):
        leave_one_out(np.full((60, 3, 1), 0.5), np.zeros((60, 3)), np.zeros((3, 1)), ["a", "b"])
