from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesfuse.models import FUSIONS
from tests.models.fusion.conftest import golden


@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_equals_table_1_in_numpy(num_modalities):
    """A linear layer on the first modality and on one perceptron of the others side by side."""
    rule = golden("concat-mlp", num_modalities)
    first, *others = rule.a.values()
    expected = first
    if others:
        between = np.maximum(sum(others), 0)
        expected = first + between @ rule.w["fused.others.weight"].T
    np.testing.assert_allclose(rule.fused, expected, atol=1e-12)


def test_the_perceptron_reads_the_concatenation():
    rule = golden("concat-mlp", 3)
    here = [0, 2, 3, 4, 5]  # item 1 lacks the table
    joined = np.concatenate([rule.x["image"], rule.x["table"]], axis=1)[here]
    layer = np.concatenate([rule.w["image.weight"], rule.w["table.weight"]], axis=1)
    between = np.maximum(joined @ layer.T + rule.w["image.bias"] + rule.w["table.bias"], 0)
    expected = rule.a["text"][here] + between @ rule.w["fused.others.weight"].T
    np.testing.assert_allclose(rule.fused[here], expected, atol=1e-12)


def test_of_two_modalities_it_is_mlp_concat():
    one, two = (FUSIONS[name]({"text": 3, "year": 1}, 4) for name in ("concat-mlp", "mlp-concat"))
    weights = {n.replace("others", "year"): v for n, v in one.state_dict().items()}
    two.load_state_dict(weights)
    inputs = {"text": torch.randn(5, 3), "year": torch.randn(5, 1)}
    observed = torch.ones(5, 2, dtype=torch.bool)
    torch.testing.assert_close(one(inputs, observed), two(inputs, observed))
