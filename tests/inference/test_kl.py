from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from torch import Tensor
from torch.distributions import kl_divergence

from bayesfuse.inference.kl import expected_abs_normal
from bayesfuse.inference.low_rank import LowRankNormal

FAMILIES = {"normal": dist.Normal, "laplace": dist.Laplace}
PAIRS = [("normal", "laplace"), ("laplace", "laplace"), ("normal", "normal")]

locs = st.floats(-5, 5)
scales = st.floats(-3, 2).map(lambda power: 10.0**power)


def log_density(family: str, w: float, loc: float, scale: float) -> float:
    z = (w - loc) / scale
    if family == "normal":
        return -0.5 * z * z - math.log(scale) - 0.5 * math.log(2 * math.pi)
    return -abs(z) - math.log(2 * scale)


def integrated_kl(q: str, p: str, loc: float, scale: float, p_scale: float) -> float:
    """KL by quadrature over z = (w - loc) / scale, split where a density has a kink."""

    def integrand(z: float) -> float:
        log_q = log_density(q, z, 0.0, 1.0)
        ratio = log_q - math.log(scale) - log_density(p, loc + scale * z, 0.0, p_scale)
        return math.exp(log_q) * ratio

    reach = 12.0 if q == "normal" else 60.0
    # the nodes go where the mass of q is; beyond `reach` there is less of it than rounding
    cuts = {-reach, -3.0, 0.0, 3.0, reach}
    cuts |= {z for z in (-loc / scale,) if abs(z) < reach}
    edges = sorted(cuts)
    parts = (
        integrate.quad(integrand, a, b, epsabs=1e-11, epsrel=1e-11)[0]
        for a, b in itertools.pairwise(edges)
    )
    return math.fsum(parts)


def closed_kl(q: str, p: str, loc: float, scale: float, p_scale: float) -> float:
    m, s, b = (torch.tensor(x, dtype=torch.float64) for x in (loc, scale, p_scale))
    return float(kl_divergence(FAMILIES[q](m, s), FAMILIES[p](torch.zeros_like(b), b)))


@pytest.mark.parametrize(("q", "p"), PAIRS)
@given(loc=locs, scale=scales, p_scale=scales)
def test_closed_forms_are_the_integral(
    q: str, p: str, loc: float, scale: float, p_scale: float
) -> None:
    closed = closed_kl(q, p, loc, scale, p_scale)
    assert closed == pytest.approx(integrated_kl(q, p, loc, scale, p_scale), rel=1e-7, abs=1e-8)
    assert closed >= -1e-12


def folded(loc: float, scale: float) -> float:
    root = scale * math.sqrt(2)
    return scale * math.sqrt(2 / math.pi) * math.exp(-((loc / root) ** 2)) + loc * math.erf(
        loc / root
    )


