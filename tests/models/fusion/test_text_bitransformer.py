"""Fusion by a pretrained transformer: words and other modalities in one sequence."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from bayesfuse.encoders.text_folder import read_text_folder
from bayesfuse.encoders.text_loading import load_backbone
from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.models.fusion import text_bitransformer
from bayesfuse.models.fusion.text_bitransformer import TextBitransformerFusion, TextTransformer

PAD, CLS, SEP = 0, 2, 3
LENGTH = 6
WIDTHS = {"text": LENGTH, "year": 2, "graph": 3}


@pytest.fixture(scope="module")
def bert(tiny_bert: Path) -> torch.nn.Module:
    return load_backbone(read_text_folder(tiny_bert), pooler=True)


@pytest.fixture
def fusion(bert: torch.nn.Module) -> TextBitransformerFusion:
    return build(copy.deepcopy(bert))


def build(bert: torch.nn.Module, widths: dict[str, int] | None = None) -> TextBitransformerFusion:
    torch.manual_seed(0)
    transformer = TextTransformer("text", bert, PAD, CLS, SEP)
    return TextBitransformerFusion(widths or WIDTHS, transformer).eval()


def items(count: int = 4) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(5, 30, (count, LENGTH), generator=generator).float()
    tokens[:, 0] = CLS
    tokens[0, 3:] = PAD
    tokens[0, 2] = SEP
    inputs = {n: torch.randn(count, w, generator=generator) for n, w in WIDTHS.items()}
    return {**inputs, "text": tokens}, torch.ones(count, 3, dtype=torch.bool)


def test_a_row_is_bert_on_the_pair_of_its_modalities_and_its_words(fusion) -> None:
    inputs, observed = items()
    bert = fusion.fused
    embed = bert.embeddings.word_embeddings.weight
    vectors = [fusion.year(inputs["year"][0]), fusion.graph(inputs["graph"][0])]
    words = inputs["text"][0, 1:3].long()
    sequence = torch.stack([embed[CLS], *vectors, embed[SEP], *embed[words]])
    segments = torch.tensor([[0, 0, 0, 0, 1, 1]])
    expected = bert(inputs_embeds=sequence[None], token_type_ids=segments).pooler_output
    torch.testing.assert_close(fusion(inputs, observed)[:1], expected, atol=1e-6, rtol=1e-5)


def test_words_order_and_node_change_the_output_and_padding_does_not(fusion) -> None:
    inputs, observed = items()
    before = fusion(inputs, observed)
    moved = {**inputs, "graph": inputs["graph"] + torch.arange(3.0)}
    assert ((fusion(moved, observed) - before).abs().amax(1) > 1e-6).all()
    turned = inputs["text"].clone()
    turned[1, 1:5] = turned[1, 1:5].flip(0)
    changed = (fusion({**inputs, "text": turned}, observed) - before).abs().amax(1) > 1e-6
    assert changed.tolist() == [False, True, False, False]
    alone = {name: value[:1] for name, value in inputs.items()}
    torch.testing.assert_close(fusion(alone, observed[:1]), before[:1], atol=1e-6, rtol=1e-5)


def test_what_is_not_observed_changes_nothing(fusion) -> None:
    inputs, observed = items()
    observed[1, 0] = observed[2, 1] = False
    wild = {name: value.clone() for name, value in inputs.items()}
    wild["text"][1], wild["year"][2] = 9, torch.nan
    assert torch.equal(fusion(wild, observed), fusion(inputs, observed))
    values = [inputs["year"][1:2], inputs["graph"][1:2]]
    vectors = [fusion.year(values[0]), fusion.graph(values[1])]
    torch.testing.assert_close(
        fusion.fuse(values, vectors), fusion(inputs, observed)[1:2], atol=1e-6, rtol=1e-5
    )
    absent = fusion(inputs, observed)
    with torch.no_grad():
        fusion.absent["year"].add_(torch.arange(16.0))
    changed = (fusion(inputs, observed) - absent).abs().amax(1) > 1e-6
    assert changed.tolist() == [False, False, True, False]


def test_many_items_are_read_a_few_at_a_time(fusion, monkeypatch) -> None:
    inputs, observed = items(9)
    together = fusion(inputs, observed)
    monkeypatch.setattr(text_bitransformer, "AT_ONCE", 4)
    with torch.no_grad():
        torch.testing.assert_close(fusion(inputs, observed), together, atol=1e-6, rtol=1e-5)


def test_draws_of_other_parts_run_in_one_call(fusion) -> None:
    inputs, observed = items()
    draws = {
        name: torch.stack([value, value + 0.3 * torch.randn_like(value)])
        for name, value in fusion.named_parameters()
        if not name.startswith("fused")
    }

    def one(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(fusion, weights, (inputs, observed))

    fusion.fused.config._attn_implementation = "eager"  # the other warns under vmap on a CPU
    stacked = torch.func.vmap(one)(draws)
    for draw in range(2):
        expected = one({name: value[draw] for name, value in draws.items()})
        torch.testing.assert_close(stacked[draw], expected, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(stacked[0], stacked[1])


def test_it_is_told_in_json_but_for_its_weights(bert) -> None:
    told = TextTransformer("text", bert, PAD, CLS, SEP).to_json()
    again = TextTransformer.from_json(told)
    assert {name: value.shape for name, value in again.network.state_dict().items()} == {
        name: value.shape for name, value in bert.state_dict().items()
    }
    assert (again.modality, again.pad, again.cls, again.sep) == ("text", PAD, CLS, SEP)
    del told["pad"]
    with pytest.raises(FeatureError, match="incomplete"):
        TextTransformer.from_json(told)


def test_networks_that_do_not_fit(bert) -> None:
    with pytest.raises(ConfigError, match=r"take 66 positions; the network has 64.*--max-length"):
        build(bert, {"text": 64, "graph": 3})
    other = copy.deepcopy(bert)
    other.config.model_type = "distilbert"
    with pytest.raises(ConfigError, match="got one of distilbert"):
        build(other)


STEPS = [3, 1, 0, 2]


def with_steps() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Items whose graph is a sequence of so many steps; the third has none."""
    inputs, observed = items()
    generator = torch.Generator().manual_seed(3)
    inputs["graph"] = torch.randn(4, 3, 3, generator=generator)
    for item, count in enumerate(STEPS):
        inputs["graph"][item, count:] = torch.nan
    observed[2, 2] = False
    return inputs, observed


