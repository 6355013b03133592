"""From settings to a network with a posterior, and to and from tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesfuse.config import ModelConfig
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError, RunFolderError
from bayesfuse.estimator.model import (
    BayesianModel,
    build_model,
    set_data_statistics,
    svi_settings,
)
from bayesfuse.inference.history import SVISettings
from bayesfuse.inference.losses import Loss

WIDTHS = {"text": 3, "image": 2}


def model(**settings: object) -> BayesianModel:
    """Return a tiny model of 4 labels on the CPU."""
    tiny = {"hidden": 5, "classifier_hidden": 5, "device": "cpu", **settings}
    return build_model(WIDTHS, 4, 20, ModelConfig.parse(tiny))


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Return whether all values are equal to the bit; NaN marks a logit that is not fixed."""
    return torch.equal(one.nan_to_num(nan=-77.0), other.nan_to_num(nan=-77.0))


def test_the_seed_makes_the_model_and_leaves_the_generator_alone():
    state = torch.get_rng_state()
    first, again, other = (model(seed=seed, guide="lowrank").tensors() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(same(first[name], again[name]) for name in first)
    assert not all(same(first[name], other[name]) for name in first)


def test_parameters_are_counted_once_and_wholly():
    twin, bayes = model(elbo="none"), model()
    deterministic = sum(p.numel() for p in twin.network.parameters())
    assert twin.num_parameters == {"variational": 0, "deterministic": deterministic}
    fusion = sum(p.numel() for p in twin.network.fusion.parameters())
    assert bayes.num_parameters == {
        "variational": 2 * fusion,  # a location and a scale each
        "deterministic": deterministic - fusion,
    }


def test_parts_choose_what_is_random():
    everything = model(parts="fusion,classifier")
    assert everything.lifted is not None
    parts = {site.name.partition(".")[0] for site in everything.lifted.sites}
    assert parts == {"fusion", "classifier"}
    with pytest.raises(ConfigError, match="fusoin"):
        model(parts="fusoin")


def test_the_deterministic_twin_has_no_guide():
    twin = model(elbo="none")
    assert twin.lifted is None
    assert twin.guide is None
    assert all(name.startswith("network.") for name in twin.tensors())


@pytest.mark.parametrize(
    "settings",
    [{}, {"elbo": "none"}, {"guide": "lowrank", "prior_scale": "learned"}, {"prior": "horseshoe"}],
    ids=str,
)
def test_tensors_carry_everything_over(settings):
    source, target = model(seed=1, **settings), model(seed=2, **settings)
    with torch.no_grad():
        for value in source.tensors().values():
            if value.dtype.is_floating_point:
                value.add_(0.125)
    source.network.eval()
    target.load_tensors({name: value.clone() for name, value in source.tensors().items()}, "here")
    for name, value in source.tensors().items():
        assert same(value, target.tensors()[name]), name
    draws = [m.predictive(7, torch.float32).weights(3) for m in (source, target)]
    assert all(torch.equal(draws[0][name], draws[1][name]) for name in draws[0])
    if target.lifted is not None and target.guide is not None:
        locations = target.guide.locations()
        for site in target.lifted.sites:  # the plug-in weights are the posterior's locations
            assert torch.equal(target.network.get_parameter(site.name), locations[site.name])


def test_a_random_weight_is_kept_once():
    bayes = model()
    assert bayes.lifted is not None
    for site in bayes.lifted.sites:
        assert f"network.{site.name}" not in bayes.tensors()
        assert f"guide.{site.name}.loc_unconstrained" in bayes.tensors()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("network.classifier.output.bias"), "output.bias is missing"),
        (lambda t: t.update(odd=torch.zeros(1)), "odd is unknown"),
        (
            lambda t: t.update({"network.classifier.output.bias": torch.zeros(5)}),
            r"output.bias has shape \(5,\), expected \(4,\)",
        ),
    ],
)
def test_tensors_of_another_model(change, message):
    tensors = {name: value.clone() for name, value in model().tensors().items()}
    change(tensors)
    with pytest.raises(RunFolderError, match=message):
        model().load_tensors(tensors, "model.safetensors")


