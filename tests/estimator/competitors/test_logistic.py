"""Logistic regression: scikit-learn's on standardised features, its penalty chosen on val."""

from __future__ import annotations

import dataclasses

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bayesfuse import FeatureTable
from bayesfuse.config import FitConfig
from bayesfuse.estimator.competitors import logistic
from bayesfuse.estimator.competitors.bench import Bench
from bayesfuse.estimator.competitors.logistic import STRENGTHS, side_by_side
from bayesfuse.evaluation.metrics import nll
from tests.estimator.competitors.conftest import SMALL


def test_it_is_scikit_learns(bench, catalog):
    fitted = logistic.fit(bench, 0)
    values, observed = catalog.features.batch(slice(None))
    assert observed[:, 0].all()
    features = side_by_side(catalog, np.arange(len(catalog)), fitted.statistics)
    scaler = StandardScaler().fit(values["text"][bench.train].astype(float))
    np.testing.assert_allclose(features[:, :6], scaler.transform(values["text"]), atol=1e-5)
    assert (features[~observed[:, 1], 6:10] == 0).all()
    np.testing.assert_array_equal(features[:, 10:], observed)
    losses = []
    truth = bench.labels(bench.val)
    for strength in STRENGTHS:
        p = np.full(truth.shape, 0.5 / (len(bench.train) + 1))
        for label in range(3):
            model = LogisticRegression(C=strength, max_iter=5000)
            model.fit(features[bench.train], bench.labels(bench.train)[:, label])
            p[:, label] = model.predict_proba(features[bench.val])[:, 1]
        losses.append(nll(p, truth))
    assert fitted.strength == STRENGTHS[int(np.argmin(losses))]
    found = fitted.draws(catalog, bench.val)[0]
    assert abs(nll(found, truth) - min(losses)) < 1e-6
    assert fitted.num_parameters == 4 * (6 + 4 + 2 + 1)


def test_a_seed_changes_nothing(bench, catalog):
    one, other = logistic.fit(bench, 0), logistic.fit(bench, 7)
    np.testing.assert_array_equal(one.draws(catalog, bench.val), other.draws(catalog, bench.val))


def test_where_no_penalty_is_best_weak_ones_are_tried(catalog):
    rng = np.random.default_rng(0)
    noiseless = rng.normal(size=(len(catalog), 2))
    labels = (noiseless[:, :1] > np.array([[0.0, 0.5, -0.5, 0.2]])).astype(np.float32)
    features = FeatureTable.from_arrays({"text": noiseless})
    clear = dataclasses.replace(catalog, features=features, labels=labels)
    fitted = logistic.fit(Bench(clear, FitConfig(**SMALL)), 0)
    assert fitted.strength > 1
    # where features say nothing, the strongest penalties are best
    blind = dataclasses.replace(clear, labels=rng.permutation(labels))
    assert logistic.fit(Bench(blind, FitConfig(**SMALL)), 0).strength < 0.1
