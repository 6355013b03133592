from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyro.distributions as dist
import pytest
import torch
from pyro import poutine

from bayesfuse.errors import ConfigError
from bayesfuse.inference.guides import GUIDES, make_guide
from bayesfuse.inference.lifting import lift
from bayesfuse.inference.low_rank import LowRankNormal
from bayesfuse.inference.priors import Prior

KINDS = {
    "laplace": dist.Laplace,
    "laplace-tied": dist.Laplace,
    "normal": dist.Normal,
    "lowrank": LowRankNormal,
}


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 4))


@pytest.mark.parametrize("family", GUIDES)
def test_starts_where_the_module_starts(family: str) -> None:
    module = network()
    lifted = lift(module, parts=["0"])
    guide = make_guide(lifted, family, init_scale=0.02)
    for site in lifted.sites:
        own = module.get_parameter(site.name)
        torch.testing.assert_close(guide.locations()[site.name], own, rtol=0, atol=0)
        torch.testing.assert_close(guide.scales()[site.name], torch.full_like(own, 0.02))
        assert guide.locations()[site.name].data_ptr() != own.data_ptr()


@pytest.mark.parametrize("family", GUIDES)
def test_init_loc_is_one_number_everywhere(family: str) -> None:
    guide = make_guide(lift(network(), parts=["*"]), family, init_loc=0.1, init_scale=0.01)
    assert len(guide.locations()) == 4
    for loc, scale in zip(guide.locations().values(), guide.scales().values(), strict=True):
        torch.testing.assert_close(loc, torch.full_like(loc, 0.1))
        torch.testing.assert_close(scale, torch.full_like(scale, 0.01))


@pytest.mark.parametrize("family", GUIDES)
def test_a_draw_has_the_family_the_shape_and_the_name_of_the_parameter(family: str) -> None:
    lifted = lift(network(), parts=["0"])
    guide = make_guide(lifted, family)
    trace = poutine.trace(guide).get_trace(torch.zeros(1), beta=0.5)
    sites = {name: node for name, node in trace.nodes.items() if node["type"] == "sample"}
    assert list(sites) == ["0.weight", "0.bias"]
    for site in lifted.sites:
        fn = sites[site.name]["fn"]
        assert isinstance(getattr(fn, "base_dist", fn), KINDS[family])
        assert (fn.batch_shape, fn.event_shape) == (torch.Size(), site.shape)
        assert sites[site.name]["value"].shape == site.shape
        assert sites[site.name]["scale"] == 0.5


@pytest.mark.parametrize(("family", "per_weight"), [("laplace", 2), ("normal", 2), ("lowrank", 5)])
def test_parameters_are_counted_by_weight(family: str, per_weight: int) -> None:
    guide = make_guide(lift(network(), parts=["0"]), family, rank=3)
    assert sum(p.numel() for p in guide.parameters()) == per_weight * 8
    names = ["loc", "scale", *(["factor"] if family == "lowrank" else [])]
    assert list(guide.tensors()) == [
        f"0.{part}.{name}_unconstrained" for part in ("weight", "bias") for name in names
    ]


def test_the_lowrank_factor_starts_as_large_as_the_scale() -> None:
    module = torch.nn.Linear(200, 50)
    guide = make_guide(lift(module, parts=["weight"]), "lowrank", init_scale=0.01, rank=4)
    found = guide.site_guides[0].distribution().marginal_scale.square().mean()
    assert float(found.detach()) == pytest.approx(2 * 0.01**2, rel=0.02)


@pytest.mark.parametrize(("rank", "expected"), [(None, 1), (3, 3)])
def test_tied_scales_have_two_numbers_a_unit(rank: int | None, expected: int) -> None:
    lifted = lift(network(), parts=["*"])
    guide = make_guide(lifted, "laplace-tied", rank=rank, init_scale=0.02)
    shapes = {name: tuple(value.shape) for name, value in guide.tensors().items()}
    assert shapes == {
        "0.weight.loc_unconstrained": (2, 3),
        "0.weight.rows_unconstrained": (2, expected),
        "0.weight.columns_unconstrained": (3, expected),
        "0.bias.loc_unconstrained": (2,),
        "0.bias.element_unconstrained": (2,),
        "1.weight.loc_unconstrained": (4, 2),
        "1.weight.rows_unconstrained": (4, expected),
        "1.weight.columns_unconstrained": (2, expected),
        "1.bias.loc_unconstrained": (4,),
        "1.bias.element_unconstrained": (4,),
    }


