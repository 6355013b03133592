"""What is loaded and what is refused: nothing random, no decoder, no tokenizer of others."""

from __future__ import annotations

import json
import logging
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from bayesfuse.encoders.text_folder import read_text_folder
from bayesfuse.encoders.text_loading import build_backbone, load_backbone, load_tokenizer
from bayesfuse.encoders.text_source import network_config
from bayesfuse.errors import ConfigError, FeatureError, MissingExtraError


@pytest.fixture
def folder(bert_folder, tmp_path):
    return shutil.copytree(bert_folder, tmp_path / "model")


def _load(folder, pooler=False):
    return load_backbone(read_text_folder(folder), pooler=pooler)


def _change(folder, name, **settings):
    config = json.loads((folder / name).read_text(encoding="utf-8"))
    (folder / name).write_text(json.dumps({**config, **settings}), encoding="utf-8")


def test_the_weights_are_the_file_s_in_float32(folder):
    weights = load_file(folder / "model.safetensors")
    save_file({k: w.half() for k, w in weights.items()}, folder / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    own = _load(folder, pooler=True).state_dict()
    assert set(own) == set(weights)
    for name, weight in own.items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, weights[name].half().float())


def test_a_state_dict_of_torch_is_read_where_there_is_nothing_else(folder):
    first = _load(folder, pooler=True).state_dict()
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    again = _load(folder, pooler=True).state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in first.items())


class Evil:
    def __reduce__(self):
        return open, ("it-ran", "w")


def test_a_pickle_that_runs_code_is_refused(folder, monkeypatch):
    monkeypatch.chdir(folder)
    torch.save({"weight": Evil()}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(FeatureError, match="could run code"):
        _load(folder)
    assert not (folder / "it-ran").exists()


def test_weights_lie_where_torch_would_have_put_them(folder):
    """So that a network that is rebuilt from its weights gives the very same bits."""
    assert all(weight.data_ptr() % 64 == 0 for weight in _load(folder, pooler=True).parameters())


def test_a_model_with_a_head_is_an_encoder_too(make_text_folder):
    network = _load(make_text_folder(head="AutoModelForMaskedLM"))
    assert type(network).__name__ == "BertModel"
    assert network.pooler is None


def test_a_pooler_that_would_be_random_is_refused(make_text_folder):
    with pytest.raises(ConfigError, match=r"lacks 2 of the network's weights, such as pooler"):
        _load(make_text_folder(head="AutoModelForMaskedLM"), pooler=True)


def test_weights_that_are_missing_are_not_made_up(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"lacks 1 .* encoder\.layer\.1\.output\.dense\.weight"):
        _load(folder)


@pytest.mark.parametrize("damage", ["cut", "other sizes"])
def test_weights_that_do_not_fit(folder, damage):
    if damage == "cut":
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    else:
        _change(folder, "config.json", hidden_size=32)
    with pytest.raises(ConfigError, match=r"do not fit config\.json, or are damaged"):
        _load(folder)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("gpt2", {"n_embd": 24, "n_layer": 1, "n_head": 2}),
        ("llama", {"num_key_value_heads": 2}),
        ("bert", {"is_decoder": True}),
        ("vit", {}),
    ],
)
def test_what_is_no_text_encoder_is_refused(folder, kind, settings):
    _change(folder, "config.json", model_type=kind, **settings)
    with pytest.raises(ConfigError, match=rf"a {kind} model is no text encoder"):
        _load(folder)


