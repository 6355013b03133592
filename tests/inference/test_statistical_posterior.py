"""Posteriors that a grid tells exactly: does a guide come as near to them as its family can?

A logistic regression with one weight under a Laplace prior; `COPIES` of it side by side, each with
a column of the labels and draws of its own, so that one training is many independent ones. For the
low-rank normal, which is about what weights have to do with one another, one with two weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import optimize, stats
from torch import Tensor, nn

from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.inference.annealing import AnnealingSchedule
from bayesfuse.inference.elbo import ELBOS, MultiLabelModel, Objective
from bayesfuse.inference.guides import Guide, make_guide
from bayesfuse.inference.history import SVISettings
from bayesfuse.inference.lifting import LiftedModule, lift
from bayesfuse.inference.priors import Prior
from bayesfuse.inference.svi import SVI

COPIES = 64
OPTIMISER_SLACK = 0.05
"""Of a scale: what Adam's last, small steps may leave between a guide and its optimum."""

Array = NDArray[np.float64]


class Case(NamedTuple):
    """Data that leave a kind of posterior: so many items, their spread, and the prior's scale."""

    num_items: int
    true_weight: float
    spread: float
    prior_scale: float


CASES = {
    "near the prior": Case(6, 1.0, 0.3, 0.3),
    "sharply determined": Case(300, 1.2, 1.0, 0.5),
    "at the kink": Case(40, 0.0, 1.0, 0.15),
}


class OneWeight(nn.Module):
    """Logit w_r x for every copy r."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(COPIES))

    def forward(self, inputs: dict[str, Tensor], observed: Tensor) -> Tensor:
        return inputs["x"] * self.weight


class Items(NamedTuple):
    x: NDArray[np.float32]
    y: NDArray[np.float32]

    def batches(self) -> Batches:
        labels = np.repeat(self.y[:, None], COPIES, axis=1)
        return Batches(FeatureTable.from_arrays({"x": self.x[:, None]}), labels)


def draw_items(case: Case) -> Items:
    rng = np.random.default_rng(1)
    x = case.spread * rng.normal(size=case.num_items)
    y = rng.random(case.num_items) < 1 / (1 + np.exp(-case.true_weight * x))
    return Items(x.astype(np.float32), y.astype(np.float32))


class GridPosterior:
    """The posterior density of the weight on a grid, and KL(q ‖ posterior) by summing over it."""

    def __init__(self, items: Items, prior_scale: float) -> None:
        self.w = np.linspace(-10, 10, 20_001)
        self.step = self.w[1] - self.w[0]
        logits = np.outer(self.w, items.x)
        log_joint = (items.y * logits - np.logaddexp(0, logits)).sum(axis=1)
        log_joint += stats.laplace(0, prior_scale).logpdf(self.w)
        self.log_evidence = np.logaddexp.reduce(log_joint) + np.log(self.step)
        self.log_density = log_joint - self.log_evidence

    def kl(self, family: str, loc: float, scale: float) -> float:
        log_q = getattr(stats, family)(loc, scale).logpdf(self.w)
        return float((np.exp(log_q) * (log_q - self.log_density)).sum() * self.step)

    def optimum(self, family: str) -> tuple[float, float, float]:
        """Return the family's own best loc and scale, and the KL that they leave."""
        p = np.exp(self.log_density) * self.step
        mean = (p * self.w).sum()
        sd = np.sqrt((p * (self.w - mean) ** 2).sum())
        found = optimize.minimize(
            lambda at: self.kl(family, mean + sd * at[0], sd * np.exp(at[1])),
            [0.0, -0.3],
            method="Nelder-Mead",
            options={"xatol": 1e-4, "fatol": 1e-8},
        )
        return mean + sd * found.x[0], sd * np.exp(found.x[1]), found.fun


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def fit(
    case: Case, items: Items, guide: str, epochs: int = 300, temperature: float = 1.0
) -> tuple[Array, Array]:
    """Return the loc and the scale of every copy, fitted by SVI on halves of the items."""
    network = OneWeight()
    lifted = lift(network, Prior("laplace", case.prior_scale), parts=["weight"])
    made = make_guide(lifted, guide, init_scale=0.1)
    settings = SVISettings(
        annealing=AnnealingSchedule(end=temperature, epochs=0),
        epochs=epochs,
        batch_size=case.num_items // 2,
        learning_rate=0.05,
        warmup_epochs=0,
    )
    SVI(network, lifted, made, settings).fit(items.batches())
    found = (made.locations(), made.scales())
    loc, scale = (value["weight"].detach().double().numpy() for value in found)
    return loc, scale


