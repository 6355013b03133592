from __future__ import annotations

import numpy as np
import pytest

from tests.models.fusion.conftest import golden


@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_equals_table_1_in_numpy(num_modalities):
    """A linear layer on the first modality and on a perceptron of each other one."""
    rule = golden("mlp-concat", num_modalities)
    first, *others = rule.a.items()
    expected = first[1]
    for name, a in others:
        expected = expected + np.maximum(a, 0) @ rule.w[f"fused.{name}.weight"].T
    np.testing.assert_allclose(rule.fused, expected, atol=1e-12)


def test_it_is_a_layer_on_the_concatenation():
    rule = golden("mlp-concat", 3)
    perceptrons = [np.maximum(rule.a[name], 0) for name in ("image", "table")]
    joined = np.concatenate([rule.x["text"], *perceptrons], axis=1)
    blocks = ["text.weight", "fused.image.weight", "fused.table.weight"]
    layer = np.concatenate([rule.w[name] for name in blocks], axis=1)
    np.testing.assert_allclose(rule.fused, joined @ layer.T + rule.w["text.bias"], atol=1e-12)