def test_code_of_a_stranger_is_not_run(folder):
    _change(
        folder,
        "config.json",
        model_type="new",
        auto_map={"AutoConfig": "evil.C", "AutoModel": "e.M"},
    )
    (folder / "evil.py").write_text("raise SystemExit('ran')", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.json is not usable"):
        _load(folder)


def test_an_unknown_architecture(folder):
    _change(folder, "config.json", model_type="no-such-network")
    with pytest.raises(ConfigError, match="no-such-network"):
        _load(folder)


T5 = {"d_model": 24, "d_kv": 12, "d_ff": 32, "num_layers": 2, "num_heads": 2}
BART = {
    "d_model": 24, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
}  # fmt: skip
TOKENS = torch.tensor([[2, 30, 41, 52, 3]])


@pytest.mark.parametrize(("kind", "settings"), [("t5", T5), ("bart", BART), ("modernbert", {})])
def test_encoders_of_other_kinds_and_their_rebuilding(make_text_folder, kind, settings):
    """Of a network that also decodes, only the encoder is kept."""
    network = _load(make_text_folder(kind, **settings))
    assert not any("decoder" in name for name, _ in network.named_modules())
    again = build_backbone(network_config(network), network.state_dict(), pooler=False)
    with torch.no_grad():
        first = network(input_ids=TOKENS).last_hidden_state
        assert torch.equal(first, again(input_ids=TOKENS).last_hidden_state)
        other = network(input_ids=TOKENS.flip(1)).last_hidden_state
    assert not torch.equal(first, other)


def test_rebuilding_draws_no_random_number_that_others_would_have_drawn(folder):
    network = _load(folder)
    state = torch.get_rng_state()
    build_backbone(network_config(network), network.state_dict(), pooler=False)
    _load(folder)
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_of_another_network_are_not_rebuilt(folder, make_text_folder):
    network, other = _load(folder), _load(make_text_folder(hidden_size=32))
    with pytest.raises(FeatureError, match="cannot be rebuilt"):
        build_backbone(network_config(network), other.state_dict(), pooler=False)
    config = network_config(network)
    with pytest.raises(FeatureError, match="cannot be rebuilt"):
        build_backbone({**config, "model_type": "gpt2"}, network.state_dict(), pooler=False)


def _tokenizer(folder):
    return load_tokenizer(read_text_folder(folder), _load(folder))


def test_the_tokenizer_and_its_limits(folder):
    parts = _tokenizer(folder)
    assert (parts.pad, parts.unknown, parts.limit) == (0, 1, 64)
    _change(folder, "tokenizer_config.json", model_max_length=10**30)
    assert _tokenizer(folder).limit == 80  # the network's positions


@pytest.mark.parametrize(("kind", "limit"), [("roberta", 79), ("mpnet", 78), ("distilbert", 80)])
def test_positions_that_begin_after_that_of_padding(make_text_folder, kind, limit):
    """RoBERTa numbers tokens from pad + 1 (here 1), MPNet from 2 in any case."""
    sizes = (
        {"dim": 24, "n_layers": 1, "n_heads": 2, "hidden_dim": 32} if kind == "distilbert" else {}
    )
    folder = make_text_folder(kind, max_length=None, **sizes)
    parts = _tokenizer(folder)
    assert parts.limit == limit
    network = _load(folder)
    with torch.no_grad():
        network(input_ids=torch.full((1, limit), 5))
        with pytest.raises((IndexError, RuntimeError)):
            network(input_ids=torch.full((1, limit + 1), 5))


def test_a_network_without_a_limit_gets_one(make_text_folder):
    assert (
        _tokenizer(
            make_text_folder("t5", max_length=None, max_position_embeddings=None, **T5)
        ).limit
        == 512
    )


def test_a_tokenizer_of_another_model(folder):
    _change(folder, "config.json", vocab_size=50)
    weights = load_file(folder / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    weights[name] = weights[name][:50].clone()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"the network knows 50"):
        _tokenizer(folder)


def test_a_tokenizer_that_does_not_pad(folder):
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    del config["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    with pytest.raises(ConfigError, match="no token of its own to pad with"):
        _tokenizer(folder)


def test_no_tokenizer(folder):
    for path in folder.glob("*token*"):
        path.unlink()
    with pytest.raises(ConfigError, match="there is no tokenizer"):
        _tokenizer(folder)


def test_a_damaged_tokenizer(folder):
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="no tokenizer can be loaded"):
        _tokenizer(folder)


def test_a_slow_tokenizer(folder):
    for path in folder.glob("*token*"):
        path.unlink()
    (folder / "vocab.txt").write_text("a", encoding="utf-8")
    config = {"tokenizer_class": "CanineTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ConfigError, match="CanineTokenizer is a slow tokenizer"):
        _tokenizer(folder)


def test_loading_says_nothing_and_leaves_no_trace(folder, capfd, make_text_folder):
    from huggingface_hub.utils import are_progress_bars_disabled
    from transformers.utils import logging as theirs

    masked = make_text_folder(head="AutoModelForMaskedLM")
    capfd.readouterr()
    before = theirs.get_verbosity(), theirs.is_progress_bar_enabled(), logging.root.level
    _tokenizer(masked)
    assert capfd.readouterr() == ("", "")
    assert before == (theirs.get_verbosity(), theirs.is_progress_bar_enabled(), logging.root.level)
    assert not are_progress_bars_disabled()


def test_without_the_library_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bayesfuse\[text\]'"):
        _load(folder)
