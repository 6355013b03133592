from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pyro.optim.clipped_adam import ClippedAdam
from torch import nn

from bayesfuse.errors import ConfigError
from bayesfuse.inference.optimisers import DECAYS, Plateau, TwoOptimisers, learning_rate_factor

OPTIONS = {
    "learning_rate": 0.05,
    "classifier_learning_rate": 0.02,
    "weight_decay": 0.1,
    "clip": 1.0,
    "total_steps": 100,
    "warmup_steps": 0,
    "decay": "constant",
}


def parameters(*sizes: int, seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [
        nn.Parameter(torch.randn(size, generator=generator, dtype=torch.float64)) for size in sizes
    ]


def gradients(step: int, *sizes: int) -> list[torch.Tensor]:
    """Gradients of which about a third is beyond the clip."""
    generator = torch.Generator().manual_seed(100 + step)
    return [torch.randn(size, generator=generator, dtype=torch.float64) for size in sizes]


def run(optimiser: object, params: list[nn.Parameter], steps: int = 8) -> None:
    for step in range(steps):
        for parameter, gradient in zip(
            params, gradients(step, *[len(p) for p in params]), strict=True
        ):
            parameter.grad = gradient.clone()
        optimiser.step()  # type: ignore[attr-defined]


def test_the_variational_step_is_that_of_pyros_clipped_adam() -> None:
    ours, theirs, unclipped = (parameters(5, 3) for _ in range(3))
    run(TwoOptimisers(ours, [], **OPTIONS), ours)
    run(ClippedAdam(theirs, lr=0.05, clip_norm=1.0), theirs)
    run(ClippedAdam(unclipped, lr=0.05, clip_norm=100.0), unclipped)
    for a, b, c in zip(ours, theirs, unclipped, strict=True):
        # they add their epsilon of 1e-8 before and after correcting a bias; steps are of 0.05
        torch.testing.assert_close(a, b, rtol=0, atol=3e-7)
        assert not torch.allclose(a, c, rtol=0, atol=1e-3)


def test_scales_may_have_a_learning_rate_of_their_own() -> None:
    ours, same, slow = (parameters(5, 3) for _ in range(3))
    made = TwoOptimisers(ours, [], **OPTIONS, scales=ours[1:], scale_learning_rate=0.01)
    run(made, ours)
    run(TwoOptimisers(same, [], **OPTIONS), same)
    run(TwoOptimisers(slow, [], **OPTIONS | {"learning_rate": 0.01}), slow)
    torch.testing.assert_close(ours, [same[0], slow[1]])
    assert not torch.allclose(same[1], slow[1])
    none = parameters(5, 3)
    run(TwoOptimisers(none, [], **OPTIONS, scales=none[1:]), none)
    torch.testing.assert_close(none, same)


def test_the_classifiers_step_is_adamw_and_not_clipped() -> None:
    ours, theirs = parameters(4), parameters(4)
    run(TwoOptimisers([], ours, **OPTIONS | {"clip": 1e-3}), ours)
    run(torch.optim.AdamW(theirs, lr=0.02, weight_decay=0.1), theirs)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_weight_decay_is_the_classifiers_alone() -> None:
    variational, classifier = parameters(3), parameters(3, seed=1)
    before = [p.detach().clone() for p in (variational[0], classifier[0])]
    optimiser = TwoOptimisers(variational, classifier, **OPTIONS)
    for parameter in (*variational, *classifier):
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    torch.testing.assert_close(variational[0], nn.Parameter(before[0]), rtol=0, atol=0)
    torch.testing.assert_close(classifier[0].detach(), before[1] * (1 - 0.02 * 0.1))


def test_zero_grad_forgets_both() -> None:
    variational, classifier = parameters(2), parameters(2)
    optimiser = TwoOptimisers(variational, classifier, **OPTIONS)
    for parameter in (*variational, *classifier):
        parameter.grad = torch.ones_like(parameter)
    optimiser.zero_grad()
    assert variational[0].grad is None
    assert classifier[0].grad is None


@pytest.mark.parametrize("decay", DECAYS)
def test_both_learning_rates_follow_the_one_curve(decay: str) -> None:
    variational, classifier = parameters(1), parameters(1)
    curve = {"total_steps": 10, "warmup_steps": 3, "decay": decay, "weight_decay": 0.0}
    optimiser = TwoOptimisers(variational, classifier, **OPTIONS | curve)
    for step in range(10):
        factor = learning_rate_factor(step, 10, 3, decay)
        before = [p.item() for p in (*variational, *classifier)]
        for parameter in (*variational, *classifier):
            parameter.grad = torch.ones_like(parameter)
        optimiser.step()
        moved = [b - p.item() for p, b in zip((*variational, *classifier), before, strict=True)]
        # Adam's step is the learning rate itself when the gradient never changes
        assert moved == pytest.approx([0.05 * factor, 0.02 * factor], rel=1e-6)


@given(total=st.integers(1, 500), warmup=st.integers(0, 100), decay=st.sampled_from(sorted(DECAYS)))
def test_the_curve_rises_then_never_rises_again(total: int, warmup: int, decay: str) -> None:
    steps = range(max(total, warmup + 1))
    found = [learning_rate_factor(step, total, warmup, decay) for step in steps]
    assert all(0 <= factor <= 1 for factor in found)
    assert found[:warmup] == pytest.approx([(step + 1) / warmup for step in range(warmup)])
    assert found[warmup] == 1.0
    after = found[warmup:]
    assert after == sorted(after, reverse=True)
    if decay != "cosine":
        assert set(after) == {1.0}


def test_the_cosine_ends_at_nothing() -> None:
    assert learning_rate_factor(50, 100, 0, "cosine") == pytest.approx(0.5)
    assert learning_rate_factor(25, 100, 0, "cosine") == pytest.approx(
        0.5 * (1 + math.cos(math.pi / 4))
    )
    assert learning_rate_factor(100, 100, 0, "cosine") == 0.0
    assert learning_rate_factor(1000, 100, 0, "cosine") == 0.0


def test_a_plateau_makes_both_rates_smaller_and_leaves_the_rise_alone() -> None:
    variational, classifier = parameters(1), parameters(1)
    how = {"warmup_steps": 3, "decay": "plateau", "weight_decay": 0.0}
    optimiser = TwoOptimisers(
        variational, classifier, **OPTIONS | how, plateau=Plateau(0.2, patience=2, min_delta=0.01)
    )

    def moved() -> list[float]:
        before = [p.item() for p in (*variational, *classifier)]
        for parameter in (*variational, *classifier):
            parameter.grad = torch.ones_like(parameter)
        optimiser.step()
        return [b - p.item() for p, b in zip((*variational, *classifier), before, strict=True)]

    rates = [moved() for _ in range(4)]
    assert [rate[0] for rate in rates] == pytest.approx([0.05 / 3, 0.1 / 3, 0.05, 0.05])
    # 0.505 is no improvement by more than 0.01: the third such epoch is one too many
    for score, factor in ((0.5, 1), (0.505, 1), (0.5, 1), (0.4, 0.2), (0.6, 0.2)):
        optimiser.after_epoch(score)
        assert moved() == pytest.approx([0.05 * factor, 0.02 * factor], rel=1e-6)
    for _ in range(3):
        optimiser.after_epoch(0.6)
    assert moved() == pytest.approx([0.05 * 0.04, 0.02 * 0.04], rel=1e-6)


@pytest.mark.parametrize("decay", ["constant", "cosine"])
def test_other_decays_do_not_listen_to_scores(decay: str) -> None:
    ours, theirs = parameters(3), parameters(3)
    told, untold = (TwoOptimisers([], p, **OPTIONS | {"decay": decay}) for p in (ours, theirs))
    for _ in range(9):
        told.after_epoch(0.1)
    run(told, ours)
    run(untold, theirs)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_an_unknown_decay_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r'"cosin".*Did you mean "cosine"'):
        TwoOptimisers([], parameters(1), **OPTIONS | {"decay": "cosin"})
