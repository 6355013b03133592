from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from bayesfuse import config as module
from bayesfuse.config import FitConfig, ModelConfig
from bayesfuse.errors import ConfigError


def test_a_default_cannot_be_changed_by_whom_it_was_given_to() -> None:
    assert isinstance(FitConfig().init_scale, dict)
    FitConfig().init_scale["*"] = 7.0  # type: ignore[index]
    assert FitConfig().init_scale["*"] != 7.0  # type: ignore[index]
    with pytest.raises(ValidationError, match="frozen"):
        FitConfig().hidden = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("fan-in", "fan-in"),
        ("learned", "learned"),
        (2, 2.0),
        ("fusion.text.*=0.1, *=fan-in", {"fusion.text.*": 0.1, "*": "fan-in"}),
        ({"*": "0.3"}, {"*": 0.3}),
    ],
)
def test_prior_scales_are_read_from_text(text: object, value: object) -> None:
    assert ModelConfig.parse({"prior_scale": text}).prior_scale == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("6", 6.0), ("none", None), ("image=3,*=6", {"image": 3.0, "*": 6.0}), (None, None)],
)
def test_feature_norms_are_read_from_text(text: object, value: object) -> None:
    assert ModelConfig.parse({"feature_norm": text}).feature_norm == value


def test_initial_scales_are_read_from_text() -> None:
    made = ModelConfig.parse({"init_scale": "fusion.absent.*=prior,*=0.01"})
    assert made.init_scale == {"fusion.absent.*": "prior", "*": 0.01}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, "nonsense") for name in ("fusion", "classifier", "prior", "guide", "elbo")],
        *[(name, "nonsense") for name in ("annealing", "learning_rate_decay", "decision")],
        *[(name, "nonsense") for name in ("precision", "preset", "recalibrate")],
        *[(name, 0) for name in ("hidden", "pieces", "rank", "epochs", "draws", "patience")],
        *[(name, math.nan) for name in ("l1", "learning_rate", "temperature", "prior_scale")],
        *[(name, math.inf) for name in ("l2", "annealing_epochs", "clip", "init_scale")],
        *[(name, -0.1) for name in ("beta_start", "dropout", "weight_decay", "max_norm", "l1")],
        ("batch_size", 1),
        ("modality_dropout", 1),
        ("seed", -1),
        ("feature_norm", 0),
        ("feature_norm", {"*": -1}),
        ("prior_scale", {"*": 0}),
    ],
)
def test_values_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')}: "):
        FitConfig.parse({name: value})


def test_what_is_told_of_a_fit() -> None:
    assert ModelConfig().told() == {
        "elbo": "annealed",
        "temperature": 1.0,
        "class_weights": "none",
        "loss": "bce",
        "label_smoothing": 0.0,
        "recalibrate": "none",
        "beside_likelihood": [],
    }
    given = {"elbo": "none", "loss": "asymmetric", "label_smoothing": 0.1, "adversarial": 0.2}
    told = ModelConfig.parse({**given, "fusion": "autoencoder"}).told()
    assert {name: told[name] for name in ("elbo", "loss", "label_smoothing")} == {
        name: given[name] for name in ("elbo", "loss", "label_smoothing")
    }
    assert told["beside_likelihood"] == ["reconstruction", "adversarial items"]


def test_names_are_those_of_the_registries() -> None:
    from bayesfuse.inference.annealing import SCHEDULES
    from bayesfuse.inference.elbo import ELBOS
    from bayesfuse.inference.guides import GUIDES
    from bayesfuse.inference.losses import LOSSES
    from bayesfuse.inference.optimisers import DECAYS
    from bayesfuse.inference.priors import PRIORS
    from bayesfuse.models import CLASSIFIERS, FUSIONS
    from bayesfuse.models.label_vectors import LABEL_VECTORS

    assert set(module.FUSIONS) == set(FUSIONS)
    assert set(module.CLASSIFIERS) == set(CLASSIFIERS)
    assert set(module.LOSSES) == set(LOSSES)
    assert set(module.LABEL_VECTORS) == set(LABEL_VECTORS)
    assert set(module.PRIORS) == set(PRIORS)
    assert set(module.GUIDES) == set(GUIDES)
    assert set(module.ELBOS) == {*ELBOS, "none"}
    assert set(module.SCHEDULES) == set(SCHEDULES)
    assert set(module.DECAYS) == set(DECAYS)
