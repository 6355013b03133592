"""Isotonic reliability: exact on small cases, uniform p-values if right, small ones if wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from bayesfuse.errors import ConfigError, UserError
from bayesfuse.evaluation.isotonic import reliability


def test_violators_are_pooled() -> None:
    p = np.array([[0.1], [0.2], [0.3], [0.4], [0.4]])
    found = reliability(p, [[0], [1], [0], [1], [1]], ["a"], replicates=40).labels[0]
    assert found.predicted.tolist() == [0.1, 0.2, 0.3, 0.4]
    assert found.observed.tolist() == [0, 0.5, 0.5, 1]
    brier = np.mean((p.ravel() - [0, 1, 0, 1, 1]) ** 2)
    assert found.miscalibration == pytest.approx(brier - 0.1)
    assert found.uncertainty == pytest.approx(0.24)
    total = found.miscalibration - found.discrimination + found.uncertainty
    assert total == pytest.approx(brier)


def test_p_values_are_uniform_if_probabilities_are_right(failure_rate: float) -> None:
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        p = rng.beta(1, 4, (150, 1))
        told = reliability(p, rng.random(p.shape) < p, ["a"], replicates=60, seed=seed)
        found.append(told.labels[0])
    assert stats.kstest([one.p for one in found], "uniform").pvalue > failure_rate
    assert np.mean([one.outside for one in found]) == pytest.approx(0.05, abs=0.05)


@pytest.mark.parametrize("wrong", ["overconfident", "too high", "permuted"])
def test_wrong_probabilities_are_out_of_the_band(wrong: str) -> None:
    rng = np.random.default_rng(1)
    p = rng.beta(1, 2, (800, 1))
    truth = {
        "overconfident": 0.3 + 0.4 * (p - 0.3),
        "too high": 0.7 * p,
        "permuted": rng.permutation(p),
    }[wrong]
    uniform = rng.random(p.shape)
    bad = reliability(p, uniform < truth, ["a"], replicates=100).labels[0]
    good = reliability(p, uniform < p, ["a"], replicates=100).labels[0]
    assert bad.p < 0.02 < good.p
    assert bad.outside > 0.2 > good.outside
    assert bad.miscalibration > 3 * good.miscalibration


def test_bands_are_around_the_diagonal() -> None:
    rng = np.random.default_rng(2)
    p = rng.random((500, 1))
    found = reliability(p, rng.random(p.shape) < p, ["a"]).labels[0]
    middle = (found.predicted > 0.1) & (found.predicted < 0.9)
    assert (found.low <= found.predicted)[middle].mean() > 0.97
    assert (found.high >= found.predicted)[middle].mean() > 0.97
    assert (np.diff(found.observed) >= 0).all()


def test_it_prints_and_goes_into_json_the_most_doubtful_first() -> None:
    rng = np.random.default_rng(3)
    p = rng.random((400, 2))
    y = rng.random(p.shape) < np.column_stack([p[:, 0], p[:, 1] ** 2])
    found = reliability(p, y, ["good", "bad"], replicates=60)
    lines = str(found).splitlines()
    assert [line.split()[0] for line in lines[3:]] == ["bad", "good"]
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [one["name"] for one in told["labels"]] == ["good", "bad"]
    assert len(told["labels"][0]["low"]) == 200


def test_labels_that_none_or_all_have() -> None:
    p = np.linspace(0.01, 0.2, 30)[:, None] * np.ones((30, 2))
    y = np.column_stack([np.zeros(30), np.ones(30)])
    none, everyone = reliability(p, y, ["none", "all"], replicates=60).labels
    assert none.observed.max() == 0
    assert none.uncertainty == none.discrimination == 0
    assert everyone.p < 0.05
    assert everyone.observed.min() == 1


def test_mistakes_are_told() -> None:
    with pytest.raises(UserError, match="2 label names"):
        reliability([[0.5]], [[1]], ["a", "b"])
    with pytest.raises(ConfigError, match="at least 40"):
        reliability([[0.5]], [[1]], ["a"], replicates=5)
