from __future__ import annotations

import numpy as np
import pytest

from tests.models.fusion.conftest import golden


@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_equals_the_central_sums_in_numpy(num_modalities):
    rule = golden("centralnet", num_modalities)
    alpha, beta = rule.w["gate.0"], rule.w["gate.1"]
    first = {n: np.tanh(a) for n, a in rule.a.items()}
    second = {n: np.tanh(rule.linear(f"fused.streams.{n}", h)) for n, h in first.items()}
    joined = sum(weight * h for weight, h in zip(alpha, first.values(), strict=True))
    central = np.tanh(rule.linear("fused.central.0", joined))
    joined = sum(weight * h for weight, h in zip(beta, [central, *second.values()], strict=True))
    expected = np.tanh(rule.linear("fused.central.1", joined))
    np.testing.assert_allclose(rule.fused, expected, atol=1e-12)
