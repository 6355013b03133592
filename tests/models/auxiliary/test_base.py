from __future__ import annotations

import pytest
import torch
from torch import nn

from bayesfuse.models import FUSIONS, FusionNetwork
from bayesfuse.models.auxiliary import Auxiliary, AuxiliaryLoss
from bayesfuse.models.auxiliary.settings import AuxiliarySettings
from tests.models.auxiliary.conftest import ITEMS, LABELS, WIDTHS, score, seen_of

EVERY = AuxiliarySettings(refiner=0.1, multi_similarity=0.1, contrastive=0.1)


def ask(network: nn.Module, labels: torch.Tensor | None) -> tuple[torch.Tensor, Auxiliary]:
    torch.manual_seed(1)
    inputs = {name: torch.randn(ITEMS, width) for name, width in WIDTHS.items()}
    observed = torch.rand(ITEMS, 3) < 0.8
    asked = Auxiliary(labels, lambda logits: score(logits, labels))
    return network(inputs, observed, auxiliary=asked), asked


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_rule_leaves_every_term_and_they_reach_its_weights(fusion: str) -> None:
    torch.manual_seed(0)
    network = FusionNetwork(WIDTHS, LABELS, fusion=fusion, hidden=8, auxiliary=EVERY).eval()
    labels = (torch.rand(ITEMS, LABELS) < 0.5).float()
    logits, asked = ask(network, labels)
    assert {"refiner", "multi_similarity", "contrastive"} <= set(asked.terms)
    assert set(asked.terms) == set(network.auxiliary)
    assert all(torch.isfinite(term) and term > 0 for term in asked.terms.values())
    torch.testing.assert_close(asked.total(), sum(asked.terms.values()))
    asked.total().backward()
    for name in WIDTHS:
        assert network.fusion.get_parameter(f"{name}.weight").grad.abs().sum() > 0
    assert all(p.grad is not None for p in network.auxiliary.parameters())
    assert logits.shape == (ITEMS, LABELS)


def test_logits_are_the_same_whether_terms_are_asked_for_or_not() -> None:
    torch.manual_seed(0)
    network = FusionNetwork(WIDTHS, LABELS, fusion="centralnet", hidden=8, auxiliary=EVERY).eval()
    logits, _ = ask(network, torch.ones(ITEMS, LABELS))
    torch.manual_seed(1)
    inputs = {name: torch.randn(ITEMS, width) for name, width in WIDTHS.items()}
    assert torch.equal(network(inputs, torch.rand(ITEMS, 3) < 0.8), logits)


def test_layers_of_modalities_are_run_once() -> None:
    network = FusionNetwork(WIDTHS, LABELS, hidden=8, auxiliary=EVERY).eval()
    runs: list[int] = []
    network.fusion.get_submodule("text").register_forward_hook(lambda *_: runs.append(1))
    ask(network, torch.ones(ITEMS, LABELS))
    assert len(runs) == 1


def test_without_labels_those_that_read_none_are_left() -> None:
    network = FusionNetwork(WIDTHS, LABELS, fusion="centralnet", hidden=8, auxiliary=EVERY)
    _, asked = ask(network, None)
    assert set(asked.terms) == {"refiner", "contrastive"}


def test_logits_that_training_says_nothing_about_have_no_loss() -> None:
    network = FusionNetwork(WIDTHS, LABELS, fusion="centralnet", hidden=8).eval()
    network.set_label_counts(torch.tensor([3, 0, 7, 4]), 7)
    labels = torch.tensor([1.0, 0, 1, 0]).expand(ITEMS, 4)
    _, asked = ask(network, labels)
    asked.total().backward()
    for classifier in network.auxiliary["own"].classifier.values():
        assert classifier.bias.grad.bool().tolist() == [True, False, False, True]


def test_the_contract_itself_cannot_be_built() -> None:
    with pytest.raises(TypeError, match="abstract"):
        AuxiliaryLoss()


def test_seen_is_what_a_network_hands_on() -> None:
    seen = seen_of()
    assert not seen.values[1][[1, 4]].any()
    assert seen.fused.shape == (ITEMS, 5)