FAMILIES = {"laplace": "laplace", "normal": "norm"}


class Fit(NamedTuple):
    posterior: GridPosterior
    family: str
    loc: Array
    scale: Array


@pytest.fixture(params=FAMILIES)
def fitted(request: pytest.FixtureRequest, case: Case) -> Fit:
    items = draw_items(case)
    posterior = GridPosterior(items, case.prior_scale)
    return Fit(posterior, FAMILIES[request.param], *fit(case, items, request.param))


@pytest.fixture
def at_optimum(p_beyond: Callable[..., float]) -> Callable[[Fit], float]:
    """Return the p-value of a guide's loc and scale both being those of its family's optimum."""

    def test(fit: Fit) -> float:
        loc, scale, _ = fit.posterior.optimum(fit.family)
        of_loc = p_beyond((fit.loc - loc) / scale, OPTIMISER_SLACK)
        of_scale = p_beyond(np.log(fit.scale / scale), OPTIMISER_SLACK)
        return min(1.0, 2 * min(of_loc, of_scale))

    return test


def kl_gap(fit: Fit) -> float:
    """Return how much more KL the mean copy has than the optimum, in nats."""
    best = fit.posterior.optimum(fit.family)[2]
    copies = zip(fit.loc[:16], fit.scale[:16], strict=True)
    return float(np.mean([fit.posterior.kl(fit.family, *copy) for copy in copies])) - best


def test_guide_reaches_the_optimum_of_its_family(
    fitted: Fit, at_optimum: Callable[[Fit], float], failure_rate: float
) -> None:
    assert at_optimum(fitted) > failure_rate
    # round the optimum KL grows by about 1 nat a squared scale of loc and a squared log scale, and
    # one copy scatters by a tenth of either
    assert 0 <= kl_gap(fitted) < 0.02
    wider = fitted._replace(scale=2 * fitted.scale)
    assert at_optimum(wider) < failure_rate
    assert kl_gap(wider) > 0.02
    moved = fitted._replace(loc=fitted.loc + 0.5 * fitted.scale)
    assert at_optimum(moved) < failure_rate


def test_cold_posterior_is_not_at_the_optimum(
    at_optimum: Callable[[Fit], float], failure_rate: float
) -> None:
    # what a KL divided by the wrong number of items would fit
    case = CASES["sharply determined"]
    items = draw_items(case)
    cold = fit(case, items, "normal", epochs=100, temperature=0.25)
    assert at_optimum(Fit(GridPosterior(items, case.prior_scale), "norm", *cold)) < failure_rate


