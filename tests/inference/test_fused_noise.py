"""Fused noise is normal, of the variance that it should have, with the gradient that it should."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.autograd import gradcheck

from bayesfuse.inference import fused_noise as module
from bayesfuse.inference.fused_noise import EAGER, NoiseKernels, add_noise, compiled

COMPILED = pytest.param("compiled", marks=pytest.mark.slow)


@pytest.fixture(autouse=True)
def doubles() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def with_compiler() -> NoiseKernels:
    try:
        return compiled()
    except RuntimeError as error:
        pytest.skip(f"nothing can be compiled here: {error}")


def normal(seed: int, num: int = 200_000) -> Tensor:
    seeds = torch.tensor([seed, seed // 17 + 3], dtype=torch.int32)
    return module.noisy(torch.zeros(num), torch.ones(num), seeds)[0]


@pytest.mark.parametrize("seed", [0, 1, -5, 2**31 - 1])
def test_noise_is_normal(seed: int, failure_rate: float) -> None:
    found = normal(seed)
    assert bool(found.isfinite().all())
    assert stats.kstest(found.numpy(), "norm").pvalue > failure_rate / 4
    assert torch.equal(found, normal(seed))
    # controls: a Laplace of this variance, and a variance that is 3 % too large
    laplace = torch.distributions.Laplace(0.0, 0.5**0.5).sample(found.shape)
    assert stats.kstest(laplace.numpy(), "norm").pvalue < failure_rate / 4
    assert stats.kstest(1.03 * found.numpy(), "norm").pvalue < failure_rate / 4


def test_neighbours_and_seeds_have_nothing_to_do_with_each_other(failure_rate: float) -> None:
    first, second = normal(1), normal(2)
    pairs = [(first[:-lag], first[lag:]) for lag in (1, 2, 4, 64, 1024)] + [
        (first, second),
        (first[:100_000], first[100_000:]),
    ]
    for one, other in pairs:
        for a, b in ((one, other), (one.abs(), other.abs())):
            assert stats.pearsonr(a.numpy(), b.numpy()).pvalue > failure_rate / 14


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compiler's own parts
@pytest.mark.parametrize("kernels", ["torch", "eager", COMPILED])
def test_it_adds_noise_of_the_variance(kernels: str, failure_rate: float) -> None:
    way = {"torch": None, "eager": EAGER}.get(kernels, EAGER)
    way = with_compiler() if kernels == "compiled" else way
    torch.manual_seed(0)
    loc, variance = torch.randn(300, 70), torch.rand(300, 70)
    variance[0] = 0
    variance.requires_grad_()
    found = add_noise(loc, variance, way)
    assert torch.allclose(found[0], loc[0])
    noise = ((found - loc) / variance.sqrt())[1:].detach()
    assert stats.kstest(noise.flatten().numpy(), "norm").pvalue > failure_rate
    weight = torch.randn_like(loc)
    (grad,) = torch.autograd.grad((weight * found).sum(), variance)
    assert not bool(grad[0].any())  # finite where there is no variance
    by_hand = weight[1:] * noise / (2 * variance[1:].detach().sqrt())
    torch.testing.assert_close(grad[1:], by_hand, rtol=1e-6, atol=1e-9)
    assert not torch.equal(add_noise(loc, variance, way), found)
    torch.manual_seed(5)
    once = add_noise(loc, variance, way)
    torch.manual_seed(5)
    assert torch.equal(add_noise(loc, variance, way), once)


def test_gradcheck() -> None:
    seed = torch.tensor([1, 2], dtype=torch.int32)
    leaves = (torch.randn(4, 3).requires_grad_(), torch.rand(4, 3).add(0.1).requires_grad_())
    assert gradcheck(lambda m, v: module._Noise.apply(m, v, seed, EAGER), leaves)


@pytest.mark.slow
def test_compiled_once_for_arrays_of_any_shape() -> None:
    from torch._dynamo.utils import counters

    torch.set_default_dtype(torch.float32)
    compiled.cache_clear()
    torch._dynamo.reset()
    kernels = with_compiler()
    assert compiled() is kernels
    before = counters["stats"]["unique_graphs"]
    for shape in ((100, 100), (60, 200), (9001, 2), (3, 3333)):
        loc, variance = torch.randn(shape), torch.rand(shape).requires_grad_()
        found = {}
        for name, way in (("compiled", kernels), ("eager", EAGER)):
            torch.manual_seed(0)
            said = add_noise(loc, variance, way)
            found[name] = [said, torch.autograd.grad(said.square().sum(), variance)[0]]
        torch.testing.assert_close(found["compiled"], found["eager"], rtol=1e-3, atol=1e-3)
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
