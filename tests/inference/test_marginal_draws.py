"""Marginal draws against joint ones: the same for every item, and cheaper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError
from bayesfuse.inference import marginal_draws
from bayesfuse.inference.guides import make_guide
from bayesfuse.inference.lifting import lift
from bayesfuse.inference.linear_layers import first_layers
from bayesfuse.inference.marginal_draws import MarginalDraws
from bayesfuse.inference.output_moments import OutputMoments
from bayesfuse.inference.predictive import PosteriorPredictive
from bayesfuse.inference.priors import Prior
from bayesfuse.models import FusionNetwork
from bayesfuse.models.fusion import FUSIONS

WIDTHS = {"text": 40, "image": 30}
NUM_ITEMS, DRAWS = 20, 1500


def make(guide: str = "laplace", fusion: str = "gmu", scale: float = 0.15, **options: Any) -> Any:
    torch.manual_seed(3)
    parts = options.pop("parts", ("fusion",))
    options = {"hidden": 4, "classifier": "linear", "dropout": 0.0} | options
    network = FusionNetwork(WIDTHS, 3, fusion=fusion, **options)
    lifted = lift(network, Prior("laplace", 0.5), parts)
    return network, lifted, make_guide(lifted, guide, init_scale=scale, rank=2)


def items(seed: int = 0) -> Batches:
    rng = np.random.default_rng(seed)
    arrays = {n: rng.normal(size=(NUM_ITEMS, width)) for n, width in WIDTHS.items()}
    observed = {"image": rng.random(NUM_ITEMS) < 0.7}
    return Batches(FeatureTable.from_arrays(arrays, observed))


def draws_of(made: Any, kind: str, draws: int = DRAWS, **options: Any) -> np.ndarray:
    found = PosteriorPredictive(*made, num_items=50, **{"seed": 1, "kind": kind} | options)
    return np.concatenate(list(found.chunks(items(), draws)), axis=1)


def p_value(marginal: np.ndarray, joint: np.ndarray) -> float:
    """Return the smallest p-value of the two-sample tests of some items and labels, corrected."""
    num_items, num_labels = 8, joint.shape[2]
    found = [
        stats.ks_2samp(marginal[:, i, c], joint[:, i, c]).pvalue
        for i in range(num_items)
        for c in range(num_labels)
    ]
    return min(found) * len(found)


CASES = [
    ("laplace", "gmu"),
    ("laplace-tied", "gmu"),
    ("normal", "gmu"),
    ("laplace", "mixing"),
    ("laplace-tied", "concat"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("guide", "fusion"), CASES)
def test_means_spreads_and_quantiles_are_those_of_joint_draws(
    guide: str, fusion: str, failure_rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(guide, fusion)
    joint, marginal = draws_of(made, "joint", seed=2), draws_of(made, "marginal")
    assert joint.std(axis=0).mean() > 0.03
    assert p_value(marginal, joint) > failure_rate
    error = joint.std(axis=0) * (2 / DRAWS) ** 0.5
    assert (np.abs(marginal.mean(axis=0) - joint.mean(axis=0)) < 5 * error).all()
    np.testing.assert_allclose(marginal.std(axis=0), joint.std(axis=0), rtol=0.2, atol=0.002)
    for level in (0.05, 0.95):
        quantiles = [np.quantile(one, level, axis=0) for one in (marginal, joint)]
        np.testing.assert_allclose(*quantiles, atol=0.05)
    # the negative control: a Laplace weight of variance scale² in place of twice that
    once = OutputMoments.__call__

    def half(self: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        loc, variance = once(self, x)
        return loc, variance / 2

    monkeypatch.setattr(OutputMoments, "__call__", half)
    assert p_value(draws_of(made, "marginal"), joint) < failure_rate


@pytest.mark.parametrize("guide", ["laplace", "laplace-tied", "normal"])
def test_moments_are_those_of_the_draws(guide: str) -> None:
    made = make(guide)
    found = PosteriorPredictive(*made, num_items=50)
    batch = items().read(slice(None))
    layers = first_layers(made[1], made[2], batch.inputs, batch.observed)
    loc, sd = MarginalDraws(made[1], made[2], layers).moments(batch.inputs, batch.observed)[
        "fusion.text"
    ]
    x = made[0].standardise(batch.inputs, batch.observed)["text"]
    seen = []
    for draw in range(800):
        weights = found.weights(draw)
        seen.append(x @ weights["fusion.text.weight"].T + weights["fusion.text.bias"])
    drawn = torch.stack(seen)
    assert ((drawn.mean(0) - loc).abs() < 5 * sd / 800**0.5).all()
    torch.testing.assert_close(drawn.std(0), sd, rtol=0.2, atol=0)


def test_labels_of_an_item_are_joint(failure_rate: float) -> None:
    made = make()
    joint, marginal = draws_of(made, "joint", seed=2), draws_of(made, "marginal")
    logits = [np.log(one / (1 - one)) for one in (joint, marginal)]
    for item in range(4):
        expected, found = (np.corrcoef(one[:, item].T) for one in logits)
        np.testing.assert_allclose(found, expected, atol=0.15)
        assert np.abs(expected - np.eye(3)).max() > 0.2


def test_they_do_not_depend_on_other_items_nor_on_how_they_are_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = make("laplace", "mixing")
    every = draws_of(made, "marginal", 12)
    found = PosteriorPredictive(*made, num_items=50, seed=1, kind="marginal")
    few = Batches(items().features.take(range(4, 9)))
    np.testing.assert_allclose(next(found.chunks(few, 12)), every[:, 4:9], atol=1e-6)
    np.testing.assert_allclose(next(found.chunks(items(), range(3, 7))), every[3:7], atol=1e-6)
    for name, size in (("DRAWS_AT_ONCE", 5), ("PRODUCT_ITEMS", 7)):
        monkeypatch.setattr(marginal_draws, name, size)
    monkeypatch.setattr(MarginalDraws, "_items_at_once", lambda _: 3)
    np.testing.assert_allclose(draws_of(made, "marginal", 12), every, atol=1e-6)
    parts = list(found.chunks(items(), 12, memory_budget=1))
    assert len(parts) == 2
    np.testing.assert_allclose(np.concatenate(parts, axis=1), every, atol=1e-6)
    assert np.abs(draws_of(made, "marginal", 12, seed=2) - every).max() > 0.01


def test_what_cannot_be_marginal_is_refused_and_says_why() -> None:
    for options, why in (
        ({"guide": "lowrank"}, "no layer reads the features"),
        ({"parts": ("fusion.absent",)}, "no layer reads the features"),
    ):
        with pytest.raises(ConfigError, match=why):
            draws_of(make(**options), "marginal", 2)
    with pytest.raises(ConfigError, match="the prior"):
        draws_of(make(), "marginal", 2, prior=True)
    with pytest.raises(ConfigError, match='"join"'):
        draws_of(make(), "join", 2)


def test_a_network_without_posterior_has_its_one_draw() -> None:
    network = make()[0]
    found, same = (
        next(PosteriorPredictive(network, None, None, num_items=9, kind=kind).chunks(items(), 5))
        for kind in ("marginal", "joint")
    )
    np.testing.assert_array_equal(found, same)


def test_nothing_is_left_changed() -> None:
    made = make()
    before = torch.get_rng_state()
    draws_of(made, "marginal", 3)
    assert torch.equal(torch.get_rng_state(), before)
    assert all("forward" not in vars(module) for module in made[0].modules())
    assert not any(module._forward_pre_hooks for module in made[0].modules())
    assert made[0].training


def test_bfloat16_is_near() -> None:
    made = make()
    exact = draws_of(made, "marginal", 8)
    rough = draws_of(made, "marginal", 8, precision=torch.bfloat16)
    assert 0 < np.abs(exact - rough).max() < 0.06


@pytest.mark.parametrize(
    "fusion",
    [
        pytest.param(rule, marks=() if rule in ("gmu", "swiglu") else pytest.mark.slow)
        for rule in sorted(set(FUSIONS) - {"bitransformer", "mmbt"})
    ],
)
def test_every_fusion_rule_has_them(fusion: str, failure_rate: float) -> None:
    made = make(fusion=fusion)
    joint, marginal = draws_of(made, "joint", 300, seed=2), draws_of(made, "marginal", 300)
    assert p_value(marginal, joint) > failure_rate


@pytest.mark.parametrize("parts", [("0",), ("0", "1")])
def test_batch_norm_is_the_same_in_one_pass(parts: tuple[str, ...]) -> None:
    norm, other = nn.BatchNorm1d(5), nn.BatchNorm1d(5, affine=False)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.uniform_(0.5, 2)
    lifted = lift(nn.Sequential(nn.Linear(5, 5), norm, other).eval(), parts=parts)
    found = marginal_draws._norms(lifted)
    assert list(found) == ([norm] if parts == ("0",) else [])  # not one of random weights
    x = torch.randn(7, 5)
    for module, forward in found.items():
        torch.testing.assert_close(forward(x), module(x), rtol=1e-5, atol=1e-6)