def elbo_draws(
    posterior_family: str, elbo: str, case: Case, *, beta: float = 1.0, num_items: int | None = None
) -> Array:
    """Return estimates of ELBO − (log evidence − KL(q ‖ posterior)) by minibatches, in nats."""
    items = draw_items(case)
    posterior = GridPosterior(items, case.prior_scale)
    loc, scale, kl = posterior.optimum(FAMILIES[posterior_family])
    lifted, guide = fixed_guide(case, posterior_family, loc, scale)
    model = MultiLabelModel(lifted, num_items or case.num_items)
    objective = Objective(model, guide, elbo)
    found = []
    rng = np.random.default_rng(2)
    with torch.no_grad():
        for _ in range(20):
            # the two halves of an epoch together are all items, so that these add no noise
            batches = items.batches().shuffled(case.num_items // 2, rng)
            losses = [objective.loss(*batch, beta=beta) for batch in batches]
            found.append(-float(torch.stack(losses).mean()) * model.num_items / COPIES)
    return np.array(found) - (posterior.log_evidence - kl)


def fixed_guide(case: Case, family: str, loc: float, scale: float) -> tuple[LiftedModule, Guide]:
    lifted = lift(OneWeight(), Prior("laplace", case.prior_scale), parts=["weight"])
    return lifted, make_guide(lifted, family, init_loc=loc, init_scale=scale)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("elbo", ELBOS)
def test_elbo_is_the_evidence_less_the_kl_to_the_posterior(
    elbo: str, family: str, p_beyond: Callable[..., float], failure_rate: float
) -> None:
    case = CASES["sharply determined"]
    assert p_beyond(elbo_draws(family, elbo, case)) > failure_rate
    # a KL that counts half, and a minibatch taken for the whole training set
    assert p_beyond(elbo_draws(family, elbo, case, beta=0.5)) < failure_rate
    half = case.num_items // 2
    assert p_beyond(elbo_draws(family, elbo, case, num_items=half)) < failure_rate


PAIRS = 8


class TwoWeights(nn.Module):
    """Logit w_r · x for every copy r, whose weights are a site of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList([torch.zeros(2) for _ in range(PAIRS)])

    def forward(self, inputs: dict[str, Tensor], observed: Tensor) -> Tensor:
        return torch.stack([inputs["x"] @ weight for weight in self.weights], dim=1)


class Pairs(NamedTuple):
    """Locations and covariances of the copies: copies x 2, copies x 2 x 2."""

    loc: Array
    covariance: Array

    @property
    def scale(self) -> Array:
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    @property
    def correlation(self) -> Array:
        correlation: Array = self.covariance[:, 0, 1] / self.scale.prod(axis=1)
        return correlation


def correlated_items() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(4)
    first = rng.normal(size=60)
    x = np.stack([first, 0.8 * first + 0.6 * rng.normal(size=60)], axis=1)
    y = rng.random(60) < 1 / (1 + np.exp(-x[:, 0]))
    return x.astype(np.float32), y.astype(np.float32)


def fit_pairs(guide: str) -> Pairs:
    x, y = correlated_items()
    network = TwoWeights()
    lifted = lift(network, Prior("laplace", 1.0), parts=["weights"])
    made = make_guide(lifted, guide, init_scale=0.2, rank=2)
    settings = SVISettings(
        annealing=AnnealingSchedule(epochs=0),
        epochs=300,
        batch_size=len(x),
        learning_rate=0.05,
        warmup_epochs=0,
    )
    items = FeatureTable.from_arrays({"x": x})
    SVI(network, lifted, made, settings).fit(Batches(items, np.repeat(y[:, None], PAIRS, axis=1)))
    covariances = []
    for site in made.site_guides:
        covariance = site.scale.detach().square().diag()
        if guide == "lowrank":
            covariance = covariance + site.factor.detach() @ site.factor.detach().T
        covariances.append(covariance.double().numpy())
    loc = [site.loc.detach().double().numpy() for site in made.site_guides]
    return Pairs(np.stack(loc), np.stack(covariances))


def best_pair() -> Pairs:
    """Return the normal with any covariance that is nearest to the posterior, on a grid."""
    x, y = correlated_items()
    axis = np.linspace(-4, 5, 181)
    w = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    logits = w @ x.T
    log_joint = (y * logits - np.logaddexp(0, logits)).sum(axis=1) - np.abs(w).sum(axis=1)

    def read(at: Array) -> tuple[Array, Array]:
        lower = np.array([[np.exp(at[2]), 0.0], [at[4], np.exp(at[3])]])
        return at[:2], lower @ lower.T

    def kl(at: Array) -> float:
        log_q = stats.multivariate_normal(*read(at)).logpdf(w)
        return float((np.exp(log_q) * (log_q - log_joint)).sum() * (axis[1] - axis[0]) ** 2)

    start = [*w[log_joint.argmax()], -1.0, -1.0, 0.0]
    options = {"xatol": 1e-4, "fatol": 1e-7, "maxiter": 2000}
    loc, covariance = read(optimize.minimize(kl, start, method="Nelder-Mead", options=options).x)
    return Pairs(loc[None], covariance[None])


@pytest.mark.slow
def test_low_rank_guide_reaches_the_best_normal_of_any_covariance(
    p_beyond: Callable[..., float], failure_rate: float
) -> None:
    best = best_pair()
    assert best.correlation[0] < -0.6

    def at_optimum(found: Pairs) -> float:
        of_loc = [
            p_beyond(column, OPTIMISER_SLACK) for column in ((found.loc - best.loc) / best.scale).T
        ]
        of_scale = [
            p_beyond(column, OPTIMISER_SLACK) for column in np.log(found.scale / best.scale).T
        ]
        of_both = p_beyond(found.correlation - best.correlation, OPTIMISER_SLACK)
        return min(1.0, 5 * min(*of_loc, *of_scale, of_both))

    low_rank = fit_pairs("lowrank")
    assert at_optimum(low_rank) > failure_rate
    assert at_optimum(low_rank._replace(covariance=4 * low_rank.covariance)) < failure_rate
    # weights that know nothing of one another: as wide as they are given each other
    mean_field = fit_pairs("normal")
    assert at_optimum(mean_field) < failure_rate
