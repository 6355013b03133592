from __future__ import annotations

import pytest
import torch

from bayesfuse.models.fusion.gated_unit import every_gate, gate_layers, gated_sum, gates_of

NAMES = ("text", "image", "year")


@pytest.mark.parametrize(("count", "layers"), [(1, []), (2, ["text"]), (3, list(NAMES))])
def test_two_share_a_gate_and_one_has_none(count: int, layers: list[str]) -> None:
    made = gate_layers(NAMES[:count], 5, 4)
    assert list(made) == layers
    gates = gates_of(made, torch.randn(6, 5), count, 4)
    every = every_gate(gates, count)
    assert every.shape == (6, count, 4)
    if count < 3:
        torch.testing.assert_close(every.sum(dim=1), torch.ones(6, 4))
    said = [torch.randn(6, 4) for _ in range(count)]
    expected = (every * torch.stack(said, dim=1)).sum(dim=1)
    torch.testing.assert_close(gated_sum(gates, said), expected)
