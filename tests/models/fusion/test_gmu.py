from __future__ import annotations

import pytest
import torch

from bayesfuse.models import GatedFusion

WIDTHS = {"text": 3, "image": 2, "table": 1}


def build(num_modalities: int) -> tuple[GatedFusion, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    widths = dict(list(WIDTHS.items())[:num_modalities])
    fusion = GatedFusion(widths, 4).double()
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.normal_()
    return fusion, {name: torch.randn(6, width).double() for name, width in widths.items()}


def linear(x, layer):
    return x @ layer.weight.T + layer.bias


def test_two_modalities_share_one_tied_gate():
    fusion, inputs = build(2)
    h_v = torch.tanh(linear(inputs["text"], fusion.text))
    h_t = torch.tanh(linear(inputs["image"], fusion.image))
    both = torch.cat([inputs["text"], inputs["image"]], dim=1)
    z = torch.sigmoid(linear(both, fusion.gate["text"]))
    assert list(fusion.gate) == ["text"]
    fused = fusion(inputs, torch.ones(6, 2).bool())
    torch.testing.assert_close(fused, z * h_v + (1 - z) * h_t)


def test_three_modalities_have_a_gate_each():
    fusion, inputs = build(3)
    together = torch.cat(list(inputs.values()), dim=1)
    expected = sum(
        torch.sigmoid(linear(together, fusion.gate[name]))
        * torch.tanh(linear(inputs[name], getattr(fusion, name)))
        for name in WIDTHS
    )
    torch.testing.assert_close(fusion(inputs, torch.ones(6, 3).bool()), expected)


def test_one_modality_has_no_gate():
    fusion, inputs = build(1)
    assert len(fusion.gate) == 0
    expected = torch.tanh(linear(inputs["text"], fusion.text))
    torch.testing.assert_close(fusion(inputs, torch.ones(6, 1).bool()), expected)


def test_a_missing_modality_by_hand():
    fusion, inputs = build(2)
    h_v = torch.tanh(linear(inputs["text"], fusion.text))
    h_t = torch.tanh(fusion.absent["image"])
    both = torch.cat([inputs["text"], torch.zeros(6, 2).double()], dim=1)
    z = torch.sigmoid(linear(both, fusion.gate["text"]))
    fused = fusion(inputs, torch.tensor([[True, False]] * 6))
    torch.testing.assert_close(fused, z * h_v + (1 - z) * h_t)


@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_gates_explain_the_output(num_modalities):
    fusion, inputs = build(num_modalities)
    observed = torch.rand(6, num_modalities) < 0.7
    gates = fusion.gates(inputs, observed)
    assert gates.shape == (6, num_modalities, 4)
    assert ((gates >= 0) & (gates <= 1)).all()
    layers = torch.stack(
        [
            torch.tanh(
                torch.where(
                    observed[:, column, None],
                    linear(inputs[name], getattr(fusion, name)),
                    fusion.absent[name],
                )
            )
            for column, name in enumerate(fusion.names)
        ],
        dim=1,
    )
    torch.testing.assert_close((gates * layers).sum(1), fusion(inputs, observed))
    if num_modalities < 3:
        torch.testing.assert_close(gates.sum(1), torch.ones(6, 4).double())


def test_order_of_three_modalities_does_not_matter():
    fusion, inputs = build(3)
    turned = GatedFusion(dict(reversed(WIDTHS.items())), 4).double()
    state = fusion.state_dict()
    for name in WIDTHS:  # the gates' columns follow the order of the concatenation
        text, image, table = state[f"gate.{name}.weight"].split([3, 2, 1], dim=1)
        state[f"gate.{name}.weight"] = torch.cat([table, image, text], dim=1)
    turned.load_state_dict(state)
    observed = torch.rand(6, 3) < 0.6
    torch.testing.assert_close(fusion(inputs, observed), turned(inputs, observed.flip(1)))
