"""The distribution of one site; see also test_guides.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from pyro import poutine

from bayesfuse.inference.local_params import local_params
from bayesfuse.inference.site_guides import (
    LaplaceSiteGuide,
    LogNormalSiteGuide,
    LowRankSiteGuide,
    NormalSiteGuide,
    SiteGuide,
    TiedLaplaceSiteGuide,
)

LOC = torch.tensor([[0.3, -0.4, 0.0], [1.0, 2.0, -3.0]])
MAKERS: dict[str, Callable[[], SiteGuide]] = {
    "laplace": lambda: LaplaceSiteGuide("w", LOC, 0.2),
    "normal": lambda: NormalSiteGuide("w", LOC, 0.2),
    "lowrank": lambda: LowRankSiteGuide("w", LOC, 0.2, 2),
    "lognormal": lambda: LogNormalSiteGuide("w", LOC, 0.2),
    "tied": lambda: TiedLaplaceSiteGuide("w", LOC, 0.2, 1),
    "tied, rank 3": lambda: TiedLaplaceSiteGuide("w", LOC, 0.2, 3),
    "tied, of a vector": lambda: TiedLaplaceSiteGuide("w", LOC[0], 0.2, 3),
}


@pytest.fixture(autouse=True)
def own_params() -> Iterator[None]:
    with local_params():
        yield


@pytest.mark.parametrize("name", MAKERS)
def test_it_draws_its_site_around_its_location(name: str) -> None:
    made = MAKERS[name]()
    torch.testing.assert_close(made.scale.detach(), torch.full_like(made.loc, 0.2))
    trace = poutine.trace(made).get_trace()
    assert trace.nodes["w"]["fn"].event_shape == made.loc.shape
    torch.manual_seed(0)
    draws = torch.stack([made() for _ in range(2000)]).detach()
    middle = draws.median(dim=0).values
    expected = made.loc.exp() if name == "lognormal" else made.loc
    # the error of a median is about 0.6 scales / sqrt(draws)
    torch.testing.assert_close(middle, expected.detach(), rtol=0.03, atol=0.03)


def test_the_spread_of_draws_is_that_of_the_tied_scale() -> None:
    site = TiedLaplaceSiteGuide("w", torch.zeros(2, 3), 0.1, 1)
    with torch.no_grad():
        site._parameters["rows_unconstrained"].copy_(torch.tensor([[0.0], [2.0]]))
        site._parameters["columns_unconstrained"].copy_(torch.tensor([[-1.0], [0.0], [1.0]]))
    torch.manual_seed(1)
    draws = torch.stack([site() for _ in range(5000)]).detach()
    # E|w - loc| of a Laplace is its scale; the error of the mean is 1 / sqrt(5,000)
    torch.testing.assert_close(draws.abs().mean(dim=0), site.scale.detach(), rtol=0.07, atol=0)
    scale = site.scale.detach()
    assert float(scale.max() / scale.min()) > 4
