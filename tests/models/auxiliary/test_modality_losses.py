from __future__ import annotations

import numpy as np
import pytest

from tests.models.auxiliary.conftest import LABELS, WIDTHS, seen_of


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_equals_the_sum_of_cross_entropies_in_numpy(weight: float) -> None:
    seen = seen_of("centralnet")
    own = seen.fusion.own_loss(LABELS, weight)
    assert own is not None
    own = own.double()
    w = {n: p.detach().numpy() for n, p in own.named_parameters()}
    u = {n: p.detach().numpy() for n, p in seen.fusion.named_parameters()}
    assert seen.labels is not None
    y, expected = seen.labels.numpy(), 0.0
    for name, a in zip(WIDTHS, seen.activations, strict=True):
        part = f"fused.streams.{name}"
        h = np.tanh(np.tanh(a.detach().numpy()) @ u[f"{part}.weight"].T + u[f"{part}.bias"])
        logits = h @ w[f"classifier.{name}.weight"].T + w[f"classifier.{name}.bias"]
        p = 1 / (1 + np.exp(-logits))
        expected -= weight * np.log(np.where(y == 1, p, 1 - p)).sum() / len(y)
    assert own(seen).item() == pytest.approx(expected, rel=1e-9)


def test_most_rules_have_none() -> None:
    assert seen_of("gmu").fusion.own_loss(LABELS, 1.0) is None
