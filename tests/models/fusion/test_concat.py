from __future__ import annotations

import torch
from torch import nn

from bayesfuse.models import ConcatFusion


def test_equals_a_dense_layer_on_the_concatenation():
    fusion = ConcatFusion({"text": 3, "image": 2}, 4).double()
    text, image = torch.randn(5, 3).double(), torch.randn(5, 2).double()
    dense = nn.Linear(5, 4).double()
    with torch.no_grad():
        dense.weight.copy_(torch.cat([fusion.text.weight, fusion.image.weight], dim=1))
        dense.bias.copy_(fusion.text.bias + fusion.image.bias)
    fused = fusion({"text": text, "image": image}, torch.ones(5, 2).bool())
    torch.testing.assert_close(fused, torch.tanh(dense(torch.cat([text, image], dim=1))))


def test_a_missing_modality_leaves_the_other_and_its_stand_in():
    fusion = ConcatFusion({"text": 3, "image": 2}, 4).double()
    nn.init.normal_(fusion.absent["image"])
    text = torch.randn(5, 3).double()
    inputs = {"text": text, "image": torch.randn(5, 2).double()}
    fused = fusion(inputs, torch.tensor([[True, False]] * 5))
    expected = text @ fusion.text.weight.T + fusion.text.bias + fusion.absent["image"]
    torch.testing.assert_close(fused, torch.tanh(expected))


def test_order_of_modalities_does_not_matter():
    widths = {"text": 3, "image": 2, "table": 1}
    fusion = ConcatFusion(widths, 4).double()
    turned = ConcatFusion(dict(reversed(widths.items())), 4).double()
    turned.load_state_dict(fusion.state_dict())
    inputs = {name: torch.randn(6, width).double() for name, width in widths.items()}
    observed = torch.rand(6, 3) < 0.6
    torch.testing.assert_close(fusion(inputs, observed), turned(inputs, observed.flip(1)))
