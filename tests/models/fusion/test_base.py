from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.models import FUSIONS, Fusion

WIDTHS = {"text": 3, "image": 2, "table": 1}
EVERY_RULE = pytest.mark.parametrize("name", FUSIONS)


def build(name: str, num_modalities: int, hidden: int = 4) -> Fusion:
    """A rule in float64 with all parameters, the stand-ins too, away from 0."""
    torch.manual_seed(num_modalities)
    fusion = FUSIONS[name](dict(list(WIDTHS.items())[:num_modalities]), hidden).double()
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.normal_()
    return fusion


def features(fusion: Fusion, items: int) -> dict[str, torch.Tensor]:
    return {
        name: torch.randn(items, width, dtype=torch.float64)
        for name, width in fusion.widths.items()
    }


def output_and_gradients(fusion, inputs, observed):
    fusion.zero_grad(set_to_none=True)
    leaves = {name: value.clone().requires_grad_() for name, value in inputs.items()}
    fused = fusion(leaves, observed)
    (fused * torch.arange(1.0, fused.numel() + 1).reshape(fused.shape)).sum().backward()
    gradients = {name: p.grad for name, p in fusion.named_parameters()}
    return fused.detach(), gradients, {name: leaf.grad for name, leaf in leaves.items()}


@EVERY_RULE
@pytest.mark.parametrize("num_modalities", [1, 2, 3])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_values_of_an_unobserved_modality_change_nothing(name, num_modalities, data):
    fusion = build(name, num_modalities)
    inputs = features(fusion, items := 5)
    mask = st.lists(st.booleans(), min_size=num_modalities, max_size=num_modalities)
    observed = torch.tensor(data.draw(st.lists(mask, min_size=items, max_size=items)))
    junk = st.floats(allow_nan=True, allow_infinity=True, width=64)
    other = {
        name: torch.where(observed[:, column, None], value, data.draw(junk))
        for column, (name, value) in enumerate(inputs.items())
    }
    fused, gradients, to_inputs = output_and_gradients(fusion, inputs, observed)
    fused_other, gradients_other, to_inputs_other = output_and_gradients(fusion, other, observed)
    assert torch.equal(fused, fused_other)
    assert bool(torch.isfinite(fused).all())
    for parameter, gradient in gradients.items():
        assert torch.equal(gradient, gradients_other[parameter]), parameter
    for column, modality in enumerate(inputs):
        assert torch.equal(to_inputs[modality], to_inputs_other[modality])
        assert not to_inputs[modality][~observed[:, column]].any()


@EVERY_RULE
def test_values_of_an_observed_modality_do_change_the_output(name):
    fusion = build(name, 3)
    inputs = features(fusion, 5)
    observed = torch.ones(5, 3, dtype=torch.bool)
    for modality in inputs:
        other = {**inputs, modality: inputs[modality] + 1}
        assert not torch.allclose(fusion(inputs, observed), fusion(other, observed))


@EVERY_RULE
@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_the_stand_in_is_used_exactly_where_a_modality_is_missing(name, num_modalities):
    fusion = build(name, num_modalities)
    inputs = features(fusion, 6)
    observed = torch.ones(6, num_modalities, dtype=torch.bool)
    observed[2, -1] = False
    before = fusion(inputs, observed)
    with torch.no_grad():
        fusion.absent[fusion.names[-1]].add_(torch.arange(4))  # no shift: layer norm hears none
    changed = (fusion(inputs, observed) != before).any(1)
    assert changed.tolist() == [False, False, True, False, False, False]


@EVERY_RULE
def test_items_do_not_see_each_other(name):
    fusion = build(name, 3)
    inputs = features(fusion, 6)
    observed = torch.rand(6, 3) < 0.7
    rows = torch.tensor([4, 1])
    some = fusion({name: value[rows] for name, value in inputs.items()}, observed[rows])
    torch.testing.assert_close(some, fusion(inputs, observed)[rows])


@EVERY_RULE
@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_gradients_are_those_of_finite_differences(name, num_modalities):
    fusion = build(name, num_modalities, hidden=2)
    observed = torch.ones(3, num_modalities, dtype=torch.bool)
    observed[0, 0] = False
    values = [value.requires_grad_() for value in features(fusion, 3).values()]
    names = [parameter for parameter, _ in fusion.named_parameters()]

    def fuse(*tensors: torch.Tensor) -> torch.Tensor:
        inputs = dict(zip(fusion.names, tensors[:num_modalities], strict=True))
        parameters = dict(zip(names, tensors[num_modalities:], strict=True))
        return torch.func.functional_call(fusion, parameters, (inputs, observed))

    assert torch.autograd.gradcheck(fuse, [*values, *fusion.parameters()])