BROKEN: dict[str, Callable[[float, float, float], float]] = {
    "sign of the entropy": lambda m, s, b: (
        math.log(2 * b) + 0.5 * math.log(2 * math.pi * math.e * s * s) + folded(m, s) / b
    ),
    "no log 2": lambda m, s, b: (
        math.log(b) - 0.5 * math.log(2 * math.pi * math.e * s * s) + folded(m, s) / b
    ),
    "|m| for E|w|": lambda m, s, b: (
        math.log(2 * b) - 0.5 * math.log(2 * math.pi * math.e * s * s) + abs(m) / b
    ),
    "no error function": lambda m, s, b: (
        math.log(2 * b) - 0.5 * math.log(2 * math.pi * math.e * s * s) + (folded(0, s) + m) / b
    ),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_wrong_form_does_not_pass_for_the_integral(mistake: str) -> None:
    loc, scale, p_scale = -0.3, 0.2, 0.7
    true = integrated_kl("normal", "laplace", loc, scale, p_scale)
    assert closed_kl("normal", "laplace", loc, scale, p_scale) == pytest.approx(true, rel=1e-7)
    assert BROKEN[mistake](loc, scale, p_scale) != pytest.approx(true, rel=1e-2)


@given(loc=locs, scale=scales, p_scale=scales)
def test_a_normal_never_is_a_laplace(loc: float, scale: float, p_scale: float) -> None:
    # the smallest divergence there is: loc 0 and scale b sqrt(pi / 2)
    least = math.log(2) - 0.5 * math.log(2 * math.pi * math.e * math.pi / 2) + 1
    assert closed_kl("normal", "laplace", loc, scale, p_scale) >= least - 1e-12
    at_best = closed_kl("normal", "laplace", 0.0, p_scale * math.sqrt(math.pi / 2), p_scale)
    assert at_best == pytest.approx(least, abs=1e-12)


@pytest.mark.parametrize("family", ["laplace", "normal"])
@given(scale=scales, factor=st.floats(1.01, 10), shift=st.floats(0.01, 3))
def test_zero_at_equality_and_only_there(
    family: str, scale: float, factor: float, shift: float
) -> None:
    assert closed_kl(family, family, 0.0, scale, scale) == pytest.approx(0, abs=1e-12)
    assert closed_kl(family, family, 0.0, scale * factor, scale) > 1e-6
    assert closed_kl(family, family, 0.0, scale, scale * factor) > 1e-6
    assert closed_kl(family, family, shift * scale, scale, scale) > 1e-6


@pytest.mark.parametrize(("q", "p"), PAIRS)
def test_float32_is_stable_at_extreme_ratios(q: str, p: str) -> None:
    powers = 10.0 ** torch.arange(-6, 7, 2, dtype=torch.float64)
    m, s, b = (x.flatten() for x in torch.meshgrid(powers, powers, powers, indexing="ij"))
    exact = kl_divergence(FAMILIES[q](m, s), FAMILIES[p](torch.zeros_like(b), b))
    m32, s32, b32 = (x.float().requires_grad_() for x in (m, s, b))
    rough = kl_divergence(FAMILIES[q](m32, s32), FAMILIES[p](torch.zeros_like(b32), b32))
    torch.testing.assert_close(rough.double(), exact, rtol=1e-5, atol=1e-5)
    for gradient in torch.autograd.grad(rough.sum(), (m32, s32, b32)):
        assert gradient.isfinite().all()


@given(loc=locs, scale=scales)
def test_expected_absolute_value_against_the_integral(loc: float, scale: float) -> None:
    m, s = torch.tensor(loc, dtype=torch.float64), torch.tensor(scale, dtype=torch.float64)

    def integrand(z: float) -> float:
        return abs(loc + scale * z) * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)

    edges = sorted({-12.0, 0.0, 12.0} | {z for z in (-loc / scale,) if abs(z) < 12})
    true = math.fsum(
        integrate.quad(integrand, a, b, epsabs=1e-12)[0] for a, b in itertools.pairwise(edges)
    )
    assert float(expected_abs_normal(m, s)) == pytest.approx(true, rel=1e-8)


# ---- the low-rank normal ----


def low_rank(*shape: int, rank: int = 2, seed: int = 0, factor: float = 0.5) -> LowRankNormal:
    generator = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    scale = 0.3 * (0.3 * normal(*shape)).exp()
    return LowRankNormal(0.5 * normal(*shape), factor * normal(*shape, rank), scale)


def independent(family: str, shape: tuple[int, ...], scale: float = 0.6) -> dist.Independent:
    zero = torch.zeros(shape, dtype=torch.float64)
    return FAMILIES[family](zero, zero + scale).to_event(len(shape))


@pytest.mark.parametrize("family", FAMILIES)
def test_low_rank_in_two_dimensions_is_the_integral(family: str) -> None:
    q, p = low_rank(2), independent(family, (2,))
    axes = []
    for loc, scale in zip(q.loc.tolist(), q.marginal_scale.tolist(), strict=True):
        axes.append(torch.linspace(loc - 9 * scale, loc + 9 * scale, 1601, dtype=torch.float64))
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    log_q = q.log_prob(grid)
    cell = math.prod(float(axis[1] - axis[0]) for axis in axes)
    true = float((log_q.exp() * (log_q - p.log_prob(grid))).sum()) * cell
    assert float((log_q.exp().sum()) * cell) == pytest.approx(1, abs=1e-9)
    assert float(kl_divergence(q, p)) == pytest.approx(true, rel=1e-5)
    # a marginal without its share of the factor is another divergence, and a visible one
    wrong = LowRankNormal(q.loc, torch.zeros_like(q.factor), q.scale)
    assert float(kl_divergence(wrong, p)) != pytest.approx(true, rel=1e-2)


