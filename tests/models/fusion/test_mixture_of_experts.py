from __future__ import annotations

import numpy as np
import pytest

from tests.models.fusion.conftest import golden, sigmoid, softmax


@pytest.mark.parametrize("num_modalities", [2, 3])
def test_equals_the_mixture_in_numpy(num_modalities):
    rule = golden("moe", num_modalities)
    together = np.concatenate(list(rule.x.values()), axis=1)
    manager = softmax(np.stack([rule.linear(f"gate.{n}", together) for n in rule.x]), axis=0)
    experts = np.stack([sigmoid(a) for a in rule.a.values()])
    np.testing.assert_allclose(rule.fused, (manager * experts).sum(0), atol=1e-12)
    assert ((rule.fused > 0) & (rule.fused < 1)).all()


def test_one_expert_has_no_manager():
    rule = golden("moe", 1)
    assert len(rule.fusion.gate) == 0
    np.testing.assert_allclose(rule.fused, sigmoid(rule.a["text"]), atol=1e-12)
