from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pyro
import pyro.distributions as dist
import pytest
import torch
import torch.nn.functional as F
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceGraph_ELBO, TraceMeanField_ELBO
from scipy import stats
from torch import Tensor, nn

from bayesfuse.errors import ConfigError
from bayesfuse.inference.elbo import ELBOS, MIN_BETA, MultiLabelModel, Objective, kl_by_site
from bayesfuse.inference.guides import Guide, make_guide
from bayesfuse.inference.lifting import LiftedModule, lift
from bayesfuse.inference.local_params import with_local_params
from bayesfuse.inference.low_rank import LowRankNormal
from bayesfuse.inference.priors import Prior

NUM_ITEMS, NUM_LABELS, FEATURES, HIDDEN = 24, 3, 4, 2
PRIORS = ["laplace", "normal", "horseshoe"]
GUIDES = ["laplace", "laplace-tied", "normal", "lowrank"]
PYRO = {"meanfield": TraceMeanField_ELBO, "trace": Trace_ELBO, "rao-blackwell": TraceGraph_ELBO}


class Tiny(nn.Module):
    """The smallest network with a random part and a classifier; one modality, always observed."""

    def __init__(self) -> None:
        super().__init__()
        self.fusion = nn.Linear(FEATURES, HIDDEN)
        self.classifier = nn.Linear(HIDDEN, NUM_LABELS)

    def forward(self, inputs: dict[str, Tensor], observed: Tensor) -> Tensor:
        logits: Tensor = self.classifier(torch.tanh(self.fusion(inputs["x"])))
        return logits


class Items(NamedTuple):
    inputs: dict[str, Tensor]
    observed: Tensor
    labels: Tensor

    def take(self, rows: Any) -> Items:
        return Items({"x": self.inputs["x"][rows]}, self.observed[rows], self.labels[rows])


@pytest.fixture
def items(double: None) -> Items:
    generator = torch.Generator().manual_seed(5)
    values = torch.randn(NUM_ITEMS, FEATURES, generator=generator)
    labels = (torch.rand(NUM_ITEMS, NUM_LABELS, generator=generator) < 0.4).double()
    return Items({"x": values}, torch.ones(NUM_ITEMS, 1, dtype=torch.bool), labels)


def tiny(prior: str = "laplace", guide: str = "laplace") -> tuple[LiftedModule, Guide]:
    torch.manual_seed(2)
    lifted = lift(Tiny(), Prior(prior, 0.3))
    return lifted, make_guide(lifted, guide, init_scale=0.2, rank=2)


def objective(
    prior: str = "laplace", guide: str = "laplace", elbo: str = "annealed", **options: Any
) -> Objective:
    lifted, made = tiny(prior, guide)
    model = MultiLabelModel(lifted, options.pop("num_items", NUM_ITEMS))
    return Objective(model, made, elbo, **options)


def loss_at(seed: int, made: Objective, batch: Items, beta: float = 1.0) -> Tensor:
    """Return the loss with the draws of a seed: the same weights for the same seed."""
    torch.manual_seed(seed)
    return made.loss(*batch, beta=beta)


# ---- against plain Pyro, written by hand ----


