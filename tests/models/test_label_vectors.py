from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard

from bayesfuse.errors import ConfigError
from bayesfuse.models import CLASSIFIERS, FusionNetwork, apply_max_norm_
from bayesfuse.models.label_vectors import LABEL_VECTORS, FixedLinear, label_weights, output_layer

FIXED = [name for name in LABEL_VECTORS if name != "learned"]


@pytest.mark.parametrize("features", [1, 2, 5, 8, 13])
def test_hadamard_vectors_are_scipy_s(features: int) -> None:
    order = 1 << (features - 1).bit_length()
    vectors = output_layer(features, order, "hadamard").weight.numpy()
    np.testing.assert_allclose(vectors * features**0.5, hadamard(order)[:, :features], rtol=1e-6)
    assert len(np.unique(vectors, axis=0)) == order
    if features == order:
        np.testing.assert_allclose(vectors @ vectors.T, np.eye(order), atol=1e-6)
    with pytest.raises(ConfigError, match=f"There are {order + 1} labels.*{order} rows"):
        output_layer(features, order + 1, "hadamard")


@pytest.mark.parametrize("kind", FIXED)
def test_logits_are_those_of_the_equation_in_numpy(kind: str) -> None:
    torch.manual_seed(0)
    layer = output_layer(6, 5, kind).double()
    with torch.no_grad():
        layer.get_parameter("scale").fill_(2.5)
        layer.bias.normal_()
    v, x = layer.weight.numpy(), np.random.default_rng(0).normal(size=(7, 6))
    np.testing.assert_allclose(np.linalg.norm(v, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(label_weights(layer).detach().numpy(), 2.5 * v, rtol=1e-12)
    expected = 2.5 * x @ v.T + layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(torch.tensor(x)).detach().numpy(), expected, atol=1e-12)


def test_random_vectors_are_drawn_by_the_seed() -> None:
    torch.manual_seed(0)
    one = output_layer(64, 2000, "random").weight
    torch.manual_seed(0)
    assert torch.equal(one, output_layer(64, 2000, "random").weight)
    assert not torch.equal(one, output_layer(64, 2000, "random").weight)
    assert one.mean(dim=0).abs().max() < 4 / (64 * 2000) ** 0.5  # no direction is preferred


@pytest.mark.parametrize("kind", FIXED)
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_vectors_stay_as_they_are_and_are_saved(kind: str, classifier: str) -> None:
    made = {}
    for vectors in (kind, "learned"):
        torch.manual_seed(0)
        options = {"hidden": 8, "classifier_hidden": 8, "classifier": classifier}
        made[vectors] = FusionNetwork({"text": 3}, 4, label_vectors=vectors, **options)
    network = made[kind]
    learned = {name: sum(p.numel() for p in n.parameters()) for name, n in made.items()}
    assert learned["learned"] - learned[kind] == 8 * 4 - 1
    name = "classifier.output.weight"
    before = network.state_dict()[name].clone()
    steps = torch.optim.AdamW(network.parameters(), 0.1, weight_decay=0.5)
    observed = torch.ones(6, 1, dtype=torch.bool)
    network({"text": torch.randn(6, 3)}, observed).square().sum().backward()
    steps.step()
    apply_max_norm_(network.classifier, 0.01)
    assert torch.equal(network.state_dict()[name], before)
    output = network.classifier.output
    assert isinstance(output, FixedLinear)
    assert output.scale.item() != 1
    network.classifier.set_base_rates(torch.full((4,), 0.25))
    assert output.bias[0].item() == pytest.approx(np.log(1 / 3))


def test_learned_vectors_are_a_linear_layer() -> None:
    layer = output_layer(4, 2)
    assert type(layer) is torch.nn.Linear
    assert label_weights(layer) is layer.weight


def test_an_unknown_kind() -> None:
    with pytest.raises(ConfigError, match='Did you mean "random"'):
        output_layer(4, 2, "randm")
