"""The tempered twin is the twin with other logits, better on val, the more numbers the better."""

from __future__ import annotations

import numpy as np
from scipy.special import logit

from bayesfuse.estimator.competitors import temperature, twin
from bayesfuse.evaluation.metrics import nll


def test_it_divides_the_logits_of_the_twin(bench, catalog):
    plain = twin.fit(bench, 0)
    scaled, by_label = temperature.fit(bench, 0), temperature.fit_by_label(bench, 0)
    p = plain.draws(catalog, bench.val)[0]
    q = scaled.draws(catalog, bench.val)[0]
    np.testing.assert_allclose(logit(q) * scaled.temperature, logit(p.astype(float)), rtol=1e-4)
    truth = bench.labels(bench.val)
    losses = [nll(f.draws(catalog, bench.val)[0], truth) for f in (plain, scaled, by_label)]
    assert losses[0] + 1e-7 >= losses[1] >= losses[2] - 1e-7
    assert by_label.temperature.shape == (4,)
    assert by_label.temperature[3] == scaled.temperature  # no item of val has the label
    sizes = [f.num_parameters - plain.num_parameters for f in (scaled, by_label)]
    assert sizes == [1, 4]
    assert scaled.seconds > plain.seconds