def plain_pyro(
    prior: str, family: str, made: Objective, batch: Items, plate_size: int = NUM_ITEMS
) -> tuple[Callable[[], None], Callable[[], None], dict[str, Tensor]]:
    """Return a model and a guide without any class of bayesfuse but the low-rank normal.

    The third is the guide's parameters, as plain tensors to take gradients of.
    """
    network = made.model.lifted.module
    shapes = {"fusion.weight": (HIDDEN, FEATURES), "fusion.bias": (HIDDEN,)}
    leaves: dict[str, Tensor] = {}
    for site in made.guide.site_guides:
        tied = site.site_name == "fusion.weight" and family == "laplace-tied"
        names = ("loc", "rows", "columns") if tied else ("loc", "scale", "factor")
        for name in names:
            value = getattr(site, name, None)
            if value is not None:
                leaves[f"{site.site_name}.{name}"] = value.detach().clone().requires_grad_()

    def prior_of(name: str, shape: tuple[int, ...]) -> Any:
        zero = torch.zeros(shape)
        if prior == "laplace":
            return dist.Laplace(zero, 0.3).to_event(len(shape))
        if prior == "normal":
            return dist.Normal(zero, 0.3).to_event(len(shape))
        tau = pyro.sample(f"{name}.global", dist.HalfCauchy(torch.tensor(0.3)))
        local = pyro.sample(f"{name}.local", dist.HalfCauchy(torch.ones(shape[-1])).to_event(1))
        return dist.Normal(zero, (tau * local).expand(shape)).to_event(len(shape))

    def model() -> None:
        w = {name: pyro.sample(name, prior_of(name, shape)) for name, shape in shapes.items()}
        hidden = torch.tanh(batch.inputs["x"] @ w["fusion.weight"].T + w["fusion.bias"])
        logits = hidden @ network.classifier.weight.T + network.classifier.bias
        size = len(logits)
        with (
            pyro.plate(
                "rows", plate_size, subsample_size=size, subsample=torch.arange(size), dim=-2
            ),
            pyro.plate("tags", NUM_LABELS, dim=-1),
        ):
            pyro.sample("y", dist.Bernoulli(logits=logits), obs=batch.labels)

    def guide() -> None:
        for name, shape in shapes.items():
            if prior == "horseshoe":
                for kind, dims in (("global", 0), ("local", 1)):
                    loc, scale = (leaves[f"{name}.{kind}.{x}"] for x in ("loc", "scale"))
                    pyro.sample(f"{name}.{kind}", dist.LogNormal(loc, scale).to_event(dims))
            loc = leaves[f"{name}.loc"]
            if family == "laplace-tied" and len(shape) == 2:
                a, b = leaves[f"{name}.rows"], leaves[f"{name}.columns"]
                scale = (a[:, None] * b[None]).sum(dim=2)
            else:
                scale = leaves[f"{name}.scale"]
            if family == "lowrank":
                pyro.sample(name, LowRankNormal(loc, leaves[f"{name}.factor"], scale))
            else:
                kind_of = dist.Normal if family == "normal" else dist.Laplace
                pyro.sample(name, kind_of(loc, scale).to_event(len(shape)))

    return model, guide, leaves


@pytest.mark.parametrize("family", GUIDES)
@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("elbo", PYRO)
def test_the_loss_is_that_of_plain_pyro(elbo: str, prior: str, family: str, items: Items) -> None:
    made = objective(prior, family, elbo)
    batch = items.take(slice(0, 8))
    ours = loss_at(7, made, batch)
    model, guide, leaves = plain_pyro(prior, family, made, batch)
    torch.manual_seed(7)
    theirs = PYRO[elbo]().loss(model, guide) / NUM_ITEMS
    assert float(ours.detach()) == pytest.approx(theirs, rel=1e-10, abs=1e-10)
    torch.manual_seed(7)
    if elbo == "rao-blackwell":
        pyros = TraceGraph_ELBO()._loss_and_surrogate_loss(model, guide, (), {})[1] / NUM_ITEMS
    else:
        pyros = PYRO[elbo]().differentiable_loss(model, guide) / NUM_ITEMS
    gradients = torch.autograd.grad(pyros, list(leaves.values()))
    through = dict(zip(leaves, gradients, strict=True))
    ours.backward()
    for site in made.guide.site_guides:
        found = site._parameters["loc_unconstrained"].grad
        torch.testing.assert_close(found, through[f"{site.site_name}.loc"])
        for name in ("rows", "columns"):
            if f"{site.site_name}.{name}" in through:
                free = site._parameters[f"{name}_unconstrained"]
                slope = torch.sigmoid(free.detach())  # of the softplus
                found = through[f"{site.site_name}.{name}"] * slope
                torch.testing.assert_close(free.grad, found)


@pytest.mark.parametrize(("num_items", "plate"), [(48, 24), (24, 48), (24, 8)])
def test_another_number_of_items_is_another_loss(num_items: int, plate: int, items: Items) -> None:
    made = objective(num_items=num_items, elbo="meanfield")
    batch = items.take(slice(0, 8))
    model, guide, _ = plain_pyro("laplace", "laplace", made, batch, plate)
    torch.manual_seed(7)
    theirs = TraceMeanField_ELBO().loss(model, guide) / NUM_ITEMS
    assert float(loss_at(7, made, batch).detach()) != pytest.approx(theirs, rel=1e-3)


@pytest.mark.parametrize("family", GUIDES)
@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("elbo", ELBOS)
def test_checked_and_unchecked_steps_agree_exactly(
    elbo: str, prior: str, family: str, items: Items
) -> None:
    found = []
    for checked in (True, False):
        made = objective(prior, family, elbo)
        with pyro.validation_enabled(checked):
            loss = loss_at(3, made, items, beta=0.4)
        loss.backward()
        gradients = [parameter.grad for parameter in made.guide.parameters()]
        found.append((loss.detach(), made.nll, gradients))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


# ---- the equation ----


