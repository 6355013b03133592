"""What fused distributions have in common; see also those of fused_laplace and fused_tied."""

from __future__ import annotations

from typing import NamedTuple

import pyro.distributions as dist
import pytest
import torch
from torch.distributions import kl_divergence

from bayesfuse.inference import fused_laplace, fused_tied
from bayesfuse.inference.fused import FusedDistribution, compile_all, first_line


def make(kind: str, prior_scale: torch.Tensor | None) -> FusedDistribution:
    torch.manual_seed(0)
    loc = torch.randn(3, 4)
    if kind == "tied":
        ends = torch.rand(3) + 0.1, torch.rand(4) + 0.1
        return fused_tied.FusedTiedLaplace(loc, *ends, prior_scale, fused_tied.EAGER)
    free = torch.randn(3, 4)
    return fused_laplace.FusedLaplace(loc, free, prior_scale, fused_laplace.EAGER)


@pytest.mark.parametrize("kind", ["laplace", "tied"])
def test_it_is_the_plain_distribution(kind: str) -> None:
    b = torch.tensor(0.4)
    q = make(kind, b)
    assert (q.batch_shape, q.event_shape) == (torch.Size(), q.loc.shape)
    value = torch.randn(3, 4)
    torch.testing.assert_close(q.log_prob(value), q.plain.log_prob(value))
    torch.testing.assert_close(q.mean, q.plain.mean)
    torch.testing.assert_close(q.variance, q.plain.variance)
    assert q.expand((2,)).batch_shape == (2,)
    assert q.rsample((5,)).shape == (5, 3, 4)
    assert bool(q.support.check(value))


@pytest.mark.parametrize("kind", ["laplace", "tied"])
def test_the_kl_is_its_own_to_its_prior_and_torchs_to_any_other(kind: str) -> None:
    b = torch.tensor(0.4)
    prior = dist.Laplace(torch.zeros(()), b).expand((3, 4)).to_event(2)
    q = make(kind, b)
    plain = kl_divergence(q.plain, prior)
    torch.testing.assert_close(kl_divergence(q, prior), plain)  # before there is a draw
    q.rsample()
    assert kl_divergence(q, prior) is q.kl
    torch.testing.assert_close(q.kl, plain)
    for other in (dist.Laplace(torch.zeros(3, 4), 0.4), dist.Normal(torch.zeros(3, 4), 0.4)):
        found = kl_divergence(q, other.to_event(2))
        torch.testing.assert_close(found, kl_divergence(q.plain, other.to_event(2)))
        assert found is not q.kl
    none = make(kind, None)
    none.rsample()
    assert none.kl is None
    torch.testing.assert_close(kl_divergence(none, prior), plain)


def test_kernels_are_compiled_to_a_tuple_of_their_own_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Two(NamedTuple):
        one: object
        other: object

    asked = []

    def compile_(kernel: object, **options: object) -> tuple[str, object]:
        asked.append(options)
        return "compiled", kernel

    monkeypatch.setattr(torch, "compile", compile_)
    assert compile_all(Two(1, 2)) == Two(("compiled", 1), ("compiled", 2))
    assert asked == [{"dynamic": True, "fullgraph": True}] * 2


def test_the_first_line_of_an_error() -> None:
    assert first_line(OSError("no g++\nand more")) == "OSError: no g++"
    assert first_line(ValueError()) == "ValueError: "