def sampled_kl(q: LowRankNormal, p: dist.Independent, draws: int) -> tuple[float, float]:
    """Monte Carlo estimate and its standard error."""
    value = q.rsample((draws,))
    ratio = q.log_prob(value) - p.log_prob(value)
    return float(ratio.mean()), float(ratio.std() / math.sqrt(draws))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", [(7,), (3, 4)])
def test_low_rank_agrees_with_draws(
    family: str, shape: tuple[int, ...], failure_rate: float
) -> None:
    q, p = low_rank(*shape), independent(family, shape)
    mean, error = sampled_kl(q, p, 20_000)
    closed = float(kl_divergence(q, p))
    bound = float(stats.norm.isf(failure_rate / 8)) * error
    assert abs(closed - mean) < bound
    # the control: the entropy of a guide without its factor
    wrong = LowRankNormal(q.loc, torch.zeros_like(q.factor), q.scale)
    assert abs(closed + float(q.entropy() - wrong.entropy()) - mean) > bound


def test_low_rank_from_a_normal_is_torchs_multivariate_form() -> None:
    q, p = low_rank(6), independent("normal", (6,))
    flat = torch.distributions.MultivariateNormal(
        q.loc, q.factor @ q.factor.T + torch.diag(q.scale.square())
    )
    other = torch.distributions.MultivariateNormal(
        torch.zeros_like(q.loc), 0.36 * torch.eye(6, dtype=torch.float64)
    )
    assert float(kl_divergence(q, p)) == pytest.approx(float(kl_divergence(flat, other)), rel=1e-12)


def test_low_rank_without_a_factor_is_the_sum_over_elements() -> None:
    q = low_rank(3, 2, factor=0.0)
    for family in FAMILIES:
        p = independent(family, (3, 2))
        alone = kl_divergence(dist.Normal(q.loc, q.scale), p.base_dist).sum()
        torch.testing.assert_close(kl_divergence(q, p), alone)
    same = LowRankNormal(torch.zeros(4), torch.zeros(4, 2), torch.full((4,), 0.6))
    assert float(kl_divergence(same, independent("normal", (4,)))) == pytest.approx(0, abs=1e-6)


@given(seed=st.integers(0, 1000), scale=scales, rank=st.integers(1, 3))
def test_low_rank_is_never_negative(seed: int, scale: float, rank: int) -> None:
    q = low_rank(4, rank=rank, seed=seed)
    for family in FAMILIES:
        assert float(kl_divergence(q, independent(family, (4,), scale))) > -1e-10


def test_gradients_of_the_low_rank_form_are_those_of_differences() -> None:
    q = low_rank(4)
    inputs = [x.requires_grad_() for x in (q.loc, q.factor, q.scale)]
    p_scale = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    for family in (dist.Laplace, dist.Normal):

        def divergence(m: Tensor, f: Tensor, s: Tensor, b: Tensor, family: type = family) -> Tensor:
            p = family(torch.zeros_like(b), b).expand([4]).to_event(1)
            return kl_divergence(LowRankNormal(m, f, s), p)

        assert torch.autograd.gradcheck(divergence, (*inputs, p_scale))


def test_gradients_of_the_expected_absolute_value() -> None:
    loc = torch.tensor([-1.0, 0.0, 1e-3, 2.0], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([0.5, 1.0, 0.1, 3.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(expected_abs_normal, (loc, scale))


def test_a_pair_without_a_closed_form_says_so_in_torchs_way() -> None:
    p = dist.Cauchy(torch.zeros(4), torch.ones(4)).to_event(1)
    with pytest.raises(NotImplementedError):
        kl_divergence(low_rank(4), p)
    assert np.isfinite(float(low_rank(4).entropy()))
