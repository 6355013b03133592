"""MulT-Concat against a few lines of numpy, one item after the other."""

from __future__ import annotations

import numpy as np
import torch

from bayesfuse.models import FUSIONS
from tests.models.fusion.mult_numpy import last_elements, linear
from tests.models.fusion.test_cross_modal import LENGTHS, WIDTHS, build, items


def expected(layers: int, swap: bool = False) -> tuple[np.ndarray, np.ndarray]:
    fusion = build("mult-concat", layers=layers)
    w = {name: value.detach().numpy() for name, value in fusion.named_parameters()}
    inputs, observed = items()
    rows = []
    for item in range(5):
        steps = {n: inputs[n][item, : lengths[item]].numpy() for n, lengths in LENGTHS.items()}
        last = last_elements(w, steps, layers)
        if swap:
            last = dict(zip(last, reversed(last.values()), strict=True))
        total = linear(w, "year", inputs["year"][[item]].numpy())
        for name, z in last.items():
            total = total + linear(w, f"fused.late.{name}", z[None])
        rows.append(np.tanh(total[0]))
    return np.stack(rows), fusion(inputs, observed).detach().numpy()


def test_equals_the_paper_in_numpy():
    for layers in (1, 3):
        oracle, found = expected(layers)
        np.testing.assert_allclose(found, oracle, rtol=1e-9, atol=1e-9)


def test_the_oracle_would_notice_sequences_that_are_exchanged():
    oracle, found = expected(2, swap=True)
    assert np.abs(found - oracle).max() > 1e-3


def test_without_sequences_it_is_a_layer_on_the_concatenation():
    torch.manual_seed(0)
    ours, plain = FUSIONS["mult-concat"](WIDTHS, 4), FUSIONS["concat"](WIDTHS, 4)
    plain.load_state_dict(ours.state_dict())
    inputs = {name: torch.randn(5, width) for name, width in WIDTHS.items()}
    observed = torch.rand(5, 3) < 0.7
    torch.testing.assert_close(ours(inputs, observed), plain(inputs, observed))
