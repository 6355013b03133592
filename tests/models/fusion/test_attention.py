from __future__ import annotations

import numpy as np
import pytest

from tests.models.fusion.conftest import golden, softmax


@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_equals_table_1_in_numpy(num_modalities):
    rule = golden("attention", num_modalities)
    first = next(iter(rule.a.values()))
    vector = np.concatenate([rule.w["gate.query"], rule.w["gate.key"]])
    scores = [np.concatenate([first, a], axis=1) @ vector for a in rule.a.values()]
    leaky = np.stack([np.where(s > 0, s, 0.2 * s) for s in scores])
    assert num_modalities == 1 or (leaky < 0).any()
    expected = (softmax(leaky, axis=0)[:, :, None] * np.stack(list(rule.a.values()))).sum(0)
    np.testing.assert_allclose(rule.fused, expected, atol=1e-12)
