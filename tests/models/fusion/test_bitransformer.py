"""Fusion by a transformer; what all rules promise is in test_base.py."""

from __future__ import annotations

import pytest
import torch

from bayesfuse.errors import FeatureError
from bayesfuse.models.fusion import BitransformerFusion, bitransformer

WIDTHS = {"text": 3, "graph": 2}


def build(hidden: int = 8, layers: int = 2, widths: dict[str, int] | None = None):
    torch.manual_seed(0)
    fusion = BitransformerFusion(widths or WIDTHS, hidden, layers).double()
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return fusion


def inputs(items: int = 4) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    values = {name: torch.randn(items, w, dtype=torch.float64) for name, w in WIDTHS.items()}
    return values, torch.ones(items, 2, dtype=torch.bool)


def test_it_is_bert_on_cls_token_sep_token_sep():
    fusion = build()
    values, observed = inputs()
    words, bert = fusion.fused.embeddings.word_embeddings.weight, fusion.fused
    cls, sep = (words[n].expand(4, 8) for n in (0, 1))
    sequence = torch.stack(
        [cls, fusion.text(values["text"]), sep, fusion.graph(values["graph"]), sep], dim=1
    )
    segments = torch.tensor([0, 0, 0, 1, 1])
    embedded = bert.embeddings.LayerNorm(
        sequence
        + bert.embeddings.position_embeddings.weight[:5]
        + bert.embeddings.token_type_embeddings.weight[segments]
    )
    for layer in bert.encoder.layer:
        embedded = layer(embedded)
        embedded = embedded if isinstance(embedded, torch.Tensor) else embedded[0]
    expected = torch.tanh(bert.pooler.dense(embedded[:, 0]))
    torch.testing.assert_close(fusion(values, observed), expected)


def test_tokens_hear_each_other():
    """The effect of one modality on the output depends on the other: no sum of two effects."""
    fusion = build()
    values, observed = inputs()
    moved = {name: value + torch.randn_like(value) for name, value in values.items()}

    def fused(text: dict[str, torch.Tensor], graph: dict[str, torch.Tensor]) -> torch.Tensor:
        found: torch.Tensor = fusion({"text": text["text"], "graph": graph["graph"]}, observed)
        return torch.atanh(found)

    one = fused(moved, values) - fused(values, values)
    other = fused(moved, moved) - fused(values, moved)
    assert not torch.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize(("hidden", "heads"), [(4, 1), (96, 1), (130, 2), (200, 2), (256, 4)])
def test_heads_divide_the_width(hidden, heads):
    config = build(hidden, layers=1).fused.config
    assert (config.num_attention_heads, config.num_hidden_layers) == (heads, 1)


def test_the_same_seed_is_the_same_and_nothing_drops_out_in_training():
    first, again = build().train(), build().train()
    values, observed = inputs()
    assert torch.equal(first(values, observed), again(values, observed))


STEPS = {"text": [3, 1, 0, 4], "graph": [2, 2, 2, 0]}


def sequences(padding: int = 0) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    values = {}
    for name, lengths in STEPS.items():
        values[name] = torch.full((4, 4 + padding, WIDTHS[name]), torch.nan, dtype=torch.float64)
        for item, length in enumerate(lengths):
            own = torch.randn(length, WIDTHS[name], dtype=torch.float64, generator=generator)
            values[name][item, :length] = own
    observed = torch.tensor(
        [[length > 0 for length in row] for row in zip(*STEPS.values(), strict=True)]
    )
    return values, observed


def of_steps(layers: int = 2, names: tuple[str, ...] = ("text", "graph")) -> BitransformerFusion:
    torch.manual_seed(0)
    fusion = BitransformerFusion(WIDTHS, 8, layers, sequences=names).double()
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return fusion


def test_of_sequences_it_is_bert_on_the_steps_of_each_in_a_segment_of_its_own():
    """Item by item, without padding: positions start anew in each segment, as in MMBT."""
    fusion = of_steps()
    values, observed = sequences()
    bert = fusion.fused
    cls, sep = bert.embeddings.word_embeddings.weight
    found = fusion(values, observed)
    for item in range(4):
        parts, places, segments = [cls[None]], [0], [0]
        for number, (name, lengths) in enumerate(STEPS.items()):
            own = getattr(fusion, name)(values[name][item, : lengths[item]])
            tokens = own if lengths[item] else fusion.absent[name][None]
            parts += [tokens, sep[None]]
            start = 1 - number  # after [CLS], in the first
            places += list(range(start, start + len(tokens) + 1))
            segments += [number] * (len(tokens) + 1)
        embedded = bert.embeddings.LayerNorm(
            torch.cat(parts)
            + bert.embeddings.position_embeddings.weight[places]
            + bert.embeddings.token_type_embeddings.weight[segments]
        )[None]
        for layer in bert.encoder.layer:
            embedded = layer(embedded)
            embedded = embedded if isinstance(embedded, torch.Tensor) else embedded[0]
        expected = torch.tanh(bert.pooler.dense(embedded[0, 0]))
        torch.testing.assert_close(found[item], expected)
    torch.testing.assert_close(fusion(sequences(padding=3)[0], observed), found)


def test_steps_beside_a_vector_and_many_items(monkeypatch):
    fusion = of_steps(names=("text",))
    values, observed = sequences()
    values["graph"] = torch.randn(4, 2, dtype=torch.float64)
    found = fusion(values, observed)
    moved = {**values, "text": values["text"] + 1}
    assert ((fusion(moved, observed) != found).any(1) == observed[:, 0]).all()
    monkeypatch.setattr(bitransformer, "AT_ONCE", 3)
    with torch.no_grad():
        torch.testing.assert_close(fusion(values, observed), found.detach())


def test_draws_of_the_weights_are_run_at_once_on_steps():
    fusion = of_steps(layers=1).eval()
    values, observed = sequences()
    draws = {n: torch.stack([p, 1.1 * p]) for n, p in fusion.named_parameters()}

    def one(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(fusion, weights, (values, observed))

    stacked = torch.func.vmap(one)(draws)
    for draw in range(2):
        expected = one({n: value[draw] for n, value in draws.items()})
        torch.testing.assert_close(stacked[draw], expected)


def test_more_steps_than_positions_are_told():
    fusion = of_steps()
    values, observed = sequences()
    values["text"] = torch.zeros(4, 511, 3, dtype=torch.float64)
    with pytest.raises(FeatureError, match=r"text takes 513 positions.*it has 512.*--max-length"):
        fusion(values, observed)
