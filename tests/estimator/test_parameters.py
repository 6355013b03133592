"""The estimator's parameters are the fields of ModelConfig, and only checked when they are used."""

from __future__ import annotations

import inspect

import pytest

from bayesfuse import FusionClassifier
from bayesfuse.config import ModelConfig
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.parameters import ModelParameters


def signature() -> dict[str, object]:
    """Return the parameters of the estimator but for its own `modalities`, name to default."""
    found = inspect.signature(ModelParameters.__init__).parameters
    return {n: p.default for n, p in found.items() if n not in {"self", "modalities"}}


def test_the_parameters_are_the_fields_of_the_config_in_its_order():
    assert list(signature()) == list(ModelConfig.model_fields)


@pytest.mark.parametrize("name", ModelConfig.model_fields)
def test_a_default_is_that_of_the_config(name):
    default, field = signature()[name], ModelConfig.model_fields[name]
    if isinstance(field.default, dict):  # whoever got such a default could change it
        assert isinstance(default, str)
        default = getattr(ModelConfig.parse({name: default}), name)
    assert default == field.default
    assert type(default) is type(field.default)


def test_config_of_the_defaults_is_the_default_config():
    assert FusionClassifier().config() == ModelConfig()


def test_nothing_is_checked_or_changed_before_fit():
    parts = ["fusion"]
    odd = FusionClassifier(fusion="gum", hidden=-3, parts=parts)
    assert odd.get_params()["fusion"] == "gum"
    assert odd.parts is parts


def test_every_mistake_is_named_at_once():
    odd = FusionClassifier(fusion="gum", hidden=-3, prior_scale="fanin", dropout=1.0)
    with pytest.raises(ConfigError) as caught:
        odd.fit([[0.0, 1.0]] * 4, [0, 1, 0, 1])
    message = str(caught.value)
    assert "parameters of FusionClassifier" in message
    assert 'Did you mean "gmu"?' in message
    assert 'Did you mean "fan-in"?' in message
    assert "--hidden" in message
    assert "--dropout" in message


def test_parameters_are_by_name_only():
    with pytest.raises(TypeError):
        FusionClassifier(None, "gmu")
