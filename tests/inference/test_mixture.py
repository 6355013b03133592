"""A member draws its own posterior, and brings what of its network is not random."""

from __future__ import annotations

import pyro
import torch
from torch import nn

from bayesfuse.inference.guides import make_guide
from bayesfuse.inference.lifting import lift
from bayesfuse.inference.mixture import Member
from bayesfuse.inference.priors import Prior


def make_member() -> Member:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    lifted = lift(network, Prior("laplace", 0.1), parts=["0"])
    return Member(lifted, make_guide(lifted, "laplace", init_scale=0.01))


def test_random_and_fixed_weights_make_the_whole_network():
    member = make_member()
    drawn, fixed = member.from_prior(), member.fixed()
    assert set(drawn) == {"0.weight", "0.bias"}
    assert set(drawn) | set(fixed) == set(member.lifted.module.state_dict())
    assert not set(drawn) & set(fixed)
    assert not any(value.requires_grad for value in (drawn | fixed).values())
    assert fixed["1.running_mean"] is not None


def test_draws_of_the_prior_are_as_wide_as_it_is():
    pyro.set_rng_seed(0)
    member = make_member()
    spread = torch.stack([member.from_prior()["0.weight"] for _ in range(200)]).abs().mean()
    assert 0.09 < spread < 0.11  # the mean of |Laplace(0, 0.1)| is 0.1, its error 0.002
