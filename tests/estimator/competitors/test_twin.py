"""The twin has no posterior, and is another with another seed."""

from __future__ import annotations

import numpy as np

from bayesfuse.estimator.competitors import bayesian, twin


def test_it_has_no_posterior(bench, catalog):
    fitted = twin.fit(bench, 0)
    assert fitted.network.classifier.config_.elbo == "none"
    assert fitted.num_parameters < bayesian.fit(bench, 0).num_parameters
    other = twin.fit(bench, 1)
    same = np.allclose(fitted.draws(catalog, bench.val), other.draws(catalog, bench.val))
    assert not same