@pytest.mark.parametrize("elbo", ELBOS)
def test_the_loss_is_the_equation(elbo: str, items: Items) -> None:
    made = objective(elbo=elbo)
    batch = items.take(slice(0, 6))
    loss = loss_at(1, made, batch, beta=0.7)
    torch.manual_seed(1)
    weights = with_local_params(made.guide)()
    logits = made.model.lifted.run(weights, batch.inputs, batch.observed)
    bce = F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="sum") / 6
    torch.testing.assert_close(made.nll, bce.detach())
    if elbo in {"meanfield", "annealed"}:
        kl = sum(kl_by_site(made.model.lifted, made.guide).values())
    else:
        kl = sum(
            (guide.distribution().log_prob(weights[site.name]).sum())
            - dist.Laplace(0.0, 0.3).log_prob(weights[site.name]).sum()
            for guide, site in zip(made.guide.site_guides, made.model.lifted.sites, strict=True)
        )
    torch.testing.assert_close(loss, bce + 0.7 * kl / NUM_ITEMS)


def test_a_partition_into_minibatches_averages_to_the_full_loss(items: Items) -> None:
    made = objective()
    full = loss_at(4, made, items)
    parts = torch.randperm(NUM_ITEMS).reshape(4, 6)
    mean = torch.stack([loss_at(4, made, items.take(rows)) for rows in parts]).mean()
    torch.testing.assert_close(mean, full, rtol=1e-13, atol=1e-13)
    # parts of different sizes are not, unless weighted: why an epoch is cut into equal parts
    uneven = torch.stack(
        [loss_at(4, made, items.take(rows)) for rows in (parts[0], parts[1:].flatten())]
    )
    assert float(uneven.detach().mean()) != pytest.approx(float(full.detach()), abs=1e-6)


def test_random_minibatches_are_unbiased(items: Items, failure_rate: float) -> None:
    made = objective()
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randperm(NUM_ITEMS, generator=generator)[:6] for _ in range(300)]
    with torch.no_grad():
        full = float(loss_at(4, made, items))
        found = torch.stack([loss_at(4, made, items.take(r)) for r in rows]).numpy()
        unscaled = objective(num_items=6)
        wrong = torch.stack([loss_at(4, unscaled, items.take(r)) for r in rows]).numpy()
    assert stats.ttest_1samp(found, full).pvalue > failure_rate
    assert stats.ttest_1samp(wrong, full).pvalue < failure_rate


def test_several_particles_are_the_mean_of_single_ones(items: Items) -> None:
    for elbo in ELBOS:
        many, one = objective(elbo=elbo, num_particles=3), objective(elbo=elbo)
        together = loss_at(9, many, items)
        torch.manual_seed(9)
        alone = [(one.loss(*items), one.nll) for _ in range(3)]
        torch.testing.assert_close(together, torch.stack([loss for loss, _ in alone]).mean())
        torch.testing.assert_close(many.nll, torch.stack([nll for _, nll in alone]).mean())


def test_shares_of_sources_have_the_mean_of_their_losses(items: Items) -> None:
    others = 1 - items.labels.flip(0)
    shares = 0.7 * items.labels + 0.3 * others
    for elbo in ELBOS:
        made = objective(elbo=elbo)
        with torch.no_grad(), pyro.validation_enabled(True):
            of_shares = loss_at(3, made, items._replace(labels=shares))
            each = [
                loss_at(3, made, items._replace(labels=part)) for part in (items.labels, others)
            ]
            rounded = loss_at(3, made, items._replace(labels=shares.round()))
        torch.testing.assert_close(of_shares, 0.7 * each[0] + 0.3 * each[1])
        assert abs(float(of_shares - rounded)) > 0.01  # the control: most of them, and not all


# ---- annealing ----


def slope(made: Objective, items: Items) -> float:
    """Return the derivative of the loss in beta, and check that it is the same everywhere."""
    with torch.no_grad():
        at = {beta: float(loss_at(3, made, items, beta=beta)) for beta in (0.25, 0.5, 1.0, 3.0)}
    assert at[1.0] - at[0.5] == pytest.approx(2 * (at[0.5] - at[0.25]), abs=1e-9)
    assert at[3.0] - at[1.0] == pytest.approx(4 * (at[1.0] - at[0.5]), abs=1e-9)
    return 2 * (at[1.0] - at[0.5])


@pytest.mark.parametrize("family", GUIDES)
@pytest.mark.parametrize("prior", PRIORS)
def test_beta_weighs_the_kl_of_every_latent_site(prior: str, family: str, items: Items) -> None:
    made = objective(prior, family)
    torch.manual_seed(3)
    with torch.no_grad():
        by_site = kl_by_site(made.model.lifted, made.guide)
    assert list(by_site) == made.model.lifted.latent
    assert slope(made, items) == pytest.approx(float(sum(by_site.values())) / NUM_ITEMS)
    if prior != "horseshoe":
        assert all(float(kl) > 0 for kl in by_site.values())
        assert slope(made, items) == pytest.approx(float(made.kl().detach()))