@pytest.mark.parametrize("restart", [False, True])
def test_steps_are_tokens_before_the_words(bert, restart) -> None:
    torch.manual_seed(0)
    transformer = TextTransformer("text", copy.deepcopy(bert), PAD, CLS, SEP)
    fusion = TextBitransformerFusion(WIDTHS, transformer, ["graph"], restart=restart).eval()
    inputs, observed = with_steps()
    found = fusion(inputs, observed)
    network, embed = fusion.fused, fusion.fused.embeddings.word_embeddings.weight
    for item, count in enumerate(STEPS):
        own = fusion.graph(inputs["graph"][item, :count]) if count else fusion.absent["graph"][None]
        words = inputs["text"][item, 1:].long()
        words = words[words != PAD]
        year = fusion.year(inputs["year"][[item]])
        sequence = torch.cat([embed[[CLS]], year, own, embed[[SEP]], embed[words]])
        before = len(own) + 3
        segments = torch.tensor([0] * before + [1] * len(words))
        places = torch.arange(len(sequence))
        places[before:] -= before if restart else 0
        expected = network(
            inputs_embeds=sequence[None], token_type_ids=segments[None], position_ids=places[None]
        ).pooler_output
        torch.testing.assert_close(found[[item]], expected, atol=1e-6, rtol=1e-5)


def test_more_steps_than_positions_are_told(bert) -> None:
    transformer = TextTransformer("text", copy.deepcopy(bert), PAD, CLS, SEP)
    fusion = TextBitransformerFusion(WIDTHS, transformer, ["graph"], restart=True)
    inputs, observed = items()
    inputs["graph"] = torch.zeros(4, 600, 3)
    with pytest.raises(FeatureError, match="an item takes 603 positions"):
        fusion(inputs, observed)
