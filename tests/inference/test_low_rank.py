from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from bayesfuse.inference.low_rank import LowRankNormal


def example(*shape: int, rank: int = 2) -> LowRankNormal:
    generator = torch.Generator().manual_seed(1)
    loc, scale = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    factor = torch.randn(*shape, rank, generator=generator, dtype=torch.float64)
    return LowRankNormal(loc, factor, scale.exp())


def full_covariance(q: LowRankNormal) -> torch.Tensor:
    factor = q.factor.reshape(-1, q.factor.shape[-1])
    return factor @ factor.T + torch.diag(q.scale.flatten().square())


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 1, 3)])
def test_density_and_entropy_are_those_of_the_full_covariance(shape: tuple[int, ...]) -> None:
    q = example(*shape)
    dense = torch.distributions.MultivariateNormal(q.loc.flatten(), full_covariance(q))
    value = torch.randn(4, *shape, dtype=torch.float64)
    torch.testing.assert_close(q.log_prob(value), dense.log_prob(value.reshape(4, -1)))
    torch.testing.assert_close(q.log_prob(value[0]), dense.log_prob(value[0].flatten()))
    torch.testing.assert_close(q.entropy(), dense.entropy())
    assert (q.batch_shape, q.event_shape) == (torch.Size(), torch.Size(shape))


def test_marginal_scale_is_the_root_of_the_diagonal() -> None:
    q = example(2, 3)
    expected = full_covariance(q).diagonal().sqrt().reshape(2, 3)
    torch.testing.assert_close(q.marginal_scale, expected)


def test_draws_have_the_covariance(failure_rate: float) -> None:
    q = example(2, 2)
    draws = 20_000
    z = (q.rsample((draws,)) - q.loc).reshape(draws, -1)
    assert z.shape == (draws, 4)

    def p_value(covariance: torch.Tensor) -> float:
        white = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), z.T, upper=False)
        total = float((white @ white.T - draws * torch.eye(4)).square().sum()) / draws
        # white: the 4 on the diagonal have variance 2, the 6 below it 1 and count twice
        return float(stats.chi2.sf(total / 2, df=10))

    assert p_value(full_covariance(q)) > failure_rate
    assert p_value(torch.diag(full_covariance(q).diagonal())) < failure_rate
    assert p_value(1.1 * full_covariance(q)) < failure_rate


def test_gradients_flow_through_a_draw() -> None:
    loc, factor, scale = torch.zeros(3), torch.ones(3, 2), torch.ones(3)
    for tensor in (loc, factor, scale):
        tensor.requires_grad_()
    LowRankNormal(loc, factor, scale).rsample().square().sum().backward()
    assert all(bool((x.grad != 0).any()) for x in (loc, factor, scale) if x.grad is not None)
    assert None not in (loc.grad, factor.grad, scale.grad)


def test_the_support_takes_whole_arrays() -> None:
    q = example(2, 3)
    inside = q.support.check(torch.zeros(2, 3))
    assert inside.shape == ()
    assert bool(inside)
    assert not bool(q.support.check(torch.full((2, 3), math.nan)))
