"""Log densities of a guide's draws: against Pyro's own ELBO, prior by prior and guide by guide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from bayesfuse.errors import ConfigError
from bayesfuse.inference.elbo import kl_by_site
from bayesfuse.inference.guide_ratio import log_prior_over_guide
from bayesfuse.inference.predictive import PosteriorPredictive

MakeFused = Callable[..., Any]


def predictive(made: Any) -> PosteriorPredictive:
    return PosteriorPredictive(made.network, made.lifted, made.guide, num_items=40, seed=3)


@pytest.mark.parametrize(("guide", "law"), [("laplace", stats.laplace), ("normal", stats.norm)])
def test_they_are_of_the_draws_that_predictions_are_made_of(
    guide: str, law: Any, make_fused: MakeFused
) -> None:
    made = make_fused(prior="laplace", scale=0.2, guide=guide)
    found = predictive(made)
    prior, own = log_prior_over_guide(found, 4)
    locations, scales = made.guide.locations(), made.guide.scales()
    for draw in range(4):
        weights = found.weights(draw)
        expected = [0.0, 0.0]
        for name, value in weights.items():
            x, loc, scale = (
                t.detach().double().numpy() for t in (value, locations[name], scales[name])
            )
            expected[0] += stats.laplace.logpdf(x, 0, 0.2).sum()
            expected[1] += law.logpdf(x, loc, scale).sum()
        np.testing.assert_allclose([prior[draw], own[draw]], expected, rtol=1e-4)


@pytest.mark.parametrize("prior", ["laplace", "normal"])
@pytest.mark.parametrize("guide", ["laplace", "laplace-tied", "normal", "lowrank"])
def test_their_mean_difference_is_the_divergence(
    prior: str, guide: str, make_fused: MakeFused
) -> None:
    made = make_fused(prior=prior, guide=guide)
    p, q = log_prior_over_guide(predictive(made), 300)
    kl = float(torch.stack(list(kl_by_site(made.lifted, made.guide).values())).sum().detach())
    error = (q - p).std() / 300**0.5
    assert abs((q - p).mean() - kl) < 5 * error
    assert abs((q - p).mean() - 1.5 * kl) > 5 * error


def test_hyper_parameters_count(make_fused: MakeFused) -> None:
    made = make_fused(prior="horseshoe", scale=0.5)
    p, q = log_prior_over_guide(predictive(made), 3)
    assert np.isfinite(p).all()
    assert np.isfinite(q).all()


def test_a_network_without_posterior_has_no_guide(make_fused: MakeFused) -> None:
    made = make_fused()
    with pytest.raises(ConfigError, match="no guide"):
        log_prior_over_guide(PosteriorPredictive(made.network, None, None, num_items=4), 3)
