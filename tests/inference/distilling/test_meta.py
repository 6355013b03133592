"""The gradient through one step of the student is that of differences, and finds what helps."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from bayesfuse.inference.distilling.meta import meta_gradient

STEP = 0.3
X, GOOD, BAD = torch.randn(3, 20, 2, generator=torch.Generator().manual_seed(0)).double()


class Two(nn.Module):
    """Weights of two teachers, alike at first."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def forward(self) -> Tensor:
        return torch.sigmoid(self.logits)


def student_loss(weigher: Two, parameters: Mapping[str, Tensor]) -> Tensor:
    said = X @ parameters["w"]
    apart = torch.stack([(said - target).square().mean() for target in (GOOD, BAD)])
    return (weigher() * apart).sum()


def meta_loss(parameters: Mapping[str, Tensor], target: Tensor = GOOD) -> Tensor:
    return (X @ parameters["w"] - target).square().mean()


def test_it_is_the_slope_of_what_one_step_brings() -> None:
    weigher, w = Two(), torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    (found,) = meta_gradient({"w": w}, weigher, lambda p: student_loss(weigher, p), meta_loss, STEP)

    def after(logits: Tensor) -> Tensor:
        weigher.logits.data.copy_(logits)
        (slope,) = torch.autograd.grad(student_loss(weigher, {"w": w}), w)
        return meta_loss({"w": w - STEP * slope}).detach()

    tiny = 1e-5
    for i in range(2):
        move = torch.zeros(2, dtype=torch.float64)
        move[i] = tiny
        by_hand = (after(move) - after(-move)) / (2 * tiny)
        torch.testing.assert_close(found[i], by_hand, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("target", [GOOD, BAD], ids=["first", "second"])
def test_weights_go_to_the_teacher_that_helps(target: Tensor) -> None:
    weigher, w = Two(), torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD(weigher.parameters(), lr=10.0)
    for _ in range(20):
        (weigher.logits.grad,) = meta_gradient(
            {"w": w},
            weigher,
            lambda p: student_loss(weigher, p),
            lambda p: meta_loss(p, target),
            STEP,
        )
        optimiser.step()
        (slope,) = torch.autograd.grad(student_loss(weigher, {"w": w}), w)
        w.data -= STEP * slope
    first, second = weigher().tolist()
    helps, harms = (first, second) if target is GOOD else (second, first)
    assert helps > 0.55 > 0.45 > harms
