"""What stands before the network is trained with it, and put back with the best model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.inference.annealing import AnnealingSchedule
from bayesfuse.inference.front import Front
from bayesfuse.inference.guides import make_guide
from bayesfuse.inference.history import SVISettings, Validation
from bayesfuse.inference.lifting import lift
from bayesfuse.inference.svi import SVI
from bayesfuse.models.network import FusionNetwork


class Scaled(Front):
    """Multiplies one modality; starts where it says nothing."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((4,), 0.1))
        self.rate = rate

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return {**inputs, "text": inputs["text"] * self.factor}

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.factor], "lr": self.rate}]


def run(front: Front | None, elbo: str = "annealed", epochs: int = 12) -> tuple[list[float], Any]:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 4)).astype(np.float32)
    y = (x[:, :2] > 0).astype(np.float32)
    batches = Batches(FeatureTable.from_arrays({"text": x}), y)
    network = FusionNetwork({"text": 4}, 2, hidden=8, classifier_hidden=8, dropout=0.0)
    lifted = guide = None
    if elbo != "none":
        lifted = lift(network)
        guide = make_guide(lifted, "laplace", init_scale=0.003)
    settings = SVISettings(
        elbo=elbo, epochs=epochs, batch_size=16, learning_rate=1e-4, classifier_learning_rate=1e-4,
        annealing=AnnealingSchedule("linear", 0.2, 1.0, 1.0, 1), seed=0,
    )  # fmt: skip
    nlls: list[float] = []
    svi = SVI(network, lifted, guide, settings, front)
    svi.fit(batches, None, on_step=lambda step: nlls.append(step.nll))
    return nlls, svi


@pytest.mark.parametrize("elbo", ["annealed", "none"])
def test_the_front_learns_at_its_own_rate(elbo: str) -> None:
    moving, still = Scaled(0.1), Scaled(0.0)
    fast, _ = run(moving, elbo)
    slow, _ = run(still, elbo)
    assert torch.equal(still.factor.detach(), torch.full((4,), 0.1))
    assert (moving.factor[:2].abs() > 0.3).all()
    assert np.mean(fast[-6:]) < np.mean(slow[-6:]) - 0.05


def test_the_best_front_is_put_back() -> None:
    front = Scaled(0.1)
    seen: list[Tensor] = []

    class Scripted:
        """Says that the third epoch is the best."""

        def __call__(self) -> Validation:
            seen.append(front.factor.detach().clone())
            return Validation(0.1 if len(seen) == 3 else 0.5 + len(seen), 0.0)

    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
    batches = Batches(FeatureTable.from_arrays({"text": x}), (x[:, :1] > 0).astype(np.float32))
    network = FusionNetwork({"text": 4}, 1, hidden=4, classifier_hidden=4)
    settings = SVISettings(
        elbo="none", epochs=6, batch_size=16, annealing=AnnealingSchedule("linear", 1, 1, 0, 1)
    )
    result = SVI(network, None, None, settings, front).fit(batches, Scripted())
    assert result.best_epoch == 2
    assert torch.equal(front.factor.detach(), seen[2])
    assert not torch.equal(seen[2], seen[5])
