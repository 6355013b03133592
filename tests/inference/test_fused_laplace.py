"""Fused draws are Laplace draws, their KL is the KL, and both have the gradients they should."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.autograd import gradcheck
from torch.distributions import kl_divergence
from torch.nn.functional import softplus

from bayesfuse.inference import fused_laplace as module
from bayesfuse.inference.fused_laplace import EAGER, FusedLaplace, Kernels, compiled, draw

NUM = 20_000


@pytest.fixture(autouse=True)
def doubles() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make(num: int = NUM, kernels: Kernels = EAGER) -> tuple[FusedLaplace, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    loc = torch.randn(num // 4, 4).mul(0.2).requires_grad_()
    free = torch.randn(num // 4, 4).sub(2).requires_grad_()
    b = torch.tensor(0.3)
    return FusedLaplace(loc, free, b, kernels), loc, free, b


def with_compiler() -> Kernels:
    try:
        return compiled()
    except RuntimeError as error:
        pytest.skip(f"nothing can be compiled here: {error}")


def noise(seed: int, num: int = 200_000) -> Tensor:
    """Return noise of scale 1."""
    seeds = torch.tensor([seed, seed // 17 + 3], dtype=torch.int32)
    free = torch.full((num,), math.log(math.e - 1))
    return draw(torch.zeros(num), free, seeds, torch.ones(()))[0]


# ---- the noise ----


@pytest.mark.parametrize("seed", [0, 1, -5, 2**31 - 1])
def test_noise_is_laplace(seed: int, failure_rate: float) -> None:
    found = noise(seed)
    assert stats.kstest(found.numpy(), "laplace").pvalue > failure_rate / 4
    again = noise(seed)
    assert torch.equal(found, again)


def test_the_control_normal_noise_is_not(failure_rate: float) -> None:
    normal = torch.randn(200_000, generator=torch.Generator().manual_seed(0)) * math.sqrt(2)
    assert stats.kstest(normal.numpy(), "laplace").pvalue < failure_rate / 4


def test_neighbours_and_seeds_have_nothing_to_do_with_each_other(failure_rate: float) -> None:
    first, second = noise(1).sign(), noise(2).sign()
    num = len(first)
    pairs = [(first[:-lag], first[lag:]) for lag in (1, 2, 4, 64, 1024)] + [(first, second)]
    for one, other in pairs:
        agree = int((one == other).sum())
        assert stats.binomtest(agree, len(one)).pvalue > failure_rate / 6
    # control: a counter that is not mixed
    bare = (torch.arange(num, dtype=torch.int32) * -1640531527).sign()
    assert stats.binomtest(int((bare[1:] == bare[:-1]).sum()), num - 1).pvalue < failure_rate / 6


def test_the_largest_and_the_smallest_uniform_stay_inside() -> None:
    bits = torch.tensor([-(2**31), 2**31 - 1, 0, -1], dtype=torch.int32)
    uniform = module._between(bits, torch.float32)
    assert bool((uniform.abs() < 1).all())
    assert bool((uniform != 0).all())


def test_the_seed_is_torchs() -> None:
    found, *_ = make()
    torch.manual_seed(3)
    first, second = found.rsample(), found.rsample()
    torch.manual_seed(3)
    assert torch.equal(found.rsample(), first)
    assert not torch.equal(first, second)


# ---- the KL and the gradients, against torch ----


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compiler's own parts
@pytest.mark.parametrize("kernels", ["eager", "compiled"])
def test_gradients_are_those_of_torch(kernels: str) -> None:
    found, loc, free, b = make(kernels=EAGER if kernels == "eager" else with_compiler())
    weight = torch.randn_like(loc)
    value = found.rsample()
    plain = dist.Laplace(loc, softplus(free))
    prior = dist.Laplace(torch.zeros(()), b).expand(loc.shape).to_event(2)
    kl = kl_divergence(found, prior)
    expected = kl_divergence(plain.to_event(2), prior)
    assert kl is found.kl
    torch.testing.assert_close(kl, expected, rtol=1e-10, atol=0)
    # the noise that was drawn, as a constant
    epsilon = ((value - loc) / softplus(free)).detach()
    by_hand = (weight * (loc + softplus(free) * epsilon)).sum() + 0.7 * expected
    ours = torch.autograd.grad((weight * value).sum() + 0.7 * kl, [loc, free])
    theirs = torch.autograd.grad(by_hand, [loc, free])
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_gradcheck() -> None:
    loc, free = (
        torch.tensor([0.3, -0.1]).requires_grad_(),
        torch.tensor([-1.0, 0.5]).requires_grad_(),
    )
    seed, b = torch.tensor([1, 2], dtype=torch.int32), torch.tensor(0.4)
    assert gradcheck(lambda m, r: module._Draw.apply(m, r, seed, b, EAGER), (loc, free))


def test_another_prior_gets_torchs_kl() -> None:
    found, loc, free, _ = make()
    found.rsample()
    for prior in (
        dist.Laplace(torch.zeros(()), torch.tensor(0.3)).expand(loc.shape).to_event(2),
        dist.Normal(torch.zeros(()), torch.tensor(0.3)).expand(loc.shape).to_event(2),
    ):
        expected = kl_divergence(dist.Laplace(loc, softplus(free)).to_event(2), prior)
        torch.testing.assert_close(kl_divergence(found, prior), expected)
        assert kl_divergence(found, prior) is not found.kl


def test_densities_and_shapes_are_those_of_the_plain_distribution() -> None:
    found, loc, free, _ = make(40)
    plain = dist.Laplace(loc, softplus(free)).to_event(2)
    value = found.rsample()
    torch.testing.assert_close(found.log_prob(value), plain.log_prob(value))
    assert (found.batch_shape, found.event_shape) == (torch.Size(), loc.shape)
    assert found.rsample((3,)).shape == (3, *loc.shape)
    assert found.expand((2,)).batch_shape == (2,)
    with pyro.validation_enabled(True):
        pyro.poutine.trace(lambda: pyro.sample("w", found)).get_trace().compute_log_prob()


# ---- compiling ----


def test_compiled_once_for_arrays_of_any_length() -> None:
    from torch._dynamo.utils import counters

    torch.set_default_dtype(torch.float32)
    compiled.cache_clear()
    torch._dynamo.reset()
    kernels = with_compiler()
    assert compiled() is kernels
    before = counters["stats"]["unique_graphs"]
    b = torch.tensor(0.3)
    for shape in ((100, 100), (60, 200), (9001,), (3, 3333)):
        loc = torch.randn(shape).requires_grad_()
        free = torch.randn(shape).requires_grad_()
        found = {}
        for name, way in (("compiled", kernels), ("eager", EAGER)):
            torch.manual_seed(0)
            q = FusedLaplace(loc, free, b, way)
            value = q.rsample()
            assert q.kl is not None
            loss = value.square().sum() + 0.1 * q.kl
            found[name] = [value, q.kl, *torch.autograd.grad(loss, [loc, free])]
        torch.testing.assert_close(found["compiled"], found["eager"], rtol=1e-4, atol=1e-3)
        with torch.no_grad():
            q.rsample()
    assert counters["stats"]["unique_graphs"] == before


def test_no_compiler_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no g++ here\nand much more")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: refuse)
    compiled.cache_clear()
    try:
        with pytest.raises(RuntimeError, match=r"^OSError: no g\+\+ here$"):
            compiled()
    finally:
        compiled.cache_clear()
