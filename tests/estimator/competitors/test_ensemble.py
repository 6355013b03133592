"""An ensemble is its members, and no member is in two ensembles."""

from __future__ import annotations

import numpy as np

from bayesfuse.estimator.competitors import ensemble, twin


def test_its_draws_are_its_members(bench, catalog):
    fitted = ensemble.fit(bench, 0)
    assert len(fitted.members) == ensemble.NUM_MEMBERS
    first = twin.fit(bench, 0)
    draws = fitted.draws(catalog, bench.val)
    np.testing.assert_array_equal(draws[:1], first.draws(catalog, bench.val))
    assert (draws.std(axis=0)[:, :3] > 0).all()
    assert fitted.num_parameters == 5 * first.num_parameters
    assert fitted.seconds > first.seconds
    seeds = [member.classifier.config_.seed for member in fitted.members]
    others = [m.classifier.config_.seed for m in ensemble.fit(bench, 1).members]
    assert seeds == [0, 1, 2, 3, 4]
    assert not set(seeds) & set(others)
