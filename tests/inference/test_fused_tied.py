"""The fused KL of tied scales is torch's, and so are its gradients; draws are Laplace's."""

from __future__ import annotations

from collections.abc import Iterator

import pyro.distributions as dist
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.autograd import gradcheck
from torch.distributions import kl_divergence

from bayesfuse.inference import fused_tied as module
from bayesfuse.inference.fused_tied import EAGER, FusedTiedLaplace, TiedKernels, compiled

COMPILED = pytest.param("compiled", marks=pytest.mark.slow)


@pytest.fixture(autouse=True)
def doubles() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def with_compiler() -> TiedKernels:
    try:
        return compiled()
    except RuntimeError as error:
        pytest.skip(f"nothing can be compiled here: {error}")


def ends(num_rows: int, num_columns: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    loc = torch.randn(num_rows, num_columns).mul(0.2).requires_grad_()
    rows = torch.rand(num_rows).add(0.1).requires_grad_()
    columns = torch.rand(num_columns).add(0.1).requires_grad_()
    return loc, rows, columns


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compiler's own parts
@pytest.mark.parametrize("kernels", ["eager", COMPILED])
@pytest.mark.parametrize("drawn", [True, False], ids=["drawn", "mean"])
@pytest.mark.parametrize("part", [1 << 19, 310, 1])  # of 1,550 elements
def test_gradients_are_those_of_torch(
    kernels: str, drawn: bool, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PART", part)
    loc, rows, columns = ends(50, 31)
    b = torch.tensor(0.3)
    q = FusedTiedLaplace(loc, rows, columns, b, EAGER if kernels == "eager" else with_compiler())
    prior = dist.Laplace(torch.zeros(()), b).expand(loc.shape).to_event(2)
    value = q.rsample() if drawn else q.mean
    scale = rows[:, None] * columns
    expected = kl_divergence(dist.Laplace(loc, scale).to_event(2), prior)
    assert kl_divergence(q, prior) is q.kl
    assert q.kl is not None
    torch.testing.assert_close(q.kl, expected, rtol=1e-10, atol=0)
    noise = ((value - loc) / scale).detach()  # the noise that was drawn, as a constant
    weight = torch.randn_like(loc)
    by_hand = (weight * (loc + scale * noise)).sum() + 0.7 * expected
    leaves = [loc, rows, columns]
    ours = torch.autograd.grad((weight * value).sum() + 0.7 * q.kl, leaves)
    theirs = torch.autograd.grad(by_hand, leaves)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_gradcheck() -> None:
    b = torch.tensor(0.4)
    assert gradcheck(lambda *a: module._Divergence.apply(*a, b, EAGER), ends(3, 2))


def test_draws_are_laplace(failure_rate: float) -> None:
    loc, rows, columns = ends(200, 300)
    q = FusedTiedLaplace(loc, rows, columns, torch.tensor(0.3), EAGER)
    noise = ((q.rsample() - loc) / (rows[:, None] * columns)).detach().flatten()
    assert stats.kstest(noise.numpy(), "laplace").pvalue > failure_rate
    assert stats.kstest(1.1 * noise.numpy(), "laplace").pvalue < failure_rate
    assert not torch.equal(q.rsample(), q.rsample())


def test_an_array_of_more_dimensions_counts_as_a_matrix_of_its_last() -> None:
    loc, rows, columns = ends(6, 5)
    b = torch.tensor(0.3)
    flat = FusedTiedLaplace(loc, rows, columns, b, EAGER)
    deep = FusedTiedLaplace(loc.reshape(2, 3, 5), rows, columns, b, EAGER)
    assert deep.mean.shape == (2, 3, 5)
    torch.testing.assert_close(deep.mean.flatten(0, 1), flat.mean)
    torch.testing.assert_close(deep.kl, flat.kl)
    torch.testing.assert_close(deep.variance.flatten(0, 1), flat.variance)


def test_the_mean_is_made_once() -> None:
    q = FusedTiedLaplace(*ends(4, 3), torch.tensor(0.3), EAGER)
    assert q.mean is q.mean
    learned = FusedTiedLaplace(*ends(4, 3), None, EAGER)
    assert learned.mean is learned.loc


@pytest.mark.slow
def test_compiled_once_for_matrices_of_any_shape() -> None:
    from torch._dynamo.utils import counters

    torch.set_default_dtype(torch.float32)
    compiled.cache_clear()
    torch._dynamo.reset()
    kernels = with_compiler()
    assert compiled() is kernels
    before = counters["stats"]["unique_graphs"]
    b = torch.tensor(0.3)
    for shape in ((100, 100), (60, 200), (9001, 2), (3, 3333), (1100, 1000), (7, 200_000)):
        leaves = ends(*shape)
        found = {}
        for name, way in (("compiled", kernels), ("eager", EAGER)):
            q = FusedTiedLaplace(*leaves, b, way)
            loss = q.mean.square().sum()
            assert q.kl is not None
            found[name] = [q.kl, *torch.autograd.grad(loss + 0.1 * q.kl, leaves)]
        torch.testing.assert_close(found["compiled"], found["eager"], rtol=1e-4, atol=1e-3)
        with torch.no_grad():
            _ = FusedTiedLaplace(*leaves, b, kernels).mean
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
