from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesfuse.models.auxiliary.multi_similarity import MultiSimilarity
from tests.models.auxiliary.conftest import seen_of

OPTIONS = [{}, {"alpha": 2.0, "beta": 50.0}, {"threshold": 0.0, "margin": 0.0}, {"margin": 4.0}]


def expected(h: np.ndarray, y: np.ndarray, weight: float, **options: float) -> float:
    """Equation 5, an item and a pair at a time, with the mining of Wang et al. 2019."""
    alpha, beta = options.get("alpha", 50.0), options.get("beta", 2.0)
    lam, eps = options.get("threshold", 0.5), options.get("margin", 0.1)
    total, count = 0.0, len(h)
    for i in range(count):
        s = [h[i] @ h[k] / np.linalg.norm(h[i]) / np.linalg.norm(h[k]) for k in range(count)]
        alike = [k for k in range(count) if k != i and (y[i] * y[k]).any()]
        unlike = [k for k in range(count) if k != i and not (y[i] * y[k]).any()]
        if not alike or not unlike:
            continue
        hard = [k for k in alike if s[k] < max(s[j] for j in unlike) + eps]
        near = [k for k in unlike if s[k] > min(s[j] for j in alike) - eps]
        total += np.log1p(sum(np.exp(-alpha * (s[k] - lam)) for k in hard)) / alpha
        total += np.log1p(sum(np.exp(beta * (s[k] - lam)) for k in near)) / beta
    return weight * total / count


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equals_equation_5_in_numpy(options: dict[str, float]) -> None:
    seen = seen_of()
    assert seen.labels is not None
    found = MultiSimilarity(0.25, **options)(seen)
    h, y = seen.fused.detach().numpy(), seen.labels.numpy()
    assert found.item() == pytest.approx(expected(h, y, 0.25, **options), rel=1e-9)
    assert found.item() > 0


def test_mining_leaves_easy_pairs_out() -> None:
    h = torch.tensor([[1.0, 0], [0.99, 0.1], [-1, 0], [-0.99, 0.1]])
    labels = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    seen = seen_of()._replace(fused=h, labels=labels)
    assert float(MultiSimilarity(1.0)(seen)) == 0
    assert float(MultiSimilarity(1.0, margin=3.0)(seen)) > 0


def test_a_step_pulls_together_what_is_alike_and_apart_what_is_not() -> None:
    torch.manual_seed(0)
    h = torch.randn(20, 4, requires_grad=True)
    labels = torch.nn.functional.one_hot(torch.arange(20) % 3, 3).float()
    seen = seen_of()
    alike = labels @ labels.T > 0

    def gap() -> float:
        with torch.no_grad():
            unit = torch.nn.functional.normalize(h, dim=1)
            s = unit @ unit.T
            return float(s[alike].mean() - s[~alike].mean())

    steps, before = torch.optim.Adam([h], 0.1), gap()
    for _ in range(50):
        steps.zero_grad()
        MultiSimilarity(1.0)(seen._replace(fused=h, labels=labels)).backward()
        steps.step()
    assert gap() > before + 0.5


@pytest.mark.parametrize("labels", [torch.ones(7, 2), torch.zeros(7, 2)])
def test_a_batch_of_one_kind_has_no_pairs(labels: torch.Tensor) -> None:
    seen = seen_of()._replace(labels=labels)
    loss = MultiSimilarity(1.0)(seen._replace(fused=seen.fused.detach().requires_grad_()))
    assert loss.item() == 0
