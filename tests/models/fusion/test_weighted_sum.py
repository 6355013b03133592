from __future__ import annotations

import numpy as np
import pytest

from tests.models.fusion.conftest import golden


@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_equals_the_sum_in_numpy(num_modalities):
    rule = golden("weighted-sum", num_modalities)
    first, *others = rule.a
    expected = rule.a[first] + sum(rule.w[f"gate.{n}"] * rule.a[n] for n in others)
    np.testing.assert_allclose(rule.fused, expected, atol=1e-12)
    assert list(rule.fusion.gate) == others
