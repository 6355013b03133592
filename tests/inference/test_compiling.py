"""When draws are compiled, and that a training with compiled draws is the training it should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pyro import poutine

from bayesfuse.inference import fused_laplace, fused_noise, fused_tied
from bayesfuse.inference.compiling import WORTH_IT, Chosen, choose_kernels
from bayesfuse.inference.elbo import ELBOS, MultiLabelModel, Objective
from bayesfuse.inference.fused_laplace import EAGER, FusedLaplace
from bayesfuse.inference.fused_tied import FusedTiedLaplace
from bayesfuse.inference.guides import make_guide
from bayesfuse.inference.lifting import lift
from bayesfuse.inference.output_noise import OutputNoise
from bayesfuse.inference.priors import Prior

LARGE = torch.nn.Linear(120, 80)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be compiled: what matters here is whether it would be."""
    for place in (fused_laplace, fused_noise, fused_tied):
        monkeypatch.setattr(place, "compiled", lambda _, place=place: place.EAGER)


def guide_of(module: torch.nn.Module, family: str = "laplace") -> Any:
    return make_guide(lift(module, parts=["*"]), family)


@pytest.mark.usefixtures("stand_in")
def test_where_it_pays() -> None:
    guide = guide_of(LARGE)
    enough = -(-WORTH_IT // 9600)
    assert choose_kernels("auto", guide, enough) == Chosen(EAGER)
    assert choose_kernels("auto", guide, enough - 1) == Chosen()
    assert choose_kernels("on", guide, 1) == Chosen(EAGER)
    assert choose_kernels("off", guide, 10**9) == Chosen()
    for other in (None, guide_of(LARGE, "normal"), guide_of(torch.nn.Linear(9, 9))):
        assert choose_kernels("on", other, 10**9) == Chosen()


def test_without_a_compiler_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise RuntimeError("InvalidCxxCompiler: none found")

    monkeypatch.setattr(fused_laplace, "compiled", refuse)
    found = choose_kernels("on", guide_of(LARGE), 1)
    (told,) = found.notes
    assert found == Chosen(notes=(told,))
    assert "InvalidCxxCompiler: none found" in told
    assert "--compile off" in told
    assert "\n" not in told


@pytest.mark.usefixtures("stand_in")
def test_each_guide_has_its_own_kernels_and_local_noise_too() -> None:
    tied = guide_of(LARGE, "laplace-tied")
    assert choose_kernels("on", tied, 1) == Chosen(fused_tied.EAGER)
    assert choose_kernels("on", tied, 1, "flipout") == Chosen(fused_tied.EAGER)
    assert choose_kernels("on", tied, 1, "local") == Chosen(fused_tied.EAGER, fused_noise.EAGER)
    assert choose_kernels("off", tied, 10**9, "local") == Chosen()
    several = make_guide(lift(LARGE, parts=["*"]), "laplace-tied", rank=2)
    assert choose_kernels("on", several, 10**9) == Chosen()
    one_unit = guide_of(torch.nn.Linear(10_000, 1), "laplace-tied")
    assert choose_kernels("on", one_unit, 10**9) == Chosen()


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fusion = LARGE.double()
        self.classifier = torch.nn.Linear(80, 3).double()

    def forward(self, inputs: dict[str, torch.Tensor], _: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.tanh(self.fusion(inputs["x"])))


@pytest.mark.parametrize("prior", ["laplace", "normal", "learned"])
@pytest.mark.parametrize("elbo", ELBOS)
def test_the_loss_is_that_of_the_same_draws_by_torch(elbo: str, prior: str) -> None:
    torch.manual_seed(0)
    family, scale = ("laplace", "learned") if prior == "learned" else (prior, 0.3)
    lifted = lift(Net(), Prior(family, scale), parts=["fusion"])
    lifted.double()
    guide = make_guide(lifted, init_scale=0.1)
    made = Objective(MultiLabelModel(lifted, 50), guide, elbo)
    batch = ({"x": torch.randn(6, 120).double()}, torch.ones(6, 1, dtype=torch.bool))
    labels = (torch.rand(6, 3) < 0.5).double()
    with guide.drawn_by(EAGER, lifted):
        torch.manual_seed(1)
        drawn = guide()
        torch.manual_seed(1)
        fused = made.loss(*batch, labels, beta=0.4)
        fused.backward()
        assert isinstance(guide.site_guides[0].distribution(), FusedLaplace)
    gradients = {name: p.grad.clone() for name, p in guide.named_parameters()}
    guide.zero_grad()
    # plain Pyro at the same weights: the guide's draws as loc + scale * (draw - loc) / scale
    scales, locs = guide.scales(), guide.locations()
    noise = {n: ((drawn[n] - locs[n]) / scales[n]).detach() for n in drawn}
    rsample = torch.distributions.Laplace.rsample
    waiting = [noise[site.site_name] for site in guide.site_guides]

    def replayed(self: torch.distributions.Laplace, shape: Any = ()) -> torch.Tensor:
        return self.loc + self.scale * waiting.pop(0)

    torch.distributions.Laplace.rsample = replayed  # type: ignore[method-assign]
    try:
        plain = made.loss(*batch, labels, beta=0.4)
    finally:
        torch.distributions.Laplace.rsample = rsample  # type: ignore[method-assign]
    plain.backward()
    assert float(fused.detach()) == pytest.approx(float(plain.detach()), rel=1e-9)
    for name, parameter in guide.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("prior", ["laplace", "normal", "learned"])
def test_the_loss_of_tied_scales_is_that_of_the_same_noise_by_torch(prior: str) -> None:
    torch.manual_seed(0)
    family, scale = ("laplace", "learned") if prior == "learned" else (prior, 0.3)
    lifted = lift(Net(), Prior(family, scale), parts=["fusion"])
    lifted.double()
    guide = make_guide(lifted, "laplace-tied", init_scale=0.1)
    made = Objective(MultiLabelModel(lifted, 50), guide)
    batch = ({"x": torch.randn(6, 120).double()}, torch.ones(6, 1, dtype=torch.bool))
    labels = (torch.rand(6, 3) < 0.5).double()
    noise = OutputNoise("local", lifted, guide)
    found = []
    for kernels in (fused_tied.EAGER, None):
        torch.manual_seed(1)
        guide.zero_grad()
        with noise.applied(*batch), guide.drawn_by(kernels, lifted):
            fused = isinstance(guide.site_guides[0].distribution(), FusedTiedLaplace)
            assert fused == (kernels is not None and prior == "laplace")
            loss = made.loss(*batch, labels, beta=0.4)
        loss.backward()
        found.append([loss.detach(), *(p.grad.clone() for p in guide.parameters())])
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-12)


