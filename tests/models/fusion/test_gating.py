from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesfuse.models import GatingFusion
from tests.models.fusion.conftest import WIDTHS, golden


@pytest.mark.parametrize("num_modalities", [2, 3])
def test_equals_table_1_in_numpy(num_modalities):
    rule = golden("gating", num_modalities)
    first, *others = rule.a
    move = np.tile(rule.w["fused.bias"], (6, 1))
    for n in others:
        read = np.concatenate([rule.x[n], rule.x[first]], axis=1)
        move = move + np.maximum(rule.linear(f"gate.{n}", read), 0) * rule.a[n]
    lengths = [np.linalg.norm(v, axis=1, keepdims=True) for v in (rule.a[first], move)]
    alpha = np.minimum(0.2 * lengths[0] / lengths[1], 1)
    np.testing.assert_allclose(rule.fused, rule.a[first] + alpha * move, atol=1e-12)


def test_a_small_move_is_made_in_full_and_a_large_one_is_cut():
    fusion = GatingFusion({"text": 3, "year": 1}, 4).double()
    inputs = {"text": torch.randn(6, 3).double(), "year": torch.ones(6, 1).double()}
    observed = torch.ones(6, 2).bool()
    first = fusion.text(inputs["text"])
    with torch.no_grad():
        fusion.gate["year"].weight.zero_()
        fusion.gate["year"].bias.zero_()  # so that the bias alone moves
        fusion.fused["bias"].fill_(1e-3)
        torch.testing.assert_close(fusion(inputs, observed), first + 1e-3)
        fusion.fused["bias"].fill_(1e3)
        moved = (fusion(inputs, observed) - first).norm(dim=1)
    torch.testing.assert_close(moved, 0.2 * first.norm(dim=1))


def test_one_modality_is_not_moved():
    rule = golden("gating", 1)
    assert len(rule.fusion.gate) == len(rule.fusion.fused) == 0
    np.testing.assert_allclose(rule.fused, rule.a["text"], atol=1e-12)


@pytest.mark.parametrize("observed", [(False, False, False), (True, False, False)])
def test_gradients_are_finite_where_nothing_leads_or_nothing_moves(observed):
    fusion = GatingFusion(WIDTHS, 4)
    inputs = {name: 1e4 * torch.randn(5, width) for name, width in WIDTHS.items()}
    fusion(inputs, torch.tensor([observed] * 5)).square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in fusion.parameters() if p.grad is not None)
