"""Draws of the weights that are prepared once: from the guide, repeatable, of every family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy import stats

from bayesfuse.inference import weight_draws
from bayesfuse.inference.seeding import seeded
from bayesfuse.inference.weight_draws import WeightDraws, sample

MakeFused = Callable[..., Any]


def drawn(law: dist.TorchDistribution, seed: int = 0) -> torch.Tensor:
    with seeded(seed):
        return sample(law)


@pytest.mark.parametrize("block", [64, 2**17])
def test_laplace_draws_have_the_law(
    block: int, failure_rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_draws, "BLOCK", block)
    loc, scale = torch.linspace(-3, 3, 30_001), torch.linspace(0.1, 2, 30_001)
    z = ((drawn(dist.Laplace(loc, scale).to_event(1)) - loc) / scale).numpy()
    assert stats.kstest(z, stats.laplace.cdf).pvalue > failure_rate
    assert stats.kstest(np.abs(z), stats.expon.cdf).pvalue > failure_rate
    assert stats.kstest(1.1 * z, stats.laplace.cdf).pvalue < failure_rate  # and is told apart
    # neighbours have nothing to do with each other, nor blocks
    for lag in (1, 2, 64):
        assert abs(np.corrcoef(z[:-lag], z[lag:])[0, 1]) < 5 / len(z) ** 0.5
        assert abs(np.corrcoef(np.abs(z[:-lag]), np.abs(z[lag:]))[0, 1]) < 5 / len(z) ** 0.5


def test_the_tails_are_finite_and_as_long_as_32_bits_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    law = dist.Laplace(torch.zeros(4), torch.ones(4)).to_event(1)
    words = torch.tensor([0, -1, -(2**31), 2**31 - 1], dtype=torch.int32)
    monkeypatch.setattr(weight_draws, "_signed", lambda *_: words.float())
    value = sample(law)
    assert value.isfinite().all()
    assert value.abs().max() == pytest.approx(np.log(2.0**32), rel=1e-6)


@pytest.mark.parametrize("size", [0, 1, 7, 2**17, 2**17 + 3])
def test_arrays_of_any_size(size: int) -> None:
    law = dist.Laplace(torch.zeros(size), torch.ones(size)).to_event(1)
    first, again, other = drawn(law), drawn(law), drawn(law, 1)
    assert first.shape == (size,)
    assert torch.equal(first, again)
    assert size == 0 or not torch.equal(first, other)


@pytest.mark.parametrize(
    "law",
    [
        dist.Normal(torch.zeros(50), torch.ones(50)).to_event(1),
        dist.Laplace(torch.zeros(50).double(), torch.ones(50).double()).to_event(1),
        dist.Laplace(torch.zeros(5, 10).T, torch.ones(10, 5)).to_event(2),
    ],
    ids=["normal", "float64", "transposed"],
)
def test_other_distributions_draw_themselves(law: dist.TorchDistribution) -> None:
    with seeded(0):
        expected = law.sample()
    torch.testing.assert_close(drawn(law), expected, rtol=0, atol=0)


@pytest.mark.parametrize("guide", ["laplace", "laplace-tied", "normal"])
def test_every_guide_has_the_moments_of_its_own_draws(guide: str, make_fused: MakeFused) -> None:
    made = make_fused(guide=guide, init_scale=0.2)
    draws = WeightDraws(made.lifted, made.guide)
    with seeded(0):
        ours = [draws()["fusion.text.weight"] for _ in range(300)]
        theirs = [made.guide()["fusion.text.weight"].detach() for _ in range(300)]
    a, b = torch.stack(ours), torch.stack(theirs)
    error = (2 * b.var(dim=0) / 300).sqrt()
    assert ((a.mean(dim=0) - b.mean(dim=0)).abs() < 5 * error).all()
    np.testing.assert_allclose(a.std(dim=0), b.std(dim=0), rtol=0.35)
    assert not a.requires_grad


def test_weights_alone_are_drawn_and_as_the_guide_was(make_fused: MakeFused) -> None:
    made = make_fused(prior="horseshoe")
    draws = WeightDraws(made.lifted, made.guide)
    assert list(draws()) == [site.name for site in made.lifted.sites]
    with seeded(0):
        before = draws()
    with torch.no_grad():
        for parameter in made.guide.parameters():
            parameter.mul_(1.5)
    with seeded(0):
        after = WeightDraws(made.lifted, made.guide)()
    assert not torch.equal(before["fusion.text.weight"], after["fusion.text.weight"])