def test_outside_the_block_torch_draws() -> None:
    lifted = lift(LARGE, parts=["*"])
    guide = make_guide(lifted)
    with guide.drawn_by(EAGER, lifted):
        inside = poutine.trace(guide).get_trace().nodes
    outside = poutine.trace(guide).get_trace().nodes
    assert isinstance(inside["weight"]["fn"], FusedLaplace)
    assert not isinstance(inside["bias"]["fn"], FusedLaplace)  # too small to gain
    assert not isinstance(outside["weight"]["fn"], FusedLaplace)


def test_training_with_fused_draws_learns(
    monkeypatch: pytest.MonkeyPatch,
    make_fused: Callable[..., Any],
    make_batches: Callable[..., Any],
) -> None:
    from tests.inference.test_svi import fit

    monkeypatch.setattr(fused_laplace, "compiled", lambda _: EAGER)
    monkeypatch.setattr("bayesfuse.inference.site_guides.SMALLEST", 1)
    nlls = {}
    for compile_ in ("on", "off"):
        result = fit(
            make_fused(), make_batches(), epochs=12, compile=compile_, classifier_learning_rate=0.02
        )
        nlls[compile_] = [row.nll for row in result.history]
        assert nlls[compile_][-1] < 0.93 * nlls[compile_][0]
        assert result.notes == ()
    assert nlls["on"] != nlls["off"]  # other noise
