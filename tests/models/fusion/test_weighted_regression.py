from __future__ import annotations

import numpy as np
import pytest

from tests.models.fusion.conftest import golden, sigmoid


@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_equals_the_regression_in_numpy(num_modalities):
    rule = golden("fast-ma", num_modalities)
    expected = sum(rule.w[f"gate.{n}"] * sigmoid(a) for n, a in rule.a.items())
    np.testing.assert_allclose(rule.fused, expected, atol=1e-12)
