"""Fusion by a transformer; what all rules promise is in test_base.py."""

from __future__ import annotations

import pytest
import torch

from bayesfuse.models.fusion import BitransformerFusion

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
