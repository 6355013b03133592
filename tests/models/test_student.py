from __future__ import annotations

import pytest
import torch

from bayesfuse.errors import ConfigError
from bayesfuse.models.student import StudentNetwork

WIDTHS = {"text": 3, "image": 2}


def test_two_heads_read_one_fused_vector() -> None:
    torch.manual_seed(0)
    student = StudentNetwork(WIDTHS, 4, hidden=8, classifier_hidden=6).eval()
    inputs = {name: torch.randn(5, width) for name, width in WIDTHS.items()}
    observed = torch.tensor([[True, True]] * 4 + [[True, False]])
    said = student(inputs, observed)
    both = student.network(inputs, observed)
    torch.testing.assert_close(torch.cat([said.logits, said.share_logits], 1), both)
    torch.testing.assert_close(student.network.classifier(said.fused), both)
    assert said.fused.shape == (5, student.fused_features)
    # what was not observed changes nothing
    inputs["image"][4] = 7.0
    torch.testing.assert_close(student(inputs, observed).logits[4], said.logits[4])


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match='Did you mean "gmu"'):
        StudentNetwork(WIDTHS, 4, fusion="gmx")