@EVERY_RULE
def test_names_promised_to_the_prior(name):
    fusion = FUSIONS[name](WIDTHS, 4)
    parameters = {parameter: tuple(value.shape) for parameter, value in fusion.named_parameters()}
    for modality, width in WIDTHS.items():
        assert parameters.pop(f"{modality}.weight") == (4, width)
        assert parameters.pop(f"{modality}.bias") == (4,)
        assert parameters.pop(f"absent.{modality}") == (4,)
    assert all(parameter.startswith(("gate.", "fused.")) for parameter in parameters)


@EVERY_RULE
def test_stand_ins_start_at_zero_and_the_output_has_the_promised_width(name):
    fusion = FUSIONS[name](WIDTHS, 4)
    assert not any(vector.any() for vector in fusion.absent.values())
    inputs = {modality: torch.randn(5, width) for modality, width in WIDTHS.items()}
    fused = fusion(inputs, torch.ones(5, 3, dtype=torch.bool))
    assert fused.shape == (5, fusion.out_features) == (5, 4)
    assert fused.dtype is torch.float32


@EVERY_RULE
def test_shapes_are_checked(name):
    fusion = build(name, 2)
    with pytest.raises(FeatureError, match="missing: image"):
        fusion({"text": torch.zeros(5, 3)}, torch.ones(5, 2).bool())


@EVERY_RULE
def test_hidden_must_be_positive(name):
    with pytest.raises(ConfigError, match="hidden=0"):
        FUSIONS[name](WIDTHS, 0)


def test_the_contract_itself_cannot_be_built():
    with pytest.raises(TypeError, match="abstract"):
        Fusion(WIDTHS, 4)


def test_seen_puts_zero_where_not_observed():
    fusion = build("concat", 1)
    values = torch.full((2, 3), math.nan, dtype=torch.float64)
    values[1] = 2.0
    (seen,) = fusion.seen({"text": values}, torch.tensor([[False], [True]]))
    assert seen.tolist() == [[0.0] * 3, [2.0] * 3]


@EVERY_RULE
@pytest.mark.parametrize("missing", [False, True])
def test_without_gradients_the_output_is_the_same(name, missing):
    fusion = build(name, 2).eval()
    inputs, observed = features(fusion, 5), torch.ones(5, 2).bool()
    observed[2, 0] = not missing
    with torch.no_grad():
        found = fusion(inputs, observed)
    torch.testing.assert_close(found, fusion(inputs, observed).detach(), rtol=0, atol=1e-12)


def test_the_dtype_does_not_depend_on_what_is_observed():
    fusion = build("concat", 2).float()
    inputs = {name: value.bfloat16() for name, value in features(fusion, 3).items()}
    some = torch.tensor([[True, True], [True, False], [True, True]])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        dtypes = {fusion.activate(inputs, o)[1][1].dtype for o in (some, torch.ones_like(some))}
    assert len(dtypes) == 1


@EVERY_RULE
def test_presence_leads_from_absent_to_observed(name):
    fusion = build(name, 3)
    inputs, observed = features(fusion, 6), torch.ones(6, 3, dtype=torch.bool)
    whole, ones = fusion(inputs, observed), torch.ones(6, dtype=torch.float64)
    torch.testing.assert_close(fusion(inputs, observed, {"image": ones}), whole)
    missing = observed.clone()
    missing[:, 1] = False
    nothing = fusion(inputs, missing)
    torch.testing.assert_close(fusion(inputs, observed, {"image": 0 * ones}), nothing)
    assert torch.equal(fusion(inputs, missing, {"image": ones / 2}), nothing)
    half = fusion(inputs, observed, {"image": ones / 2})
    assert not torch.allclose(half, whole)
    assert not torch.allclose(half, nothing)
    values, activations = fusion.activate(inputs, observed, {"image": ones / 4})
    layer, absent = fusion.image, fusion.absent["image"]
    torch.testing.assert_close(activations[1], layer(inputs["image"]) / 4 + 3 * absent / 4)
    torch.testing.assert_close(values[1], inputs["image"] / 4)
