from __future__ import annotations

import math

import pytest
import torch

from bayesfuse.errors import FeatureError
from bayesfuse.models import Standardise


def seen(items: int, modalities: int = 1) -> torch.Tensor:
    return torch.ones(items, modalities, dtype=torch.bool)


def test_identity_until_set():
    x = torch.randn(4, 3)
    assert torch.equal(Standardise({"text": 3})({"text": x}, seen(4))["text"], x)


def test_training_statistics_give_zero_mean_and_unit_spread():
    x = 5 + 3 * torch.randn(200, 3, dtype=torch.float64)
    standardise = Standardise({"text": 3}).double()
    standardise.set_statistics("text", x.mean(0), x.std(0, correction=0))
    z = standardise({"text": x}, seen(200))["text"]
    torch.testing.assert_close(z.mean(0), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(3, dtype=torch.float64))


def test_gain_sets_the_norm_of_typical_rows():
    x = torch.randn(500, 64, dtype=torch.float64)
    standardise = Standardise({"text": 64}).double()
    standardise.set_gain("text", 2 / math.sqrt(64))
    norms = standardise({"text": x}, seen(500))["text"].norm(dim=1)
    assert abs(norms.square().mean().sqrt().item() - 2) < 0.05


def test_modalities_are_kept_apart():
    standardise = Standardise({"a": 2, "b": 2})
    standardise.set_statistics("b", torch.tensor([1.0, 2.0]), torch.tensor([2.0, 2.0]))
    standardise.set_gain("a", 3.0)
    out = standardise({"a": torch.ones(1, 2), "b": torch.ones(1, 2)}, seen(1, 2))
    assert out["a"].tolist() == [[3.0, 3.0]]
    assert out["b"].tolist() == [[0.0, -0.5]]


@pytest.mark.parametrize("value", [7.0, math.nan, math.inf])
def test_unobserved_rows_are_zero(value):
    standardise = Standardise({"text": 2})
    standardise.set_statistics("text", torch.tensor([1.0, 2.0]), torch.tensor([2.0, 2.0]))
    out = standardise({"text": torch.full((2, 2), value)}, torch.tensor([[False], [True]]))
    assert torch.equal(out["text"][0], torch.zeros(2))
    assert not torch.equal(out["text"][1], torch.zeros(2))


def test_constant_feature_becomes_zero_and_stays_finite():
    standardise = Standardise({"text": 2})
    standardise.set_statistics("text", torch.tensor([5.0, 0.0]), torch.tensor([0.0, 1.0]))
    out = standardise({"text": torch.tensor([[5.0, 1.0], [6.0, 1.0]])}, seen(2))["text"]
    assert out.tolist() == [[0.0, 1.0], [1.0, 1.0]]


def test_statistics_are_saved_and_are_not_parameters():
    standardise = Standardise({"text": 2})
    standardise.set_statistics("text", torch.ones(2), 2 * torch.ones(2))
    standardise.set_gain("text", 0.5)
    assert list(standardise.parameters()) == []
    assert set(standardise.state_dict()) == {"loc.text", "scale.text", "gain.text"}
    fresh = Standardise({"text": 2})
    fresh.load_state_dict(standardise.state_dict())
    x = torch.randn(3, 2)
    assert torch.equal(fresh({"text": x}, seen(3))["text"], ((x - 1) / 2 * 0.5))


@pytest.mark.parametrize(
    ("name", "loc", "scale", "message"),
    [
        ("txet", [0.0, 0.0], [1.0, 1.0], 'Did you mean "text"'),
        ("text", [0.0], [1.0, 1.0], r"loc .* shape \(1,\); expected \(2,\)"),
        ("text", [0.0, 0.0], [1.0, math.nan], r"scale .* NaN or infinity at features \[1\]"),
        ("text", [0.0, 0.0], [-1.0, 1.0], r"negative at features \[0\]"),
    ],
)
def test_wrong_statistics(name, loc, scale, message):
    with pytest.raises(FeatureError, match=message):
        Standardise({"text": 2}).set_statistics(name, torch.tensor(loc), torch.tensor(scale))


@pytest.mark.parametrize("gain", [0.0, -1.0, math.inf, math.nan])
def test_wrong_gain(gain):
    with pytest.raises(FeatureError, match="finite number > 0"):
        Standardise({"text": 2}).set_gain("text", gain)


def test_items_are_moved_in_typical_lengths():
    standardise = Standardise({"text": 3, "image": 2}).double()
    standardise.set_statistics("text", torch.ones(3), 2 * torch.ones(3))
    standardise.set_gain("text", 2.0)
    standardise.set_gain("image", 0.5)
    inputs = {"text": torch.randn(4, 3).double(), "image": torch.randn(4, 2).double()}
    observed = torch.ones(4, 2, dtype=torch.bool)
    observed[1, 1] = False
    before = standardise(inputs, observed)
    shift = {"image": torch.randn(4, 2).double(), "text": torch.randn(4, 3).double()}
    after = standardise(inputs, observed, shift)
    length = torch.tensor([[(3 * 4 + 2 * 0.25) ** 0.5]] * 4).double()
    length[1] = (3 * 4) ** 0.5  # of what it has
    for name in inputs:
        expected = before[name] + length * shift[name]
        if name == "image":
            expected[1] = 0
        torch.testing.assert_close(after[name], expected)
    assert list(after) == list(before)
    assert torch.equal(standardise(inputs, observed, {})["text"], before["text"])
