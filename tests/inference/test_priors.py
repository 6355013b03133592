from __future__ import annotations

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from scipy import stats

from bayesfuse.errors import ConfigError
from bayesfuse.inference.local_params import local_params
from bayesfuse.inference.priors import PRIORS, HorseshoeSitePrior, Prior, SitePrior
from bayesfuse.inference.sites import WeightSite

MATRIX = WeightSite("fusion.text.weight", torch.Size([3, 16]), 16)
VECTOR = WeightSite("fusion.text.bias", torch.Size([3]), 16)
SAMPLERS = {"laplace": stats.laplace, "normal": stats.norm}


def build(family: str, scale: object, site: WeightSite = MATRIX) -> SitePrior:
    with local_params():
        return Prior(family, scale).build(site)  # type: ignore[arg-type]


def draws(prior: SitePrior, count: int = 300) -> torch.Tensor:
    with local_params(), torch.no_grad():
        return torch.stack([prior() for _ in range(count)])


@pytest.mark.parametrize("family", SAMPLERS)
def test_a_number_is_the_scale(family: str, failure_rate: float) -> None:
    values = draws(build(family, 0.3)).flatten().numpy()
    law = SAMPLERS[family]
    assert stats.kstest(values, law(scale=0.3).cdf).pvalue > failure_rate
    assert stats.kstest(values, law(scale=0.36).cdf).pvalue < failure_rate


@pytest.mark.parametrize("family", SAMPLERS)
@pytest.mark.parametrize("site", [MATRIX, VECTOR])
def test_fan_in_gives_the_standard_deviation(
    family: str, site: WeightSite, failure_rate: float
) -> None:
    values = draws(build(family, "fan-in", site), 2000).flatten().double().numpy()
    # w and its scale: E w^2 is 1 / fan_in, whatever the family
    assert stats.ttest_1samp(values**2, 1 / 16).pvalue > failure_rate
    assert stats.ttest_1samp(values**2, 2 / 16).pvalue < failure_rate


@pytest.mark.parametrize("family", PRIORS)
def test_only_a_learned_scale_is_a_parameter(family: str) -> None:
    assert not list(build(family, 0.1).parameters())
    assert not list(build(family, "fan-in").parameters())
    learned = build(family, "learned")
    assert [p.shape for p in learned.parameters()] == [torch.Size()]
    torch.testing.assert_close(learned.scale.detach(), build(family, "fan-in").scale)


@pytest.mark.parametrize("family", SAMPLERS)
def test_a_learned_scale_moves_to_the_closed_form_optimum(family: str) -> None:
    # of -E_q log p(w | b): mean |w| for a Laplace, the root mean square for a normal
    torch.manual_seed(0)
    weights = torch.randn(MATRIX.shape) * 0.7
    best = weights.abs().mean() if family == "laplace" else weights.square().mean().sqrt()
    prior = build(family, "learned")
    assert abs(float(prior.scale.detach()) - float(best)) > 0.1
    optimiser = torch.optim.Adam(prior.parameters(), lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        with local_params():
            trace = poutine.trace(poutine.condition(prior, {MATRIX.name: weights})).get_trace()
        (-trace.log_prob_sum()).backward()
        assert float(next(iter(prior.parameters())).grad.abs()) > 0  # type: ignore[union-attr]
        optimiser.step()
    assert float(prior.scale.detach()) == pytest.approx(float(best), rel=1e-3)


def test_the_first_pattern_that_matches_counts() -> None:
    prior = Prior("laplace", {"*.bias": 2.0, "fusion.text.*": 0.1, "*": "fan-in"})
    assert prior.scale_for(MATRIX) == 0.1
    assert prior.scale_for(VECTOR) == 2.0
    assert prior.scale_for(WeightSite("fusion.image.weight", torch.Size([2]), 1)) == "fan-in"
    assert float(prior.build(MATRIX).scale) == pytest.approx(0.1)
    with pytest.raises(ConfigError, match=r'No prior scale for "fusion.text.weight".*"\*"'):
        Prior("laplace", {"gat.*": 0.1}).build(MATRIX)


def test_the_horseshoe_draws_its_scales_then_its_weight() -> None:
    prior = build("horseshoe", 0.2)
    assert prior.positive_sites() == {
        f"{MATRIX.name}.global": torch.Size(),
        f"{MATRIX.name}.local": torch.Size([16]),
    }
    with local_params():
        trace = poutine.trace(prior).get_trace()
    sampled = [name for name, node in trace.nodes.items() if node["type"] == "sample"]
    assert sampled == [*prior.positive_sites(), MATRIX.name]
    tau = trace.nodes[f"{MATRIX.name}.global"]
    assert isinstance(tau["fn"], dist.HalfCauchy)
    assert float(tau["fn"].scale) == pytest.approx(0.2)
    local = trace.nodes[f"{MATRIX.name}.local"]["value"]
    weight = trace.nodes[MATRIX.name]["fn"]
    assert weight.event_shape == MATRIX.shape
    # one scale an input: a column of the matrix shares it
    expected = (tau["value"] * local).expand(MATRIX.shape)
    torch.testing.assert_close(weight.base_dist.scale, expected)
    torch.testing.assert_close(weight.base_dist.loc, torch.zeros(MATRIX.shape))


def test_a_vector_has_a_horseshoe_scale_an_element() -> None:
    assert isinstance(build("horseshoe", 0.2, VECTOR), HorseshoeSitePrior)
    shapes = build("horseshoe", 0.2, VECTOR).positive_sites()
    assert shapes[f"{VECTOR.name}.local"] == torch.Size([3])


def test_the_horseshoe_has_a_spike_and_heavy_tails(failure_rate: float) -> None:
    def outside(prior: SitePrior) -> tuple[int, int]:
        values = draws(prior, 400)[:, 0, 0].abs()
        return int((values < 0.02).sum()), int((values > 10).sum())

    torch.manual_seed(0)
    small, large = outside(build("horseshoe", 1.0))
    normal_small, normal_large = outside(build("normal", 1.0))
    assert stats.binomtest(small, 400, 0.016, "greater").pvalue < failure_rate
    assert stats.binomtest(normal_small, 400, 0.016, "greater").pvalue > failure_rate
    assert large > 5
    assert normal_large == 0


def test_a_scale_at_the_edge_of_float32_keeps_the_density_finite() -> None:
    prior = build("horseshoe", 0.2)
    values = {f"{MATRIX.name}.global": torch.tensor(1e-30), MATRIX.name: torch.zeros(MATRIX.shape)}
    with local_params(), pyro.validation_enabled(True):
        trace = poutine.trace(poutine.condition(prior, values)).get_trace()
        trace.compute_log_prob()
    assert trace.nodes[MATRIX.name]["log_prob_sum"].isfinite()


@pytest.mark.parametrize("scale", [0, -1.0, math.nan, math.inf, "fanin", {"*": -0.1}, {"*": "x"}])
def test_a_scale_that_is_none_is_refused(scale: object) -> None:
    with pytest.raises(ConfigError, match=r'expected a number > 0, "fan-in" or "learned"'):
        Prior("laplace", scale)  # type: ignore[arg-type]


def test_an_unknown_family_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r'"laplase".*Did you mean "laplace"'):
        Prior("laplase")
