from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesfuse.models import ConcatFusion
from tests.models.fusion.conftest import WIDTHS, golden


@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_equals_the_sum_in_numpy(num_modalities):
    rule = golden("linear-sum", num_modalities)
    np.testing.assert_allclose(rule.fused, sum(rule.a.values()), atol=1e-12)


def test_its_tanh_is_the_concatenation():
    rule = golden("linear-sum", 3)
    other = ConcatFusion(WIDTHS, 4).double()
    other.load_state_dict(rule.fusion.state_dict())
    inputs = {name: torch.as_tensor(value) for name, value in rule.x.items()}
    observed = torch.ones(6, 3).bool()
    torch.testing.assert_close(other(inputs, observed), torch.tanh(rule.fusion(inputs, observed)))
