from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.fusion.conftest import golden, sigmoid, softmax

HIDDEN = 16


def silu(x):
    return x * sigmoid(x)


def expected(rule, heads):
    """Equations 1 to 3 of the report, as far as the last dropout and linear layer."""
    tokens = np.stack(
        [
            rule.linear(f"fused.down.{n}", silu(a) * rule.linear(f"fused.up.{n}", rule.x[n]))
            for n, a in rule.a.items()
        ],
        axis=1,
    )
    packed = tokens @ rule.w["fused.attention.in_proj_weight"].T
    packed = packed + rule.w["fused.attention.in_proj_bias"]
    size = HIDDEN // heads
    heard = []
    for head in range(heads):
        columns = slice(head * size, (head + 1) * size)
        q, k, v = (part[:, :, columns] for part in np.split(packed, 3, axis=2))
        scores = np.einsum("imd,ind->imn", q, k) / np.sqrt(size)
        heard.append(softmax(scores, axis=2) @ v)
    attended = rule.linear("fused.attention.out_proj", np.concatenate(heard, axis=2)) + tokens
    centred = attended - attended.mean(axis=2, keepdims=True)
    normed = centred / np.sqrt(attended.var(axis=2, keepdims=True) + 1e-5)
    together = normed.reshape(len(normed), -1)
    gated = silu(rule.linear("fused.head.gate", together))
    return rule.linear("fused.head.down", gated * rule.linear("fused.head.up", together))


@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_equals_the_report_in_numpy(num_modalities):
    rule = golden("swiglu", num_modalities, HIDDEN)
    assert rule.fusion.fused["attention"].num_heads == 8
    np.testing.assert_allclose(rule.fused, expected(rule, 8), rtol=1e-9, atol=1e-9)


def test_the_oracle_would_notice_other_heads():
    rule = golden("swiglu", 3, HIDDEN)
    assert np.abs(rule.fused - expected(rule, 1)).max() > 1e-3


def test_a_modality_hears_the_others():
    rule = golden("swiglu", 3, HIDDEN)
    tokens = torch.randn(3, 6, HIDDEN).double()
    attention = rule.fusion.fused["attention"]
    changed = tokens.clone()
    changed[2] += 1
    difference = attention(changed, changed, changed)[0] - attention(tokens, tokens, tokens)[0]
    assert (difference[0].abs().amax(1) > 1e-6).all()
