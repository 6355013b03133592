"""The Bayesian row is the classifier of the same settings and seed."""

from __future__ import annotations

import numpy as np

from bayesfuse import FusionClassifier
from bayesfuse.estimator.competitors import bayesian
from tests.estimator.competitors.conftest import SMALL


def test_it_is_the_classifier(bench, catalog):
    fitted = bayesian.fit(bench, 0)
    classifier = FusionClassifier(**SMALL, seed=0).fit(catalog)
    expected = classifier.sample_proba(catalog.features.take(bench.val))
    np.testing.assert_array_equal(fitted.draws(catalog, bench.val), expected)
    assert fitted.num_parameters == sum(classifier.model_.num_parameters.values())
    assert fitted.network.classifier.model_.num_parameters["variational"] > 0
