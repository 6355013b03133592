from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bayesfuse.inference.adversarial import adversary
from bayesfuse.inference.svi import SVI, SVISettings
from bayesfuse.models import FusionNetwork

WIDTHS = {"text": 3, "image": 2}


def linear(shift) -> torch.Tensor:
    """A loss of which the gradient is known: items are weighed 1, 2, 3."""
    weights = {"text": torch.tensor([3.0, 0, 0]), "image": torch.tensor([0.0, 4])}
    count = torch.arange(1.0, 4)
    return sum((shift[n] @ w * count).sum() for n, w in weights.items())


@pytest.mark.parametrize("epsilon", [0.1, 2.0])
def test_every_item_is_moved_so_far_along_its_own_gradient(epsilon: float) -> None:
    inputs = {name: torch.randn(3, width) for name, width in WIDTHS.items()}
    moves = []

    def loss_of(shift) -> torch.Tensor:
        moves.append(shift)
        return linear(shift)

    clean, worse = adversary(loss_of, inputs, epsilon)
    assert clean.item() == 0
    direction = np.array([[3 / 5, 0, 0, 0, 4 / 5]] * 3)  # of length 1, whatever the slope
    found = np.concatenate([moves[1]["text"], moves[1]["image"]], axis=1)
    np.testing.assert_allclose(found, epsilon * direction, atol=1e-6)
    assert worse.item() == pytest.approx(epsilon * 5 * (1 + 2 + 3), rel=1e-5)


def test_without_a_slope_nothing_is_moved() -> None:
    inputs = {"text": torch.randn(3, 3)}
    clean, worse = adversary(lambda shift: 0 * shift["text"].sum() + 1, inputs, 0.5)
    assert (clean.item(), worse.item()) == (1, 1)


def test_a_network_is_moved_as_numpy_says(make_batches) -> None:
    """x + ε r g / ‖g‖ of standardised features, against finite differences of the loss."""
    torch.manual_seed(0)
    network = FusionNetwork(WIDTHS, 4, hidden=5, classifier="linear", dropout=0.0).double()
    network.standardise.set_statistics("text", torch.ones(3), 2 * torch.ones(3))
    inputs, observed, labels, _ = make_batches().read(slice(0, 6))
    inputs = {name: x.double() for name, x in inputs.items()}

    def loss_of(shift) -> torch.Tensor:
        logits = network(inputs, observed, shift=shift)
        return F.binary_cross_entropy_with_logits(logits, labels.double())

    _, worse = adversary(loss_of, inputs, 0.3)
    x = {n: v.numpy() for n, v in network.standardise(inputs, observed).items()}
    joined = np.concatenate(list(x.values()), axis=1)

    def at(values: np.ndarray) -> float:
        parts = {"text": values[:, :3] * 2 + 1, "image": values[:, 3:]}
        with torch.no_grad():
            tensors = {n: torch.tensor(v) for n, v in parts.items()}
            logits = network(tensors, observed)
            return F.binary_cross_entropy_with_logits(logits, labels.double()).item()

    gradient, step = np.zeros_like(joined), 1e-6
    for i in range(joined.shape[0]):
        for k in range(joined.shape[1]):
            moved = joined.copy()
            moved[i, k] += step
            gradient[i, k] = (at(moved) - at(joined)) / step
    lengths = (observed.numpy() * [3, 2]).sum(axis=1, keepdims=True) ** 0.5
    gradient /= np.linalg.norm(gradient, axis=1, keepdims=True)
    expected = at(joined + 0.3 * lengths * gradient)
    assert worse.item() == pytest.approx(expected, rel=1e-6)
    assert worse.item() > loss_of({}).item()


def loss_when_moved(network, batch, epsilon: float) -> float:
    def loss_of(shift) -> torch.Tensor:
        logits = network(batch.inputs, batch.observed, shift=shift)
        return F.binary_cross_entropy_with_logits(logits, batch.labels)

    return adversary(loss_of, batch.inputs, epsilon)[1].item()


@pytest.mark.slow
@pytest.mark.parametrize("lifted", [False, True])
def test_training_makes_items_that_are_moved_less_wrong(make_fused, make_batches, lifted) -> None:
    found = {}
    for epsilon in (0.0, 0.5):
        fused = make_fused(init_scale=0.01)
        settings = SVISettings(
            elbo="meanfield" if lifted else "none",
            adversarial=epsilon,
            epochs=20,
            batch_size=20,
            learning_rate=0.04,
            classifier_learning_rate=0.04,
            warmup_epochs=0.0,
        )
        if not lifted:
            fused.network.requires_grad_(True)
        parts = (fused.lifted, fused.guide) if lifted else (None, None)
        steps = []
        SVI(fused.network, *parts, settings).fit(make_batches(80), on_step=steps.append)
        if lifted:
            assert steps[-1].kl == pytest.approx(steps[-2].kl, rel=0.2)
        held_out = make_batches(200, seed=1).read(slice(None))
        found[epsilon] = loss_when_moved(fused.network.eval(), held_out, 0.5)
    assert found[0.5] < 0.95 * found[0.0]