def test_the_network_learns_what_its_items_look_like():
    rng = np.random.default_rng(0)
    values = {"text": rng.normal(5, 3, (400, 3)), "image": rng.normal(-1, 0.1, (400, 2))}
    table = FeatureTable.from_arrays(values, {"image": rng.random(400) < 0.5})
    network = model(elbo="none").network.eval()
    set_data_statistics(network, table, torch.tensor([100, 0, 400, 1]), {"im*": 3.0, "*": 6.0})
    inputs = {name: torch.tensor(v, dtype=torch.float32) for name, v in values.items()}
    standard = network.standardise(inputs, torch.from_numpy(table.observed))
    seen = table.observed[:, 1]
    for name, norm, rows in (("text", 6, slice(None)), ("image", 3, seen)):
        squares = standard[name][rows].square()
        assert float(squares.sum(dim=1).mean()) ** 0.5 == pytest.approx(norm, rel=1e-3)
        assert standard[name][rows].mean(dim=0).numpy() == pytest.approx(0, abs=1e-3)
    rates = network.fixed_logit.sigmoid()
    assert rates.isnan().tolist() == [True, False, False, True]
    assert rates[[1, 2]].tolist() == pytest.approx([0.5 / 401, 400.5 / 401])


@pytest.mark.parametrize("norm", [None, {"nothing": 3.0}])
def test_without_a_norm_a_feature_has_one_standard_deviation(norm):
    values = np.random.default_rng(0).normal(5, 3, (400, 3))
    table = FeatureTable.from_arrays({"text": values, "image": values[:, :2]})
    network = model(elbo="none").network
    set_data_statistics(network, table, torch.zeros(4, dtype=torch.int64), norm)
    inputs = {name: torch.from_numpy(v) for name, v in table.batch(slice(None))[0].items()}
    standard = network.standardise(inputs, torch.ones(400, 2, dtype=torch.bool))
    assert standard["text"].std(dim=0, correction=0).tolist() == pytest.approx([1, 1, 1], rel=1e-4)


def test_svi_settings_take_every_setting_over():
    changed = {
        "elbo": "trace",
        "epochs": 3,
        "batch_size": 7,
        "learning_rate": 0.5,
        "scale_learning_rate": 0.125,
        "classifier_learning_rate": 0.25,
        "learning_rate_decay": "constant",
        "warmup_epochs": 2.5,
        "weight_decay": 0.75,
        "clip": 2.0,
        "l1": 0.1,
        "l2": 0.2,
        "max_norm": 3.0,
        "modality_dropout": 0.3,
        "adversarial": 0.2,
        "num_particles": 2,
        "noise": "flipout",
        "patience": 4,
        "monitor": "macro-f1",
        "min_delta": 0.01,
        "plateau_factor": 0.5,
        "plateau_patience": 3,
        "seed": 5,
        "compile": "off",
    }
    annealing = {
        "annealing": "cosine",
        "beta_start": 0.5,
        "temperature": 0.9,
        "annealing_epochs": 8.0,
        "annealing_cycles": 3,
    }
    config = ModelConfig.parse({**changed, **annealing, "precision": "bfloat16"})
    settings = svi_settings(config, torch.device("cpu"))
    assert {name: getattr(settings, name) for name in changed} == changed
    assert vars(settings).keys() == {*changed, "annealing", "precision", "loss"}
    schedule = settings.annealing
    assert (schedule.end, schedule(0.0), schedule.has_ended(8.0)) == (0.9, 0.5, True)
    assert settings.precision is torch.bfloat16
    assert settings.loss == Loss()
    twin = ModelConfig.parse({"elbo": "none", "loss": "focal", "focal_alpha": 0.3})
    found = svi_settings(twin, torch.device("cpu")).loss
    assert (found.kind, found.focal_alpha) == ("focal", 0.3)
    for name, value in changed.items():  # none was left at what training does by itself
        assert getattr(SVISettings(), name) != value, f"{name}: choose another value for this test"
