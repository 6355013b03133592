from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesfuse.errors import ConfigError
from bayesfuse.inference.losses import LOSSES, Loss

LOGITS = np.array([[-3.0, -0.4, 0.0], [0.7, 2.0, 5.0]])
LABELS = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])


def expected(loss: Loss) -> np.ndarray:
    p, y, eps = 1 / (1 + np.exp(-LOGITS)), LABELS, loss.label_smoothing
    t = y * (1 - eps) + (1 - y) * eps
    if loss.kind == "bce":
        return -t * np.log(p) - (1 - t) * np.log(1 - p)
    if loss.kind == "focal":
        alpha, gamma = loss.focal_alpha, loss.focal_gamma
        there = -alpha * (1 - p) ** gamma * np.log(p)
        return t * there - (1 - t) * (1 - alpha) * p**gamma * np.log(1 - p)
    q = np.maximum(p - 0.05, 0)
    return -t * np.log(p) - (1 - t) * q**4 * np.log(1 - q)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", LOSSES)
def test_equals_the_equation_in_numpy(kind: str, smoothing: float) -> None:
    for alpha, gamma in [(0.25, 2.0), (0.6, 0.5)]:
        loss = Loss(kind, alpha, gamma, smoothing)
        found = loss(torch.tensor(LOGITS), torch.tensor(LABELS)).numpy()
        np.testing.assert_allclose(found, expected(loss), atol=1e-12)


def best(loss: Loss, share: float) -> float:
    """Return the probability with the least expected loss of a label that is there so often."""
    p = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    logits = torch.logit(p)
    there, away = loss(logits, torch.ones(999)), loss(logits, torch.zeros(999))
    return float(p[(share * there + (1 - share) * away).argmin()])


def test_only_a_likelihood_is_least_at_the_probability() -> None:
    assert Loss().is_likelihood
    assert best(Loss(), 0.2) == pytest.approx(0.2, abs=1e-3)
    for loss in (Loss("focal"), Loss("asymmetric"), Loss(label_smoothing=0.1)):
        assert not loss.is_likelihood
        assert abs(best(loss, 0.2) - 0.2) > 0.01
    assert best(Loss(label_smoothing=0.1), 0.2) == pytest.approx(0.2 * 0.9 + 0.8 * 0.1, abs=1e-3)


@pytest.mark.parametrize("kind", LOSSES)
def test_gradients_are_finite_where_a_label_is_sure_and_wrong(kind: str) -> None:
    logits = torch.tensor([[-90.0, 90.0]], requires_grad=True)
    for labels in ([[0.0, 1.0]], [[1.0, 0.0]]):
        (gradient,) = torch.autograd.grad(Loss(kind)(logits, torch.tensor(labels)).sum(), logits)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "focl"}, 'Did you mean "focal"'),
        ({"focal_alpha": 1.0}, "focal_alpha=1.0"),
        ({"focal_gamma": -1.0}, "focal_gamma=-1.0"),
        ({"label_smoothing": 0.5}, "label_smoothing=0.5"),
    ],
)
def test_what_is_no_loss_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Loss(**given)  # type: ignore[arg-type]
