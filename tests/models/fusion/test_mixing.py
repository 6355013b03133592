from __future__ import annotations

import pytest
import torch

from bayesfuse.models import MixingFusion

WIDTHS = {"text": 3, "image": 2, "table": 1}


def build(num_modalities: int) -> tuple[MixingFusion, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    widths = dict(list(WIDTHS.items())[:num_modalities])
    fusion = MixingFusion(widths, 4).double()
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.normal_()
    return fusion, {name: torch.randn(6, width).double() for name, width in widths.items()}


def layer(fusion, inputs, name):
    linear = getattr(fusion, name)
    return torch.tanh(inputs[name] @ linear.weight.T + linear.bias)


def test_two_modalities_as_in_the_paper():
    fusion, inputs = build(2)
    v_t, v_i = layer(fusion, inputs, "text"), layer(fusion, inputs, "image")
    both = torch.cat([v_t, v_i], dim=1)
    v_cat = torch.tanh(both @ fusion.fused.weight.T + fusion.fused.bias)
    fused = fusion(inputs, torch.ones(6, 2).bool())
    torch.testing.assert_close(fused, v_cat * v_i + (1 - v_cat) * v_t)


def test_three_modalities_are_a_chain_of_the_same_step():
    fusion, inputs = build(3)
    layers = [layer(fusion, inputs, name) for name in WIDTHS]
    together = torch.cat(layers, dim=1)
    mixing = torch.tanh(together @ fusion.fused.weight.T + fusion.fused.bias)
    first = mixing[:, :4] * layers[1] + (1 - mixing[:, :4]) * layers[0]
    second = mixing[:, 4:] * layers[2] + (1 - mixing[:, 4:]) * first
    torch.testing.assert_close(fusion(inputs, torch.ones(6, 3).bool()), second)


def test_one_modality_has_nothing_to_mix():
    fusion, inputs = build(1)
    assert fusion.fused is None
    assert not any(name.startswith("fused") for name, _ in fusion.named_parameters())
    fused = fusion(inputs, torch.ones(6, 1).bool())
    torch.testing.assert_close(fused, layer(fusion, inputs, "text"))


def test_a_missing_modality_enters_as_its_stand_in():
    fusion, inputs = build(2)
    v_t, v_i = layer(fusion, inputs, "text"), torch.tanh(fusion.absent["image"]).expand(6, 4)
    v_cat = torch.tanh(torch.cat([v_t, v_i], dim=1) @ fusion.fused.weight.T + fusion.fused.bias)
    fused = fusion(inputs, torch.tensor([[True, False]] * 6))
    torch.testing.assert_close(fused, v_cat * v_i + (1 - v_cat) * v_t)


@pytest.mark.parametrize("winner", [0, 1, 2])
def test_any_modality_can_win(winner):
    fusion, inputs = build(3)
    torch.nn.init.zeros_(fusion.fused.weight)
    opening = {0: [0.0, 0.0], 1: [50.0, 0.0], 2: [0.0, 50.0]}[winner]
    with torch.no_grad():
        fusion.fused.bias.copy_(torch.tensor(opening).repeat_interleave(4))
    fused = fusion(inputs, torch.ones(6, 3).bool())
    torch.testing.assert_close(fused, layer(fusion, inputs, list(WIDTHS)[winner]))


@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_output_stays_below_the_stated_bound(num_modalities):
    fusion, inputs = build(num_modalities)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.mul_(10)
    fused = fusion(inputs, torch.ones(6, num_modalities).bool())
    assert fused.abs().max() <= 2**num_modalities - 1
    if num_modalities > 1:
        assert fused.abs().max() > 1  # it does extrapolate beyond the layers
