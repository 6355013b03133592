from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pyro import poutine
from torch import Tensor, nn

from bayesfuse.errors import ConfigError
from bayesfuse.inference.guides import make_guide
from bayesfuse.inference.lifting import lift
from bayesfuse.inference.priors import Prior


class Attention(nn.Module):
    """Self-attention, for a module whose parameters have odd names."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.inner(x, x, x, need_weights=False)[0]
        return found


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.inner(x)[0]
        return found


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(torch.tanh(self.first(x)))
        return found


class Bare(nn.Module):
    """A parameter of its own, without a layer around it."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(4))
        self.temperature = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain.square() / self.temperature


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "sequential": (lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), (5, 4)),
    "convolution": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten()), (2, 2, 5, 5)),
    "attention": (Attention, (2, 3, 4)),
    "lstm": (Recurrent, (2, 3, 4)),
    "tied": (Tied, (5, 4)),
    "bare": (Bare, (5, 4)),
    "norm": (lambda: nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)), (5, 4)),
}


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("training", [True, False])
def test_any_module_runs_on_the_weights_it_is_given(kind: str, training: bool) -> None:
    build, shape = MODULES[kind]
    module, x = build().train(training), torch.randn(shape)
    reference = build().train(training)
    lifted = lift(module, Prior("normal", 0.5), parts=["*"])
    weights = {name: p.detach() + 1 for name, p in reference.named_parameters()}
    assert list(weights) == [site.name for site in lifted.sites]
    with torch.no_grad():
        for name, parameter in reference.named_parameters():
            parameter.copy_(weights[name])
        expected = reference(x)
    for _ in range(2):  # a second time, in case the first left something behind
        torch.testing.assert_close(lifted.run(weights, x), expected)
    assert not torch.allclose(module(x), expected)


@pytest.mark.parametrize("kind", MODULES)
def test_any_module_draws_anew_at_every_call(kind: str) -> None:
    build, shape = MODULES[kind]
    lifted, x = lift(build(), Prior("laplace", "fan-in"), parts=["*"]), torch.randn(shape)
    own = lifted.module(x).detach()
    first, second = lifted(x), lifted(x)
    assert not torch.allclose(first, second)
    torch.testing.assert_close(lifted.module(x).detach(), own, rtol=0, atol=0)
    trace = poutine.trace(lifted).get_trace(x)
    names = [name for name, node in trace.nodes.items() if node["type"] == "sample"]
    assert names == lifted.latent == [name for name, _ in lifted.module.named_parameters()]


@pytest.mark.parametrize("kind", MODULES)
def test_gradients_reach_the_guide_of_any_module(kind: str) -> None:
    build, shape = MODULES[kind]
    lifted, x = lift(build(), parts=["*"]), torch.randn(shape)
    guide = make_guide(lifted, init_scale=0.1)
    trace = poutine.trace(poutine.replay(lifted, trace=poutine.trace(guide).get_trace())).get_trace(
        x
    )
    (trace.nodes["_RETURN"]["value"] * torch.randn(())).square().sum().backward()
    for name, loc in guide.locations().items():
        gradient = loc.grad
        assert gradient is not None, name
        assert bool(gradient.isfinite().all()), name
        assert bool((gradient != 0).any()), name


def test_lifted_parameters_are_frozen_and_the_others_are_not() -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    lifted = lift(module, parts=["0"])
    frozen = {name for name, p in module.named_parameters() if not p.requires_grad}
    assert frozen == {"0.weight", "0.bias"}
    assert [id(p) for p in lifted.free_parameters()] == [id(p) for p in module[1].parameters()]
    lifted(torch.randn(5, 4)).sum().backward()
    assert module[0].weight.grad is None
    assert module[1].weight.grad is not None


def test_the_deterministic_part_stays_in_the_modules_own_hands() -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    lifted = lift(module, parts=["0"])
    before = module[1].running_mean.clone()
    lifted(torch.randn(16, 4))
    assert not torch.equal(module[1].running_mean, before)
    assert int(module[1].num_batches_tracked) == 1
    module.eval()
    settled = module[1].running_mean.clone()
    weights = lifted.draw_weights()
    x = torch.randn(16, 4)
    torch.testing.assert_close(lifted.run(weights, x), lifted.run(weights, x), rtol=0, atol=0)
    torch.testing.assert_close(module[1].running_mean, settled, rtol=0, atol=0)
    module.train()
    assert not torch.equal(lifted.run(weights, x), lifted.run(weights, x))  # dropout


def test_beta_scales_every_latent_site() -> None:
    lifted = lift(nn.Linear(4, 3), Prior("horseshoe", 0.1), parts=["*"])
    trace = poutine.trace(lifted).get_trace(torch.zeros(2, 4), beta=0.3)
    scales = {name: trace.nodes[name]["scale"] for name in lifted.latent}
    assert len(scales) == 6
    assert set(scales.values()) == {0.3}


def test_set_point_writes_the_plug_in_weights() -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    lifted = lift(module, parts=["0"])
    untouched = module[1].weight.clone()
    lifted.set_point_({"0.weight": torch.full((3, 4), 0.5), "0.bias": torch.zeros(3)})
    assert module[0].weight.unique().tolist() == [0.5]
    assert not module[0].weight.requires_grad
    torch.testing.assert_close(module[1].weight, untouched)


def test_learned_prior_scales_are_parameters_and_others_are_not() -> None:
    module = nn.Linear(4, 3)
    prior = Prior("laplace", {"bias": 0.3, "weight": "learned"})
    lifted = lift(module, prior, parts=["*"])
    assert [p.shape for p in lifted.prior_parameters()] == [torch.Size()]
    assert not lift(nn.Linear(4, 3), Prior("laplace", 0.3), parts=["*"]).prior_parameters()


def test_the_defaults_are_the_papers(make_fused: Callable[..., Any]) -> None:
    lifted = lift(make_fused().network)
    assert {site.name.split(".")[0] for site in lifted.sites} == {"fusion"}
    assert {type(prior).__name__ for prior in lifted.priors} == {"LaplaceSitePrior"}
    assert {float(prior.scale) for prior in lifted.priors} == {float(torch.tensor(0.1))}


def test_mistakes_leave_the_module_as_it_was() -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    with pytest.raises(ConfigError, match="No prior scale"):
        lift(module, Prior("laplace", {"0.weight": 0.1}), parts=["0"])
    with pytest.raises(ConfigError, match=r'"1\.\*", which matches none of 0\.weight, 0\.bias'):
        lift(module, Prior("laplace", {"1.*": 0.1, "*": 0.2}), parts=["0"])
    with pytest.raises(ConfigError, match='part "2"'):
        lift(module, parts=["0", "2"])
    assert all(p.requires_grad for p in module.parameters())
