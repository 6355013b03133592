"""Pooling against plain loops, what pads, layers and parts by name, and training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesfuse.encoders.text_folder import read_text_folder
from bayesfuse.encoders.text_loading import load_backbone
from bayesfuse.encoders.text_model import POOLINGS, TextModel
from bayesfuse.errors import ConfigError

PAD = 0
TEXTS = [[2, 30, 41, 52, 63, 3], [2, 77, 3], [2, 9, 3, 0], [2, *range(10, 50), 3]]


@pytest.fixture(scope="module")
def backbone(bert_folder):
    return load_backbone(read_text_folder(bert_folder), pooler=True)


def _model(backbone, pooling="mean", normalise=False):
    return TextModel(backbone, pad=PAD, pooling=pooling, normalise=normalise).eval()


def _padded():
    length = max(map(len, TEXTS))
    return torch.tensor([text + [PAD] * (length - len(text)) for text in TEXTS])


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_poolings_are_those_of_the_docstring_text_by_text(backbone, pooling, normalise):
    with torch.no_grad():
        batch = _model(backbone, pooling, normalise)(_padded()).numpy()
        for text, vector in zip(TEXTS, batch, strict=True):
            tokens = [token for token in text if token != PAD]
            states = backbone(input_ids=torch.tensor([tokens])).last_hidden_state[0].numpy()
            expected = {
                "cls": states[0],
                "mean": sum(states) / len(states),
                "max": np.max(states, axis=0),
                "pooler": np.tanh(
                    backbone.pooler.dense.weight.numpy() @ states[0]
                    + backbone.pooler.dense.bias.numpy()
                ),
            }[pooling]
            if normalise:
                expected = expected / np.linalg.norm(expected)
            np.testing.assert_allclose(vector, expected, atol=1e-5)
    assert batch.shape == (4, 24)
    assert _model(backbone).width == 24


@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_takes_no_part(backbone, pooling):
    model = _model(backbone, pooling)
    with torch.no_grad():
        alone = model(torch.tensor([TEXTS[0]]))
        among = model(_padded())[:1]
        other = model(torch.tensor([[*TEXTS[0], 5]]))
    torch.testing.assert_close(alone, among, atol=1e-6, rtol=0)
    assert not torch.allclose(alone, other, atol=1e-4)


def test_a_text_of_padding_alone_gives_no_nan(backbone):
    with torch.no_grad():
        assert torch.isfinite(_model(backbone)(torch.tensor([[PAD, PAD], [2, 3]]))).all()


KINDS = {
    "bert": {},
    "roberta": {},
    "distilbert": {"dim": 24, "n_layers": 3, "n_heads": 2, "hidden_dim": 32},
    "mpnet": {},
    "electra": {"embedding_size": 16},
    "deberta-v2": {"relative_attention": True, "position_buckets": 8, "pos_att_type": ["p2c"]},
    "modernbert": {"cls_token_id": 2, "sep_token_id": 3},
    "bart": {
        "d_model": 24, "encoder_layers": 3, "decoder_layers": 1, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
    },
    "t5": {"d_model": 24, "d_kv": 12, "d_ff": 32, "num_layers": 3, "num_heads": 2},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_layers_and_parts_hold_every_weight_once(make_text_folder, kind):
    folder = make_text_folder(kind, **KINDS[kind])
    model = _model(load_backbone(read_text_folder(folder), pooler=False))
    assert len(model.blocks) == 3
    assert next(iter(model.parts)) == "embeddings"
    assert "pooler" not in model.parts
    groups = [*model.blocks, *model.parts.values()]
    named = [id(weight) for group in groups for weight in group.parameters()]
    own = {id(weight) for weight in model.parameters()}
    assert set(named) == own
    assert len(named) == len(own)
    order = [name for name, module in model.named_modules() if module in model.blocks]
    assert order == sorted(order)


def test_the_pooler_is_a_part_where_it_is_used(backbone):
    assert "pooler" in _model(backbone, "pooler").parts
    assert "pooler" not in _model(backbone, "cls").parts


def test_a_network_without_a_pooler_has_no_such_pooling(make_text_folder):
    folder = make_text_folder("electra", embedding_size=16)
    network = load_backbone(read_text_folder(folder), pooler=True)
    with pytest.raises(ConfigError, match="ElectraModel has no pooling layer of its own"):
        _model(network, "pooler")


def test_a_network_that_cannot_checkpoint_says_so(make_text_folder):
    model = _model(load_backbone(read_text_folder(make_text_folder("mpnet")), pooler=False))
    with pytest.raises(ConfigError, match="MPNetModel does not support gradient checkpointing"):
        model.enable_gradient_checkpointing()


def test_a_network_that_is_no_stack_of_layers(make_text_folder):
    folder = make_text_folder("xlm", emb_dim=24, n_layers=2, n_heads=2, n_words=400)
    model = _model(load_backbone(read_text_folder(folder), pooler=False))
    with pytest.raises(ConfigError, match="XLMModel is not one stack of layers"):
        model.blocks  # noqa: B018 - a property that raises


def test_layers_go_from_the_tokens_upwards(backbone):
    """What is changed in the last layer alone cannot change the states before it."""
    model = _model(backbone)
    assert model.blocks[0] is backbone.encoder.layer[0]
    assert model.blocks[-1] is backbone.encoder.layer[-1]


def _train(model, steps):
    tokens = _padded()
    target = torch.randn(4, 24)
    optimiser = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=5e-3)
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = (model(tokens) - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def test_training_lowers_the_loss_and_moves_what_is_not_frozen_alone(make_text_folder):
    model = _model(load_backbone(read_text_folder(make_text_folder()), pooler=False))
    model.train().requires_grad_(False)
    model.blocks[-1].requires_grad_(True)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    losses = _train(model, 20)
    assert losses[-1] < 0.8 * losses[0]
    moved = {
        name for name, weight in model.state_dict().items() if not torch.equal(before[name], weight)
    }
    last = {name for name in before if ".layer.2." in name}
    # a bias of the keys shifts all scores of a query alike, and so has no gradient
    assert last - {name for name in last if "key.bias" in name} <= moved <= last


def test_gradient_checkpointing_changes_no_gradient(make_text_folder):
    nothing_drawn = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    folder = read_text_folder(make_text_folder(**nothing_drawn))
    gradients, calls = [], []
    for checkpointing in (False, True):
        model = _model(load_backbone(folder, pooler=False)).train()
        if checkpointing:
            model.enable_gradient_checkpointing()
        count = []
        model.blocks[0].intermediate.register_forward_hook(lambda *_, seen=count: seen.append(1))
        model(_padded()).square().sum().backward()
        gradients.append([weight.grad for weight in model.parameters()])
        calls.append(len(count))
    assert calls == [1, 2]
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)