class Forgetful(Guide):
    """A guide whose last site the annealing does not reach."""

    def forward(self, *_: object, beta: float = 1.0, **__: object) -> dict[str, Tensor]:
        *first, last = self.site_guides
        with poutine.scale(scale=beta):
            draws = {guide.site_name: guide() for guide in first}
        return draws | {last.site_name: last()}


def test_a_site_that_beta_does_not_reach_would_be_noticed(items: Items) -> None:
    made = objective()
    wrong = with_local_params(Forgetful)(list(made.guide.site_guides))
    kl = float(made.kl().detach())
    assert slope(made, items) == pytest.approx(kl)
    assert slope(Objective(made.model, wrong), items) < 0.99 * kl


def test_beta_zero_is_the_likelihood(items: Items) -> None:
    made = objective()
    loss = loss_at(3, made, items, beta=0.0)
    assert float(loss.detach()) == pytest.approx(float(made.nll), abs=100 * MIN_BETA)
    before = float(made.nll)
    loss_at(3, made, items, beta=2.0)
    assert float(made.nll) == before


@pytest.mark.parametrize("elbo", ELBOS)
def test_the_classifier_gets_the_gradient_of_its_cross_entropy_alone(
    elbo: str, items: Items
) -> None:
    made = objective(elbo=elbo)
    classifier = made.model.lifted.free_parameters()
    variational = list(made.guide.parameters())
    assert len(classifier) == 2
    of_classifier, of_guide = [], []
    for beta in (0.1, 1.0):
        loss = loss_at(3, made, items, beta=beta)
        gradients = torch.autograd.grad(loss, [*classifier, *variational])
        of_classifier.append(gradients[:2])
        of_guide.append(gradients[2:])
    torch.manual_seed(3)
    weights = with_local_params(made.guide)()
    logits = made.model.lifted.run(weights, items.inputs, items.observed)
    bce = F.binary_cross_entropy_with_logits(logits, items.labels, reduction="sum") / NUM_ITEMS
    expected = torch.autograd.grad(bce, classifier)
    for found in of_classifier:
        torch.testing.assert_close(found, expected)
    assert all(not torch.allclose(a, b) for a, b in zip(*of_guide, strict=True))


def test_the_variational_gradient_of_the_kl_is_that_of_the_closed_form(items: Items) -> None:
    made = objective()
    variational = list(made.guide.parameters())
    steep, flat = (
        torch.autograd.grad(loss_at(3, made, items, beta=beta), variational) for beta in (1.5, 0.5)
    )
    expected = torch.autograd.grad(made.kl(), variational)
    torch.testing.assert_close([a - b for a, b in zip(steep, flat, strict=True)], list(expected))


def test_the_kl_is_the_difference_of_mean_log_densities(items: Items, failure_rate: float) -> None:
    for prior, family in (("laplace", "laplace"), ("normal", "lowrank")):
        made = objective(prior, family, "trace")
        with torch.no_grad():
            torch.manual_seed(0)
            draws = []
            for _ in range(400):
                loss = made.loss(*items)
                draws.append(float(loss) - float(made.nll))
            kl = float(made.kl())
        assert stats.ttest_1samp(draws, kl).pvalue > failure_rate
        assert stats.ttest_1samp(draws, 1.2 * kl).pvalue < failure_rate


# ---- the model ----


def test_the_model_draws_labels_with_its_own_probabilities(
    items: Items, failure_rate: float
) -> None:
    lifted, _ = tiny()
    model = MultiLabelModel(lifted, NUM_ITEMS)
    weights = {site.name: torch.full(site.shape, 0.5) for site in lifted.sites}
    counts = torch.zeros(NUM_ITEMS, NUM_LABELS)
    for _ in range(200):
        trace = poutine.trace(poutine.condition(model, weights)).get_trace(*items[:2])
        counts += trace.nodes["y"]["value"]
    expected = torch.sigmoid(lifted.run(weights, *items[:2])).detach()
    total = ((counts - 200 * expected).square() / (200 * expected * (1 - expected))).sum()
    assert stats.chi2.sf(float(total), NUM_ITEMS * NUM_LABELS) > failure_rate
    assert trace.nodes["y"]["fn"].batch_shape == (NUM_ITEMS, NUM_LABELS)
    assert {"items", "labels"} <= set(trace.nodes)


def test_an_unknown_elbo_names_the_nearest() -> None:
    lifted, guide = tiny()
    with pytest.raises(ConfigError, match=r'Unknown ELBO "anealed".*Did you mean "annealed"'):
        Objective(MultiLabelModel(lifted, 3), guide, "anealed")
