"""AUROC of uncertainty: against scikit-learn, with ties and weights, and at chance."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bayesfuse.errors import UserError
from bayesfuse.evaluation.outliers import auroc_statistic, outlier_auroc
from bayesfuse.evaluation.resampling import bootstrap


@pytest.mark.parametrize("decimals", [1, 9])
def test_against_scikit_learn(decimals):
    rng = np.random.default_rng(0)
    own = rng.exponential(0.1, 80).round(decimals)
    foreign = rng.exponential(0.2, 50).round(decimals)
    truth, scores = [0] * 80 + [1] * 50, np.concatenate([own, foreign])
    assert outlier_auroc(own, foreign) == pytest.approx(roc_auc_score(truth, scores))
    assert outlier_auroc(foreign, own) == pytest.approx(1 - outlier_auroc(own, foreign))
    weights = rng.integers(1, 4, 130).astype(float)
    statistic, num_items = auroc_statistic(own, foreign)
    assert num_items == 130
    expected = roc_auc_score(truth, scores, sample_weight=weights)
    assert statistic(weights[None])[0] == pytest.approx(expected)


def test_items_of_the_same_kind_are_at_chance():
    rng = np.random.default_rng(0)

    def interval(shift):
        statistic, num_items = auroc_statistic(rng.normal(size=300), rng.normal(shift, 1, 300))
        scores = {"above chance": lambda w: statistic(w) - 0.5}
        return bootstrap(scores, num_items)["above chance"].interval()

    assert not interval(0.0).excludes_zero
    assert interval(0.5).excludes_zero


def test_mistakes_and_one_sided_resamples():
    with pytest.raises(UserError, match="0 foreign"):
        outlier_auroc([0.1], [])
    with pytest.raises(UserError, match="all finite"):
        outlier_auroc([0.1], [np.nan])
    statistic, _ = auroc_statistic([0.1], [0.2])
    np.testing.assert_array_equal(statistic(np.array([[2.0, 0.0]])), [np.nan])
