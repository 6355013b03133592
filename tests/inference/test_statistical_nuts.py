"""A small fusion network, the same Pyro program under NUTS and under our guides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyro
import pytest
import torch
from pyro.infer import MCMC, NUTS
from pyro.ops.stats import effective_sample_size, gelman_rubin
from scipy import stats
from torch import Tensor

from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.inference.annealing import AnnealingSchedule
from bayesfuse.inference.elbo import MultiLabelModel
from bayesfuse.inference.guides import make_guide
from bayesfuse.inference.history import SVISettings
from bayesfuse.inference.lifting import LiftedModule, lift
from bayesfuse.inference.priors import Prior
from bayesfuse.inference.svi import SVI
from bayesfuse.models import FusionNetwork

NUM_TRAIN, NUM_NEW = 40, 100
NUM_CHAINS, NUM_DRAWS = 2, 200
GUIDE_DRAWS = 500

SLACK = 0.02
"""Mean distance in probability for what a mean-field guide cannot represent."""

Weights = dict[str, Tensor]


class Problem(NamedTuple):
    """A network with a frozen classifier and lifted fusion; its training items come first."""

    network: FusionNetwork
    lifted: LiftedModule
    features: FeatureTable
    inputs: dict[str, Tensor]
    observed: Tensor
    labels: Tensor

    def probabilities(self, weights: list[Weights]) -> Tensor:
        """Return draws x items x labels, of training items and new ones."""
        with torch.no_grad():
            logits = [self.lifted.run(draw, self.inputs, self.observed) for draw in weights]
        return torch.stack(logits).sigmoid()


def make_problem() -> Problem:
    torch.manual_seed(0)
    rng = np.random.default_rng(3)
    num_items = NUM_TRAIN + NUM_NEW
    arrays = {name: rng.normal(size=(num_items, 2)) for name in ("text", "image")}
    features = FeatureTable.from_arrays(arrays, {"image": rng.random(num_items) < 0.8})
    values, seen = features.batch(np.arange(num_items))
    text, image = values["text"], values["image"]  # 0 where the image was not observed
    logits = 2 * np.stack([text[:, 0] - image[:, 0], text[:, 1]], axis=1)
    labels = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    network = FusionNetwork(
        {"text": 2, "image": 2}, 2, fusion="concat", hidden=2, classifier="linear", dropout=0.0
    )
    with torch.no_grad():
        # no two hidden units may change places, or NUTS would have to find both ways round
        network.classifier.output.weight.copy_(torch.tensor([[2.0, 1.0], [-1.0, 2.0]]))
        network.classifier.output.bias.copy_(torch.tensor([0.0, -0.5]))
    network.requires_grad_(False)
    lifted = lift(network, Prior("laplace", 0.5))
    inputs = {name: torch.as_tensor(value) for name, value in values.items()}
    return Problem(
        network,
        lifted,
        features,
        inputs,
        torch.as_tensor(seen),
        torch.as_tensor(labels, dtype=torch.float32),
    )


@pytest.fixture(scope="module")
def problem() -> Problem:
    return make_problem()


@pytest.fixture(scope="module")
def nuts(problem: Problem) -> Tensor:
    """Return NUTS's draws of the probabilities, chains x draws x items x labels."""
    model = MultiLabelModel(problem.lifted, NUM_TRAIN)
    inputs = {name: value[:NUM_TRAIN] for name, value in problem.inputs.items()}
    items = (inputs, problem.observed[:NUM_TRAIN], problem.labels[:NUM_TRAIN])
    chains = []
    for seed in range(NUM_CHAINS):
        pyro.set_rng_seed(seed)
        chain = MCMC(
            NUTS(model, max_tree_depth=6),
            num_samples=NUM_DRAWS,
            warmup_steps=NUM_DRAWS // 2,
            disable_progbar=True,
        )
        chain.run(*items)
        drawn = chain.get_samples()
        weights = [{name: w[i] for name, w in drawn.items()} for i in range(NUM_DRAWS)]
        chains.append(problem.probabilities(weights))
    return torch.stack(chains)


def farthest(nuts: Tensor, failure_rate: float) -> float:
    """Return the mean distance that a mean-field guide may have from NUTS's own mean.

    The slack, and as much again as NUTS's mean of a probability may be wrong by, from its effective
    sample size: the mean over items of such bounds bounds the mean distance, however correlated.
    """
    standard_error = nuts.std(dim=(0, 1)) / effective_sample_size(nuts, 0, 1).sqrt()
    return SLACK + float(stats.norm.isf(failure_rate / 2)) * float(standard_error.mean())


@pytest.mark.slow
@pytest.mark.parametrize("family", ["laplace", "normal"])
def test_guide_predicts_as_nuts_does(
    problem: Problem, nuts: Tensor, family: str, failure_rate: float
) -> None:
    assert float(gelman_rubin(nuts, 0, 1).max()) < 1.1  # or NUTS is no witness
    torch.manual_seed(0)
    guide = make_guide(problem.lifted, family, init_scale=0.1)
    settings = SVISettings(
        annealing=AnnealingSchedule(epochs=0),
        epochs=1000,
        batch_size=NUM_TRAIN,
        learning_rate=0.03,
        warmup_epochs=0,
    )
    train = Batches(problem.features.take(np.arange(NUM_TRAIN)), problem.labels[:NUM_TRAIN].numpy())
    SVI(problem.network, problem.lifted, guide, settings).fit(train)
    loc = guide.locations()

    def draws(widen: float) -> Tensor:
        drawn = [guide() for _ in range(GUIDE_DRAWS)]
        return problem.probabilities(
            [{n: (loc[n] + widen * (w - loc[n])).detach() for n, w in d.items()} for d in drawn]
        )

    def distance(probability: Tensor) -> float:
        return float((probability.mean(0) - nuts.mean(dim=(0, 1))).abs().mean())

    ours = draws(1.0)
    found = distance(ours)
    assert found < farthest(nuts, failure_rate)
    prior = [problem.lifted.draw_weights() for _ in range(GUIDE_DRAWS)]
    broken = {
        "three times as wide": draws(3.0),
        "prior": problem.probabilities(prior),
        "base rate": problem.labels[:NUM_TRAIN].mean(0).expand_as(ours),
    }
    for name, probability in broken.items():
        assert distance(probability) > farthest(nuts, failure_rate), name
        assert distance(probability) > 2 * found, name
    # the spread of a probability, not only its mean: within a quarter of NUTS's on the whole
    spread = float((ours.std(0) / nuts.std(dim=(0, 1))).log().mean())
    assert abs(spread) < np.log(1.25)
    wide = float((broken["three times as wide"].std(0) / nuts.std(dim=(0, 1))).log().mean())
    assert abs(wide) > np.log(1.25)