def test_a_tied_scale_is_the_sum_of_products_of_its_rows_and_columns() -> None:
    module = torch.nn.Module()
    module.weight = torch.nn.Parameter(torch.zeros(2, 3, 4))
    guide = make_guide(lift(module, parts=["weight"]), "laplace-tied", rank=2)
    (site,) = guide.site_guides
    with torch.no_grad():
        for free in site._parameters.values():
            free.copy_(torch.randn_like(free))
    a, b = site.rows, site.columns
    expected = torch.einsum("ir,jr->ij", a, b).reshape(2, 3, 4)
    torch.testing.assert_close(site.distribution().base_dist.scale, expected)
    assert int(torch.linalg.matrix_rank(site.scale.reshape(6, 4))) == 2


def test_ranks_of_a_tied_scale_learn_different_things() -> None:
    torch.manual_seed(0)
    guide = make_guide(lift(torch.nn.Linear(4, 6), parts=["weight"]), "laplace-tied", rank=2)
    (site,) = guide.site_guides
    aim = torch.rand(6, 4)
    (site.scale - aim).square().sum().backward()
    first, second = site._parameters["rows_unconstrained"].grad.T
    assert not torch.allclose(first, second, rtol=0.05)


@pytest.mark.parametrize("family", GUIDES)
def test_the_horseshoes_scales_are_lognormal(family: str) -> None:
    lifted = lift(network(), Prior("horseshoe", 0.3), parts=["0"])
    guide = make_guide(lifted, family)
    assert [part.site_name for part in guide.site_guides] == lifted.latent
    assert lifted.latent[:3] == ["0.weight.global", "0.weight.local", "0.weight"]
    trace = poutine.trace(guide).get_trace()
    for name, shape in lifted.positive.items():
        assert trace.nodes[name]["value"].shape == shape
        assert bool((trace.nodes[name]["value"] > 0).all())
        middle = guide.locations()[name].exp()
        # the prior's scale at the start: tau at b, lambda at 1
        expected = 0.3 if name.endswith("global") else 1.0
        torch.testing.assert_close(middle, torch.full(shape, expected))


@pytest.mark.parametrize("family", GUIDES)
def test_gradients_reach_every_parameter(family: str, make_fused: Callable[..., Any]) -> None:
    made = make_fused(guide=family, prior="horseshoe")
    draws = made.guide()
    total = sum(draw.square().sum() for draw in draws.values())
    total.backward()
    for name, parameter in made.guide.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).any()), name


@pytest.mark.parametrize("family", GUIDES)
def test_init_scale_may_be_the_priors_or_given_by_pattern(family: str) -> None:
    prior = Prior("laplace", {"0.weight": 0.7, "*": "fan-in"})
    lifted = lift(network(), prior, parts=["*"])
    scales = {"1.*": 0.02, "*": "prior"}
    found = make_guide(lifted, family, init_scale=scales).scales()
    fan_in_of_3 = (0.5 / 3) ** 0.5  # a Laplace of that scale has variance 1 / 3
    expected = {"0.weight": 0.7, "0.bias": fan_in_of_3, "1.weight": 0.02, "1.bias": 0.02}
    assert list(found) == list(expected)
    for name, scale in found.items():
        torch.testing.assert_close(scale, torch.full_like(scale, expected[name]))


def test_mistakes_say_what_to_do() -> None:
    lifted = lift(network(), parts=["0"])
    with pytest.raises(ConfigError, match=r'"laplce".*Did you mean "laplace"'):
        make_guide(lifted, "laplce")
    for wrong in (0, -0.1, math.inf, math.nan, "priro", {"*": "x"}):
        with pytest.raises(
            ConfigError, match=r"init_scale is .*; expected a number > 0.*\"prior\""
        ):
            make_guide(lifted, init_scale=wrong)
    with pytest.raises(ConfigError, match=r'No init_scale for "0.weight": the patterns are 1\.\*'):
        make_guide(lifted, init_scale={"1.*": 0.1})
    with pytest.raises(ConfigError, match=r"rank is 0; expected at least 1"):
        make_guide(lifted, "lowrank", rank=0)


@pytest.mark.parametrize("family", GUIDES)
@pytest.mark.parametrize("prior", ["laplace", "horseshoe"])
def test_parameters_are_locations_and_scales(family: str, prior: str) -> None:
    lifted = lift(torch.nn.Linear(4, 3), Prior(prior, 0.1), ["weight", "bias"])
    guide = make_guide(lifted, family)
    scales = guide.scale_parameters()
    rest = [p for p in guide.parameters() if not any(p is one for one in scales)]
    assert len(rest) == len(guide.site_guides)
    assert len(rest) + len(scales) == len(list(guide.parameters()))
    before = guide.locations()
    with torch.no_grad():
        for parameter in scales:
            parameter.add_(0.5)
    torch.testing.assert_close(guide.locations(), before)
