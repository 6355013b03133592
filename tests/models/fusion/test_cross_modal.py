from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.models import FUSIONS, Fusion
from bayesfuse.models.fusion import cross_modal
from bayesfuse.models.fusion.cross_modal import CrossModalLayer, normed, sinusoids

WIDTHS = {"text": 3, "image": 2, "year": 1}
SEQUENCES = ("text", "image")
LENGTHS = {"text": [4, 2, 0, 5, 1], "image": [3, 3, 2, 0, 1]}
BOTH = pytest.mark.parametrize("name", ["mult-concat", "mult-gmu"])


def items(padding: int = 0) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Five items in float64, of which the third has no text and the fourth no image."""
    rng = np.random.default_rng(0)
    inputs = {}
    for name, lengths in LENGTHS.items():
        steps = np.full((5, max(lengths) + padding, WIDTHS[name]), np.nan)
        for item, length in enumerate(lengths):
            steps[item, :length] = rng.normal(size=(length, WIDTHS[name]))
        inputs[name] = torch.from_numpy(steps)
    inputs["year"] = torch.from_numpy(rng.normal(size=(5, 1)))
    seen = [[lengths[item] > 0 for lengths in LENGTHS.values()] for item in range(5)]
    return inputs, torch.tensor([[*row, True] for row in seen])


def build(name: str, hidden: int = 4, layers: int = 2) -> Fusion:
    torch.manual_seed(0)
    fusion = FUSIONS[name](WIDTHS, hidden, sequences=SEQUENCES, layers=layers).double()
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.normal_(std=0.5)
    return fusion


def test_a_layer_of_self_attention_is_torch_s_own() -> None:
    torch.manual_seed(0)
    ours = CrossModalLayer(128).double()
    theirs = nn.TransformerEncoderLayer(
        128, 2, 512, dropout=0.0, norm_first=True, dtype=torch.float64
    )  # whose norms scale by 1 and shift by 0 at the start
    theirs.self_attn.load_state_dict(ours.attention.state_dict())
    theirs.linear1.load_state_dict(ours.up.state_dict())
    theirs.linear2.load_state_dict(ours.down.state_dict())
    sequence = torch.randn(6, 3, 128, dtype=torch.float64)
    ignored = torch.zeros(3, 6, dtype=torch.bool)
    ignored[1, 4:] = True
    expected = theirs(sequence, src_key_padding_mask=ignored)
    torch.testing.assert_close(ours(sequence, sequence, ignored), expected)
    other = ours(sequence, sequence.flip(0), ignored)
    assert not torch.allclose(other, expected)


def test_places_are_told_apart_by_sines_and_cosines() -> None:
    found = sinusoids(5, 6).numpy()
    t, j = np.arange(5)[:, None], np.arange(3)
    angles = t / 10_000 ** (j / 3)
    np.testing.assert_allclose(found, np.concatenate([np.sin(angles), np.cos(angles)], axis=1))
    assert sinusoids(4, 5).shape == (4, 5)


def test_normed_is_of_mean_0_and_variance_1() -> None:
    found = normed(torch.randn(7, 64))
    torch.testing.assert_close(found.mean(1), torch.zeros(7), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.var(1, unbiased=False), torch.ones(7), atol=1e-3, rtol=0)


@BOTH
def test_padding_and_its_width_change_nothing(name: str) -> None:
    fusion = build(name)
    inputs, observed = items()
    expected = fusion(inputs, observed)
    assert torch.isfinite(expected).all()
    torch.testing.assert_close(fusion(items(padding=3)[0], observed), expected)
    for item in range(5):
        alone = {n: v[[item], : max(1, LENGTHS.get(n, [1] * 5)[item])] for n, v in inputs.items()}
        torch.testing.assert_close(fusion(alone, observed[[item]]), expected[[item]])


@BOTH
def test_every_step_and_its_place_count(name: str) -> None:
    fusion = build(name)
    inputs, observed = items()
    before = fusion(inputs, observed)
    for modality in SEQUENCES:
        for step in range(3):
            steps = inputs[modality].clone()
            steps[0, step] += 1
            after = fusion({**inputs, modality: steps}, observed)
            assert not torch.allclose(after[0], before[0])
            torch.testing.assert_close(after[1:], before[1:])
    swapped = inputs["text"].clone()
    swapped[0, :2] = swapped[0, [1, 0]]
    assert not torch.allclose(fusion({**inputs, "text": swapped}, observed)[0], before[0])


@BOTH
def test_what_is_not_observed_changes_neither_output_nor_gradient(name: str) -> None:
    fusion = build(name)
    inputs, observed = items()
    observed[0, 0] = False  # though there are steps
    found = []
    for junk in (1.0, math.inf, math.nan):
        text = inputs["text"].clone()
        text[0] = junk
        fusion.zero_grad()
        fused = fusion({**inputs, "text": text}, observed)
        fused.square().sum().backward()
        found.append([fused.detach(), *(p.grad.clone() for p in fusion.parameters())])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert torch.equal(one, two)
    assert all(bool(torch.isfinite(gradient).all()) for gradient in found[0])


@BOTH
def test_the_stand_in_is_the_only_step_of_an_item_without_any(name: str) -> None:
    fusion = build(name)
    inputs, observed = items()
    before = fusion(inputs, observed)
    with torch.no_grad():
        fusion.absent["text"].add_(torch.arange(4))
    changed = (fusion(inputs, observed) != before).any(1)
    assert changed.tolist() == [False, False, True, False, False]


@BOTH
def test_without_gradients_items_are_read_in_parts(name: str, monkeypatch) -> None:
    fusion = build(name)
    inputs, observed = items()
    monkeypatch.setattr(cross_modal, "AT_ONCE", 2)
    with torch.no_grad():
        torch.testing.assert_close(fusion(inputs, observed), fusion(inputs, observed).detach())
        parts = fusion(inputs, observed)
    torch.testing.assert_close(parts, fusion(inputs, observed).detach())


@BOTH
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    fusion = build(name, hidden=2, layers=1)
    inputs, observed = items()
    year = inputs["year"].clone().requires_grad_()
    names = [parameter for parameter, _ in fusion.named_parameters()]

    def fuse(year: torch.Tensor, *tensors: torch.Tensor) -> torch.Tensor:
        given = dict(zip(names, tensors, strict=True))
        return torch.func.functional_call(fusion, given, ({**inputs, "year": year}, observed))

    assert torch.autograd.gradcheck(fuse, [year, *fusion.parameters()], fast_mode=True)


@BOTH
def test_draws_of_the_weights_are_run_at_once(name: str) -> None:
    fusion = build(name).eval()
    inputs, observed = items()
    draws = {n: p + torch.randn(3, *p.shape, dtype=p.dtype) for n, p in fusion.named_parameters()}

    def one(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(fusion, weights, (inputs, observed))

    stacked = torch.func.vmap(one)(draws)
    for draw in range(3):
        expected = one({n: value[draw] for n, value in draws.items()})
        torch.testing.assert_close(stacked[draw], expected)


@BOTH
@pytest.mark.parametrize("sequences", [("text",), ("text", "image", "year")])
def test_any_number_of_modalities_may_be_sequences(name: str, sequences: tuple[str, ...]) -> None:
    fusion = FUSIONS[name](WIDTHS, 4, sequences=sequences, layers=1)
    assert fusion.sequences == sequences
    assert set(fusion.fused["own"]) == set(sequences)
    assert sum(len(by) for by in fusion.fused["cross"].values()) == len(sequences) * (
        len(sequences) - 1
    )
    inputs = {
        n: torch.randn(5, 3, w) if n in sequences else torch.randn(5, w) for n, w in WIDTHS.items()
    }
    assert fusion(inputs, torch.ones(5, 3, dtype=torch.bool)).shape == (5, 4)


@BOTH
def test_shapes_are_checked(name: str) -> None:
    fusion = build(name)
    inputs, observed = items()
    with pytest.raises(FeatureError, match=r'"text" has shape 5 x 3; expected 5 x steps x 3'):
        fusion({**inputs, "text": torch.zeros(5, 3)}, observed)
    with pytest.raises(FeatureError, match=r'"year" has shape 5 x 2 x 1; expected 5 x 1 '):
        fusion({**inputs, "year": torch.zeros(5, 2, 1)}, observed)


def test_a_rule_that_reads_vectors_takes_no_sequences() -> None:
    with pytest.raises(ConfigError, match="GatedFusion got text as sequences; it reads one vector"):
        Fusion.__init__(FUSIONS["gmu"](WIDTHS, 4), WIDTHS, 4, ("text",))
    with pytest.raises(ConfigError, match="got sound as sequences; it has no such modality"):
        FUSIONS["mult-gmu"](WIDTHS, 4, sequences=["sound"])
