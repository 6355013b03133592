from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from bayesfuse.inference.history import SVISettings
from bayesfuse.inference.penalty import penalty_of

MakeFused = Callable[..., Any]


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.7), (0.3, 0.7)])
@pytest.mark.parametrize("prior", ["laplace", "horseshoe"])
def test_penalties_act_on_the_weights_locations_alone(
    l1: float, l2: float, prior: str, make_fused: MakeFused
) -> None:
    made = make_fused(prior=prior, scale="learned")
    penalty = penalty_of(made.guide, made.lifted, SVISettings(l1=l1, l2=l2), 40)
    assert penalty is not None
    penalty.backward()
    weights = {site.name for site in made.lifted.sites}
    for guide in made.guide.site_guides:
        loc = guide._parameters["loc_unconstrained"]
        if guide.site_name in weights:
            expected = (l1 * loc.detach().sign() + 2 * l2 * loc.detach()) / 40
            torch.testing.assert_close(loc.grad, expected)
        else:
            assert loc.grad is None
        assert guide._parameters["scale_unconstrained"].grad is None
    rest = [*made.lifted.free_parameters(), *made.lifted.prior_parameters()]
    assert all(parameter.grad is None for parameter in rest)


def test_without_penalties_there_is_none(make_fused: MakeFused) -> None:
    made = make_fused()
    assert penalty_of(made.guide, made.lifted, SVISettings(), 40) is None
    assert penalty_of(None, None, SVISettings(l1=1.0), 40) is None
