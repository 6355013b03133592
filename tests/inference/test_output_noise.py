"""Noise of a layer's outputs: what it is, that the loss is Pyro's, and that gradients are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceGraph_ELBO, TraceMeanField_ELBO
from scipy import stats
from torch import Tensor, nn

from bayesfuse import config
from bayesfuse.errors import ConfigError
from bayesfuse.inference import output_noise
from bayesfuse.inference.elbo import ELBOS, MultiLabelModel, Objective, kl_by_site
from bayesfuse.inference.guides import Guide, make_guide
from bayesfuse.inference.lifting import LiftedModule, lift
from bayesfuse.inference.output_noise import NOISES, OutputNoise, random_signs
from bayesfuse.inference.priors import Prior

ITEMS, FEATURES, HIDDEN, LABELS = 6, 5, 3, 2
PYRO = {"meanfield": TraceMeanField_ELBO, "trace": Trace_ELBO, "rao-blackwell": TraceGraph_ELBO}
PAIRS = [
    *((noise, guide) for noise in ("local", "flipout") for guide in ("laplace", "normal")),
    *(("local", "laplace-tied"), ("flipout", "laplace-tied")),
]


class Tiny(nn.Module):
    """A random layer, another that reads it, and a classifier."""

    def __init__(self, features: int = FEATURES) -> None:
        super().__init__()
        self.fusion = nn.Sequential(nn.Linear(features, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 2))
        self.classifier = nn.Linear(2, LABELS)

    def forward(self, inputs: dict[str, Tensor], observed: Tensor) -> Tensor:
        logits: Tensor = self.classifier(torch.tanh(self.fusion(inputs["x"])))
        return logits


class Made(NamedTuple):
    lifted: LiftedModule
    guide: Guide
    objective: Objective
    noise: OutputNoise
    batch: tuple[dict[str, Tensor], Tensor, Tensor]

    def loss(self, seed: int, beta: float = 1.0) -> Tensor:
        torch.manual_seed(seed)
        with self.noise.applied(*self.batch[:2]):
            return self.objective.loss(*self.batch, beta=beta)


def make(
    noise: str = "local",
    guide: str = "normal",
    elbo: str = "annealed",
    prior: str = "laplace",
    features: int = FEATURES,
    scale: float = 0.3,
) -> Made:
    torch.manual_seed(2)
    lifted = lift(Tiny(features), Prior(prior, 0.5))
    made = make_guide(lifted, guide, init_scale=scale, rank=2)
    model = MultiLabelModel(lifted, 3 * ITEMS)
    x = torch.randn(ITEMS, features)
    labels = (torch.rand(ITEMS, LABELS) < 0.5).double()
    batch = ({"x": x}, torch.ones(ITEMS, 1, dtype=torch.bool), labels)
    out = OutputNoise(noise, lifted, made, elbo)
    return Made(lifted, made, Objective(model, made, elbo), out, batch)


# ---- the noise ----


def outputs(made: Made, draws: int) -> Tensor:
    """Return what the first layer says of the items, `draws x items x units`."""
    found: list[Tensor] = []
    items = made.batch[:2]
    made.noise.kind == "weights" or made.noise.layers(*items)
    layer = made.lifted.module.get_submodule("fusion.0")
    handle = layer.register_forward_hook(lambda *args: found.append(args[2]))
    torch.manual_seed(0)
    try:
        with torch.no_grad(), pyro.validation_enabled(False):
            for _ in range(draws):
                with made.noise.applied(*items):
                    made.lifted.run(made.guide(), *items)
    finally:
        handle.remove()
    return torch.stack(found)


@pytest.mark.parametrize(("noise", "guide"), PAIRS)
def test_each_item_has_noise_of_its_own_with_the_moments_of_a_draw(
    noise: str, guide: str, double: None
) -> None:
    made, draws = make(noise, guide), 600
    said = outputs(made, draws)
    weight, bias = (made.guide.site_guides[k].distribution() for k in (0, 1))
    x = made.batch[0]["x"]
    loc = (x @ weight.mean.T + bias.mean).detach()
    scale = (x.square() @ weight.variance.T + bias.variance).sqrt().detach()
    assert bool(((said.mean(0) - loc).abs() < 5 * scale / draws**0.5).all())
    torch.testing.assert_close(said.std(0), scale, rtol=5 * 1.2 / draws**0.5, atol=0)
    # weights that all items share make what it says of similar items alike; noise does not
    spread = (said - loc)[:, :, 0]
    shared = outputs(make("weights", guide), draws)[:, :, 0]
    noises, alike = (
        torch.corrcoef(one.T).fill_diagonal_(0).abs().max() for one in (spread, shared)
    )
    biases = (bias.variance[0] / scale[:, 0].square().min()).detach()  # drawn once by flipout
    assert float(noises) < 5 / draws**0.5 + float(biases if noise == "flipout" else 0)
    assert float(alike) > 0.5


def test_noise_of_one_input_is_laplace_under_flipout_and_normal_under_local(
    double: None, failure_rate: float
) -> None:
    found = {}
    for noise in ("local", "flipout"):
        made = make(noise, "laplace", features=1)
        torch.nn.init.zeros_(made.batch[0]["x"]).add_(2.0)
        with torch.no_grad():
            made.guide.site_guides[1]._parameters["scale_unconstrained"].fill_(-30)  # of the bias
        said = outputs(made, 700)[:, 0, 0]
        weight = made.guide.site_guides[0]
        bias = made.guide.site_guides[1].loc[0]
        loc, scale = (2 * weight.loc[0, 0] + bias).item(), 2 * weight.scale[0, 0].item()
        found[noise] = {
            family: stats.kstest(said.numpy(), family, (loc, spread)).pvalue
            for family, spread in (("laplace", scale), ("norm", scale * 2**0.5))
        }
    assert found["flipout"]["laplace"] > failure_rate
    assert found["local"]["norm"] > failure_rate
    assert max(found["flipout"]["norm"], found["local"]["laplace"]) < 0.01


def test_signs_are_fair_and_independent(failure_rate: float) -> None:
    torch.manual_seed(0)
    signs = random_signs(torch.empty(301, 97))
    assert signs.shape == (301, 97)
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    flat = signs.flatten()
    pairs = [(flat[:-lag], flat[lag:]) for lag in (1, 31, 32, 97)]
    for one, other in [(flat, torch.ones_like(flat)), *pairs]:
        agree = int((one == other).sum())
        assert stats.binomtest(agree, len(one)).pvalue > failure_rate / 5
    torch.manual_seed(0)
    assert torch.equal(random_signs(torch.empty(301, 97)), signs)


# ---- the loss, against plain Pyro ----


@pytest.mark.parametrize("prior", ["laplace", "normal", "horseshoe"])
@pytest.mark.parametrize(
    ("elbo", "noise", "guide"),
    [
        (elbo, noise, guide)
        for elbo in ELBOS
        for noise, guide in PAIRS
        if noise == "flipout" or elbo in output_noise.CLOSED_FORM
    ],
)
def test_the_loss_is_that_of_plain_pyro(
    elbo: str, noise: str, guide: str, prior: str, double: None
) -> None:
    made = make(noise, guide, elbo, prior)
    found = float(made.loss(3).detach())
    # the same noise under Pyro's own ELBO, which knows nothing of it but what the network says
    plain = PYRO.get(elbo, TraceMeanField_ELBO)()
    torch.manual_seed(3)
    with (
        pyro.settings.context(module_local_params=True),
        pyro.validation_enabled(True),
        made.noise.applied(*made.batch[:2]),
    ):
        theirs = plain.loss(made.objective.model, made.guide, *made.batch) / (3 * ITEMS)
    assert found == pytest.approx(theirs, rel=1e-6)
    assert found == pytest.approx(float(made.loss(3).detach()), rel=1e-12)
    assert found != pytest.approx(float(made.loss(4).detach()), rel=1e-6)


@pytest.mark.parametrize(("noise", "guide"), PAIRS)
def test_the_kl_is_that_of_the_same_guide_without_it(noise: str, guide: str, double: None) -> None:
    made = make(noise, guide)
    total = float(made.loss(1).detach())
    kl = float(sum(kl_by_site(made.lifted, made.guide).values()).detach()) / (3 * ITEMS)
    assert total - float(made.objective.nll) == pytest.approx(kl, rel=1e-6)
    assert float(made.loss(1, 0.25).detach()) - float(made.objective.nll) == pytest.approx(kl / 4)


def test_without_scale_all_noises_have_one_loss(double: None) -> None:
    found = []
    for noise in NOISES:
        made = make(noise, scale=1e-9)
        made.loss(0)
        found.append(float(made.objective.nll))
    assert found == pytest.approx([found[0]] * 3, rel=1e-6)


@pytest.mark.parametrize("noise", NOISES)
def test_sites_and_their_names_stay(noise: str, double: None) -> None:
    made = make(noise)
    with made.noise.applied(*made.batch[:2]):
        guide = poutine.trace(made.guide).get_trace()
        traced = poutine.trace(poutine.replay(made.objective.model, trace=guide))
        with pyro.settings.context(module_local_params=True):
            model = traced.get_trace(*made.batch)
    names = [name for name in made.lifted.latent if name in guide.nodes]
    assert names == made.lifted.latent
    for name in names:
        fn, value = guide.nodes[name]["fn"], guide.nodes[name]["value"]
        assert model.nodes[name]["value"] is value
        assert torch.equal(value, fn.mean) == (noise == "local")


# ---- the gradients ----


def gradients(made: Made, seeds: range) -> Tensor:
    """Return the gradients of all variational parameters, `seeds x parameters`."""
    parameters = list(made.guide.parameters())
    with pyro.validation_enabled(False):
        found = [torch.autograd.grad(made.loss(seed), parameters) for seed in seeds]
    return torch.stack([torch.cat([g.flatten() for g in one]) for one in found])


def p_value(found: Tensor, expected: Tensor) -> float:
    """Return the smallest p-value of t-tests of equal means, an element each, corrected."""
    tests = stats.ttest_ind(found.numpy(), expected.numpy(), equal_var=False)
    return float(tests.pvalue.min()) * found.shape[1]


UNBIASED = [
    ("local", "normal", FEATURES, 0.4),
    ("flipout", "laplace", FEATURES, 0.4),
    ("flipout", "laplace-tied", FEATURES, 0.4),
    ("local", "laplace", 24, 0.15),
]


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "guide", "features", "scale"), UNBIASED)
def test_gradients_are_those_of_draws_of_the_weights_in_the_mean(
    noise: str,
    guide: str,
    features: int,
    scale: float,
    double: None,
    failure_rate: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options: dict[str, Any] = {"features": features, "scale": scale}
    made, plain = (make(kind, guide, **options) for kind in (noise, "weights"))
    if noise == "local" and guide == "laplace":
        # the second layer has few inputs, of which a sum is not normal yet
        made = made._replace(noise=OutputNoise("local", made.lifted, made.guide))
        layer = made.lifted.module.get_submodule("fusion.0")
        made.noise._layers = {"fusion.0": layer}  # type: ignore[dict-item]
    expected = gradients(plain, range(10_000, 10_400))
    found = gradients(made, range(200))
    assert p_value(found, expected) > failure_rate
    # the negative control: noise twice as large
    right = OutputNoise._local if noise == "local" else OutputNoise._flipped

    def louder(self: OutputNoise, *args: Any) -> Callable[[Tensor], Tensor]:
        forward = right(self, *args)
        layer: nn.Linear = args[1]

        def loud(x: Tensor) -> Tensor:
            calm = x @ args[2][f"{args[0]}.weight"].mean.T + layer.bias
            return calm + 2 * (forward(x) - calm)

        return loud

    monkeypatch.setattr(OutputNoise, right.__name__, louder)
    assert p_value(gradients(made, range(200)), expected) < failure_rate


def test_they_vary_less_than_those_of_draws_of_the_weights(double: None) -> None:
    spread = {}
    for noise in NOISES:
        spread[noise] = float(gradients(make(noise, scale=0.1), range(100)).var(dim=0).sum())
    assert spread["local"] < 0.8 * spread["weights"]
    assert spread["flipout"] < 0.95 * spread["weights"]


# ---- what does not exist ----


def test_what_does_not_exist_is_refused_and_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r'Unknown noise "locla".*Did you mean "local"'):
        make("locla")
    for noise in ("local", "flipout"):
        with pytest.raises(ConfigError, match=r'"lowrank".*--guide laplace.*--noise weights'):
            make(noise, "lowrank")
    make("weights", "lowrank")
    for elbo in ("trace", "rao-blackwell"):
        with pytest.raises(ConfigError, match=r"--elbo annealed or meanfield, or --noise flipout"):
            make("local", elbo=elbo)
        make("flipout", elbo=elbo)
    lifted = lift(Tiny(), parts=["fusion.0.bias"])
    noise = OutputNoise("flipout", lifted, make_guide(lifted))
    items = ({"x": torch.zeros(2, FEATURES)}, torch.ones(2, 1, dtype=torch.bool))
    with pytest.raises(ConfigError, match=r'nothing for the noise "flipout".*--parts'):
        noise.applied(*items).__enter__()


def test_nothing_is_left_changed() -> None:
    torch.set_default_dtype(torch.float32)
    lifted = lift(Tiny())
    guide = make_guide(lifted)
    items = ({"x": torch.zeros(2, FEATURES)}, torch.ones(2, 1, dtype=torch.bool))
    for kind in NOISES:
        noise = OutputNoise(kind, lifted, guide)
        with pytest.raises(RuntimeError, match="stop"), noise.applied(*items):
            raise RuntimeError("stop")
        assert all("forward" not in vars(module) for module in lifted.module.modules())
    drawn = poutine.trace(guide).get_trace().nodes["fusion.0.weight"]
    assert not torch.equal(drawn["value"], drawn["fn"].mean)


@pytest.mark.parametrize("noise", ["local", "flipout"])
def test_training_learns_with_it(
    noise: str, make_fused: Callable[..., Any], make_batches: Callable[..., Any]
) -> None:
    from tests.inference.test_svi import fit

    for guide in ("laplace", "laplace-tied", "normal"):
        result = fit(
            make_fused(guide=guide),
            make_batches(),
            epochs=12,
            noise=noise,
            modality_dropout=0.3,
            classifier_learning_rate=0.02,
        )
        nlls = [row.nll for row in result.history]
        assert nlls[-1] < 0.95 * nlls[0]


def test_names_are_those_of_the_settings() -> None:
    assert set(config.NOISES) == set(NOISES)
    assert set(output_noise.CLOSED_FORM) < set(config.ELBOS)
