from __future__ import annotations

import copy
import io
import math

import pytest
import torch

from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.models import CLASSIFIERS, FUSIONS, FusionNetwork

WIDTHS = {"text": 3, "image": 2}
EVERY_NETWORK = pytest.mark.parametrize(
    ("fusion", "classifier"), [(f, c) for f in FUSIONS for c in CLASSIFIERS]
)


def build(fusion="gmu", classifier="maxout", **options) -> FusionNetwork:
    torch.manual_seed(0)
    return FusionNetwork(
        WIDTHS, 5, fusion=fusion, classifier=classifier, hidden=6, classifier_hidden=4, **options
    ).double()


def batch(items: int = 7) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = {
        name: torch.randn(items, width, dtype=torch.float64, generator=generator)
        for name, width in WIDTHS.items()
    }
    return inputs, torch.rand(items, 2, generator=generator) < 0.8


@EVERY_NETWORK
def test_children_are_called_in_turn(fusion, classifier):
    network = build(fusion, classifier).eval()
    network.standardise.set_statistics("text", torch.ones(3), 2 * torch.ones(3))
    inputs, observed = batch()
    fused = network.fusion({**inputs, "text": (inputs["text"] - 1) / 2}, observed)
    torch.testing.assert_close(network(inputs, observed), network.classifier(fused))


@EVERY_NETWORK
def test_vmap_over_stacked_parameters_equals_a_loop(fusion, classifier):
    network = build(fusion, classifier).eval()
    draws = {
        name: parameter + torch.randn(3, *parameter.shape, dtype=torch.float64)
        for name, parameter in network.named_parameters()
    }
    inputs, observed = batch()

    def logits(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(network, parameters, (inputs, observed))

    stacked = torch.func.vmap(logits)(draws)
    for draw in range(3):
        one = logits({name: value[draw] for name, value in draws.items()})
        torch.testing.assert_close(stacked[draw], one)
    assert not torch.allclose(stacked[0], stacked[1])


@EVERY_NETWORK
def test_compiles_without_a_graph_break(fusion, classifier):
    torch._dynamo.reset()  # which counts how often `forward` was compiled, of all networks
    network = build(fusion, classifier).eval()
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(*batch()), network(*batch()))


@EVERY_NETWORK
def test_a_copy_is_independent(fusion, classifier):
    network = build(fusion, classifier).eval()
    twin = copy.deepcopy(network)
    before = network(*batch())
    assert torch.equal(twin(*batch()), before)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1.0)
    assert torch.equal(network(*batch()), before)
    assert not torch.allclose(twin(*batch()), before)


@EVERY_NETWORK
def test_state_holds_everything_a_prediction_needs(fusion, classifier):
    network = build(fusion, classifier)
    network.set_label_counts(torch.tensor([0, 1, 2, 3, 7]), 7)
    network.standardise.set_gain("image", 0.3)
    network(*batch())  # moves batch norm's running statistics
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    fresh = build(fusion, classifier)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(fresh.eval()(*batch()), network.eval()(*batch()))


@EVERY_NETWORK
@pytest.mark.parametrize("value", [1e30, math.nan, -math.inf])
def test_an_unobserved_modality_changes_nothing(fusion, classifier, value):
    network = build(fusion, classifier, dropout=0.0)
    inputs, observed = batch()
    other = {
        name: torch.where(observed[:, column, None], features, value)
        for column, (name, features) in enumerate(inputs.items())
    }
    gradients = []
    for features in (inputs, other):
        network.zero_grad()
        logits = network(features, observed)
        logits.square().sum().backward()
        read = [p for n, p in network.named_parameters() if not n.startswith("auxiliary.")]
        gradients.append([logits.detach(), *(p.grad.clone() for p in read)])
    for one, two in zip(*gradients, strict=True):
        assert torch.equal(one, two)


def test_parameter_names_become_sites():
    assert {name for name, _ in build("gmu").named_parameters()} == {
        *(f"fusion.{m}.{part}" for m in WIDTHS for part in ("weight", "bias")),
        *(f"fusion.absent.{m}" for m in WIDTHS),
        "fusion.gate.text.weight",
        "fusion.gate.text.bias",
        *(f"classifier.norm.{i}.{part}" for i in (0, 1) for part in ("weight", "bias")),
        "classifier.maxout.0.weight",
        "classifier.maxout.0.bias",
        "classifier.output.weight",
        "classifier.output.bias",
    }
    fused = {name for name, _ in build("mixing").named_parameters() if "fused" in name}
    assert fused == {"fusion.fused.weight", "fusion.fused.bias"}
    assert not any("gate" in name or "fused" in name for name in build("concat").state_dict())


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_label_counts_start_at_base_rates_and_fix_what_cannot_be_learned(classifier):
    network = build(classifier=classifier).eval()
    network.set_label_counts(torch.tensor([0, 1, 50, 99, 100]), 100)
    expected = (torch.tensor([0, 1, 50, 99, 100], dtype=torch.float64) + 0.5) / 101
    torch.testing.assert_close(torch.sigmoid(network.classifier.output.bias.detach()), expected)
    assert network.fixed_logit.isnan().tolist() == [False, True, True, True, False]
    probability = torch.sigmoid(network(*batch()))
    torch.testing.assert_close(probability[:, 0], expected[0].expand(7))
    torch.testing.assert_close(probability[:, 4], expected[4].expand(7))
    assert (probability[:, 1:4].std(0) > 0).all()


def test_a_fixed_label_learns_nothing():
    network = build()
    network.set_label_counts(torch.tensor([0, 1, 50, 99, 50]), 100)
    network(*batch()).sum().backward()
    gradient = network.classifier.output.weight.grad
    assert not gradient[0].any()
    assert gradient[1:].any(1).all()


@pytest.mark.parametrize(
    ("counts", "num_items", "message"),
    [
        ([1, 2], 10, r"shape \(2,\); expected \(5,\)"),
        ([1, 2, 3, 4, 11], 10, "between 1 and 11 of 10 items"),
        ([-1, 2, 3, 4, 5], 10, "between -1 and 5"),
        ([0, 0, 0, 0, 0], 0, "N >= 1"),
    ],
)
def test_impossible_label_counts(counts, num_items, message):
    with pytest.raises(ConfigError, match=message):
        build().set_label_counts(torch.tensor(counts), num_items)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fusion": "gum"}, 'Unknown fusion rule "gum".* Did you mean "gmu"'),
        ({"classifier": "max-out"}, 'Unknown classifier "max-out".* Did you mean "maxout"'),
        ({"num_labels": 0}, "num_labels=0"),
        ({"hidden": 0}, "hidden=0"),
        ({"widths": {"type": 3}}, "taken"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ConfigError, match=message):
        FusionNetwork(**{"widths": WIDTHS, "num_labels": 5, **options})


def test_wrong_features_are_named():
    inputs, observed = batch()
    with pytest.raises(FeatureError, match=r'"image" has shape 7 x 9; expected 7 x 2'):
        build()({**inputs, "image": torch.zeros(7, 9)}, observed)
