"""The moments of what a layer says of items are those under draws of its weights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from bayesfuse.inference.local_params import local_params
from bayesfuse.inference.output_moments import OutputMoments
from bayesfuse.inference.site_guides import (
    LaplaceSiteGuide,
    NormalSiteGuide,
    SiteGuide,
    TiedLaplaceSiteGuide,
)

ITEMS, FEATURES, UNITS, DRAWS = 5, 6, 3, 4000


@pytest.fixture(autouse=True)
def own_params(double: None) -> Iterator[None]:
    torch.manual_seed(0)
    with local_params():
        yield


def guides(family: str) -> tuple[SiteGuide, SiteGuide]:
    """Return guides of a weight and a bias, each element with a scale of its own."""
    made: list[SiteGuide] = []
    for name, loc in (("w", torch.randn(UNITS, FEATURES)), ("b", torch.randn(UNITS))):
        if family.startswith("tied"):
            made.append(TiedLaplaceSiteGuide(name, loc, 0.3, int(family[-1])))
        else:
            kind = NormalSiteGuide if family == "normal" else LaplaceSiteGuide
            made.append(kind(name, loc, 0.3))
        with torch.no_grad():
            for free in made[-1].parameters():
                free.add_(0.5 * torch.randn_like(free))
    return made[0], made[1]


def moments(layer: nn.Linear, weight: SiteGuide, bias: SiteGuide | None, x: Tensor) -> list[Tensor]:
    loc, variance = OutputMoments(layer, weight, bias)(x)
    return [loc.detach(), variance.sqrt().detach()]


@pytest.mark.parametrize("family", ["laplace", "normal", "tied1", "tied3"])
def test_moments_are_those_of_draws(family: str) -> None:
    weight, bias = guides(family)
    x = torch.randn(ITEMS, FEATURES)
    loc, scale = moments(nn.Linear(FEATURES, UNITS), weight, bias, x)
    drawn = torch.stack([x @ weight().T + bias() for _ in range(DRAWS)]).detach()
    torch.testing.assert_close(loc, x @ weight.loc.T + bias.loc)
    assert bool(((drawn.mean(0) - loc).abs() < 5 * scale / DRAWS**0.5).all())
    # a Laplace's kurtosis of 6 makes the error of a standard deviation up to 1.12 / sqrt(draws)
    torch.testing.assert_close(drawn.std(0), scale, rtol=5 * 1.12 / DRAWS**0.5, atol=0)
    # the negative control: without the bias's share
    fixed = moments(nn.Linear(FEATURES, UNITS), weight, None, x)[1]
    share = bias.distribution().variance.expand(ITEMS, UNITS).detach()
    torch.testing.assert_close(fixed.square() + share, scale.square())


@pytest.mark.parametrize("family", ["laplace", "tied1", "tied3"])
def test_the_variance_is_the_sum_over_features(family: str) -> None:
    weight, _ = guides(family)
    x = torch.randn(ITEMS, FEATURES)
    scale = moments(nn.Linear(FEATURES, UNITS, bias=False), weight, None, x)[1]
    expected = 2 * x.square() @ weight.scale.square().T
    torch.testing.assert_close(scale.square(), expected.detach())


def test_a_bias_that_is_not_random_is_the_layers_own() -> None:
    weight, _ = guides("normal")
    layer = nn.Linear(FEATURES, UNITS)
    x = torch.randn(ITEMS, FEATURES)
    torch.testing.assert_close(moments(layer, weight, None, x)[0], x @ weight.loc.T + layer.bias)


def test_known_distributions_are_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, bias = guides("laplace")
    layer, x = nn.Linear(FEATURES, UNITS), torch.randn(ITEMS, FEATURES)
    expected = moments(layer, weight, bias, x)
    known = {"w": weight.distribution(), "b": bias.distribution()}
    monkeypatch.setattr(LaplaceSiteGuide, "distribution", lambda _: pytest.fail("made again"))
    loc, variance = OutputMoments(layer, weight, bias, known)(x)
    torch.testing.assert_close([loc.detach(), variance.sqrt().detach()], expected)


def test_half_precision_ends_in_float32() -> None:
    weight, bias = guides("tied1")
    layer, x = nn.Linear(FEATURES, UNITS), torch.randn(ITEMS, FEATURES)
    exact = moments(layer, weight, bias, x)
    for guide in (weight, bias):
        guide.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = moments(layer.float(), weight, bias, x.float())
    for one, other in zip(rough, exact, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double(), other, rtol=0.03, atol=0.03)
