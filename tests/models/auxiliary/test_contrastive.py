from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from bayesfuse.models.auxiliary.contrastive import Contrastive
from tests.models.auxiliary.conftest import seen_of


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_equals_infonce_over_pairs_in_numpy(temperature: float) -> None:
    seen = seen_of()
    found = Contrastive(0.5, temperature)(seen)
    observed = seen.observed.numpy()
    a = [v.detach().numpy() for v in seen.activations]
    unit = [v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-9) for v in a]
    expected, pairs = 0.0, list(combinations(range(3), 2))
    for m, n in pairs:
        items = [i for i in range(len(observed)) if observed[i, m] and observed[i, n]]
        for i in items:
            for one, other in ((m, n), (n, m)):
                scores = np.array([unit[one][i] @ unit[other][j] for j in items]) / temperature
                own = unit[one][i] @ unit[other][i] / temperature
                expected -= (own - np.log(np.exp(scores).sum())) / (2 * len(items))
    assert found.item() == pytest.approx(0.5 * expected / len(pairs), rel=1e-9)


def test_a_pair_that_no_two_items_have_counts_for_nothing() -> None:
    seen = seen_of()
    observed = torch.zeros_like(seen.observed)
    observed[0] = True
    assert Contrastive(1.0)(seen._replace(observed=observed)).item() == 0


def test_a_few_steps_tell_which_image_is_of_which_text() -> None:
    """And the control: of modalities that have nothing to do with each other, they cannot."""
    found = []
    for common in (True, False):
        torch.manual_seed(0)
        fusion = seen_of(hidden=6).fusion.float()
        hidden = torch.randn(240, 2)
        values = {
            "text": torch.cat([hidden, torch.randn(240, 1)], 1),
            "image": hidden if common else torch.randn(240, 2),
            "year": torch.randn(240, 1),
        }
        observed = torch.ones(240, 3, dtype=torch.bool)
        observed[:, 2] = False

        def loss(rows: slice, fusion=fusion, values=values, observed=observed) -> torch.Tensor:
            inputs = {name: value[rows] for name, value in values.items()}
            read = fusion.activate(inputs, observed[rows])
            seen = seen_of()._replace(fusion=fusion, observed=observed[rows])
            seen = seen._replace(values=read[0], activations=read[1], fused=read[1][0])
            return Contrastive(3.0, 0.3)(seen)

        steps = torch.optim.Adam(fusion.parameters(), 0.03)
        for _ in range(80):
            steps.zero_grad()
            loss(slice(0, 120)).backward()
            steps.step()
        found.append(float(loss(slice(120, 240)).detach()))
    assert found[0] < 0.8 * np.log(120)
    assert found[1] > 0.95 * np.log(120)
