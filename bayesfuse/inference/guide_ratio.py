"""Log densities of a guide's draws under the prior and under the guide itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pyro import poutine

from bayesfuse.errors import ConfigError
from bayesfuse.inference.local_params import with_local_params
from bayesfuse.inference.predictive import PosteriorPredictive
from bayesfuse.inference.seeding import seeded


@with_local_params
@torch.no_grad()
def log_prior_over_guide(
    predictive: PosteriorPredictive, draws: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Return :math:`\log p(\theta^{(s)})` and :math:`\log q(\theta^{(s)})`, in nats, `draws` each.

    The draws are those of `predictive.weights`, with the hyper-parameters that the prior draws, if
    it does. Sums are in float64: there are as many terms as weights.

    Raises:
        ConfigError: If the network has no posterior.
    """
    lifted, guide = predictive.lifted, predictive.guide
    if lifted is None or guide is None:
        raise ConfigError('The network has no guide (elbo="none"); expected one with a posterior.')
    prior, own = np.empty(draws), np.empty(draws)
    device = next(guide.parameters()).device
    for draw in range(draws):
        weights = predictive.weights(draw)
        with seeded(predictive.seed_of(draw), device):
            told = poutine.trace(poutine.condition(guide, data=weights)).get_trace()
        values = {name: told.nodes[name]["value"] for name in lifted.latent}
        replayed = poutine.trace(poutine.condition(lifted.draw_weights, data=values)).get_trace()
        prior[draw] = sum(_density(replayed.nodes[name]) for name in lifted.latent)
        own[draw] = sum(_density(told.nodes[name]) for name in lifted.latent)
    return prior, own


def _density(node: dict[str, Any]) -> float:
    """Return the log density of a site's value, its terms added up in float64."""
    fn, value = node["fn"], node["value"]
    if isinstance(fn, torch.distributions.Independent):
        fn = fn.base_dist
    return float(fn.log_prob(value).double().sum())
