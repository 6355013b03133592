from __future__ import annotations

import pytest
import torch

from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.models import FUSIONS, FusionNetwork
from bayesfuse.models.inputs import RESERVED_NAMES, check_inputs, check_widths

WIDTHS = {"text": 3, "image": 2}


def good() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    inputs = {"text": torch.zeros(5, 3), "image": torch.zeros(5, 2)}
    return inputs, torch.ones(5, 2, dtype=torch.bool)


def test_widths_keep_their_order():
    assert list(check_widths({"b": 1, "a": 2})) == ["b", "a"]


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ({}, "no modality"),
        ({"": 1}, "not empty"),
        ({"plot.en": 1}, "no dot"),
        ({"type": 1}, '"type" is taken .* for example to "type_"'),
        ({"items": 1}, "taken"),
        ({"absent": 1}, "taken"),
        ({"text": 0}, "width 0"),
    ],
)
def test_unusable_widths(widths, message):
    with pytest.raises(ConfigError, match=message):
        check_widths(widths)


@pytest.mark.parametrize("rule", FUSIONS.values(), ids=FUSIONS)
@pytest.mark.parametrize("widths", [{"a": 2}, {"a": 2, "b": 3}, {"a": 2, "b": 3, "c": 1}])
def test_reserved_names_cover_every_attribute_of_a_fusion(rule, widths):
    public = {name for name in dir(rule(widths, 4)) if not name.startswith("_")}
    assert public - set(widths) <= RESERVED_NAMES


def test_a_name_that_only_standardise_uses_is_free():
    network = FusionNetwork({"loc": 2, "scale": 1, "gain": 1}, 3, hidden=4)
    assert "standardise.loc.scale" in dict(network.named_buffers())


def test_good_inputs_pass():
    check_inputs(*good(), WIDTHS)


def test_missing_and_unknown_modalities_are_both_named():
    inputs, observed = good()
    inputs["poster"] = inputs.pop("image")
    with pytest.raises(FeatureError, match=r"missing: image; unknown: poster"):
        check_inputs(inputs, observed, WIDTHS)


@pytest.mark.parametrize("shape", [(5, 4), (4, 3), (5,), (5, 3, 1)])
def test_wrong_shape_says_got_and_expected(shape):
    inputs, observed = good()
    inputs["text"] = torch.zeros(shape)
    got = " x ".join(map(str, shape))
    with pytest.raises(FeatureError, match=rf'"text" has shape {got}; expected 5 x 3'):
        check_inputs(inputs, observed, WIDTHS)


@pytest.mark.parametrize(
    "observed", [torch.ones(5, 2), torch.ones(5, 3).bool(), torch.ones(5).bool()]
)
def test_wrong_mask(observed):
    with pytest.raises(FeatureError, match=r"expected torch.bool of shape items x 2"):
        check_inputs(good()[0], observed, WIDTHS)
