"""Gates under draws of the weights: the fusion's own, and put back as they were."""

from __future__ import annotations

import pytest
import torch

from bayesfuse.models.gates import gate_draws, gated_modalities
from bayesfuse.models.network import FusionNetwork

WIDTHS = {"text": 3, "image": 2}


def build(widths: dict[str, int], fusion: str = "gmu") -> FusionNetwork:
    torch.manual_seed(0)
    return FusionNetwork(widths, 2, fusion=fusion, hidden=4).eval()


def inputs(widths: dict[str, int], items: int = 5) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    values = {name: torch.randn(items, width) for name, width in widths.items()}
    return values, torch.rand(items, len(widths)) < 0.8


@pytest.mark.parametrize("widths", [WIDTHS, {**WIDTHS, "table": 1}], ids=["tied", "three"])
def test_they_are_the_fusions_own_under_each_draw(widths):
    network = build(widths)
    values, observed = inputs(widths)
    own = {name: p.detach() for name, p in network.named_parameters()}
    other = {name: p + torch.randn_like(p) for name, p in own.items()}
    found = gate_draws(network, [{}, other], values, observed)
    assert found.shape == (2, 5, len(widths))
    standardised = network.standardise(values, observed)
    expected = network.fusion.gates(standardised, observed).mean(dim=2)
    torch.testing.assert_close(found[0], expected)
    assert not torch.allclose(found[1], found[0])
    network.load_state_dict(other, strict=False)
    torch.testing.assert_close(network.fusion.gates(standardised, observed).mean(dim=2), found[1])
    assert not network.fusion._forward_hooks


def test_only_a_gated_fusion_has_gates():
    assert gated_modalities(build(WIDTHS)) == ("text", "image")
    assert gated_modalities(build(WIDTHS, "concat")) == ()
