"""What a model's folder says: steps of sentence-transformers, weights, and hashes of both."""

from __future__ import annotations

import json
import shutil

import pytest

from bayesfuse.encoders.text_folder import PATTERNS, read_text_folder
from bayesfuse.errors import ConfigError


@pytest.fixture
def folder(bert_folder, tmp_path):
    return shutil.copytree(bert_folder, tmp_path / "model")


STEPS = {
    "Transformer": "sentence_transformers.models.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Normalize": "sentence_transformers.models.Normalize",
    "Dense": "sentence_transformers.models.Dense",
    "WordWeights": "somebody.else.WordWeights",
}


def _write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def _sentence_transformer(folder, *kinds, pooling=None, network=""):
    """Write the files that make a folder one of sentence-transformers."""
    modules = [
        {"idx": n, "name": str(n), "path": f"{n}_{kind}" if n else network, "type": STEPS[kind]}
        for n, kind in enumerate(kinds)
    ]
    _write(folder / "modules.json", modules)
    _write(folder / "1_Pooling" / "config.json", pooling or {"pooling_mode_mean_tokens": True})
    return folder


def test_a_real_folder(minilm_folder):
    read = read_text_folder(minilm_folder)
    assert (read.path, read.pooling, read.max_length) == (minilm_folder, "mean", 256)
    assert (read.normalise, read.lower_case, read.unknown_pooling) == (True, False, "")


def test_a_folder_of_transformers_says_nothing(folder):
    read = read_text_folder(folder)
    assert (read.path, read.pooling, read.max_length) == (folder, None, None)
    assert (read.normalise, read.lower_case) == (False, False)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode": "mean", "include_prompt": True}, "mean"),
        ({"pooling_mode": ["cls"]}, "cls"),
    ],
)
def test_the_pooling_in_old_and_new_spelling(folder, pooling, expected):
    _sentence_transformer(folder, "Transformer", "Pooling", pooling=pooling)
    assert read_text_folder(folder).pooling == expected


@pytest.mark.parametrize(
    ("pooling", "named"),
    [
        ({"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False}, "lasttoken"),
        ({"pooling_mode": "mean_sqrt_len_tokens"}, "mean_sqrt_len_tokens"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, "cls+mean"),
        ({"pooling_mode": ["cls", "max"]}, "cls+max"),
    ],
)
def test_a_pooling_that_we_do_not_have_is_named(folder, pooling, named):
    _sentence_transformer(folder, "Transformer", "Pooling", pooling=pooling)
    read = read_text_folder(folder)
    assert (read.pooling, read.unknown_pooling) == (None, named)


def test_normalising_length_and_lower_case(folder):
    _sentence_transformer(folder, "Transformer", "Pooling", "Normalize")
    _write(folder / "sentence_roberta_config.json", {"max_seq_length": 33, "do_lower_case": True})
    read = read_text_folder(folder)
    assert (read.normalise, read.max_length, read.lower_case) == (True, 33, True)


def test_a_network_in_a_folder_of_its_own(folder, tmp_path):
    _sentence_transformer(folder, "Transformer", "Pooling", network="0_Transformer")
    files = [path for path in folder.iterdir() if path.is_file() and path.name != "modules.json"]
    (folder / "0_Transformer").mkdir()
    for path in files:
        path.rename(folder / "0_Transformer" / path.name)
    read = read_text_folder(folder)
    assert read.path == folder / "0_Transformer"
    assert [file.name for file in read.weight_files()] == ["model.safetensors"]


@pytest.mark.parametrize("kind", ["Dense", "WordWeights"])
def test_steps_that_we_do_not_have_are_named(folder, kind):
    _sentence_transformer(folder, "Transformer", "Pooling", kind)
    with pytest.raises(ConfigError, match=rf"modules\.json has a {kind} step"):
        read_text_folder(folder)


@pytest.mark.parametrize(
    "kinds", [("Transformer",), ("Transformer", "Normalize", "Pooling"), ("Pooling",)]
)
def test_steps_in_another_order(folder, kinds):
    _sentence_transformer(folder, *kinds)
    with pytest.raises(ConfigError, match="has the steps"):
        read_text_folder(folder)


def test_a_prompt_before_every_text_is_not_overlooked(folder):
    _sentence_transformer(folder, "Transformer", "Pooling")
    prompts = folder / "config_sentence_transformers.json"
    _write(prompts, {"prompts": {"query": "query: "}, "default_prompt_name": None})
    assert read_text_folder(folder).pooling == "mean"
    _write(prompts, {"prompts": {"query": "query: "}, "default_prompt_name": "query"})
    with pytest.raises(ConfigError, match='the prompt "query"'):
        read_text_folder(folder)


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(ConfigError, match="no text model's folder"):
        read_text_folder(tmp_path)
    (tmp_path / "modules.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be read as JSON"):
        read_text_folder(tmp_path)


def test_weights_in_one_file_in_several_or_none(folder):
    read = read_text_folder(folder)
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    (folder / "model.safetensors").rename(folder / shards[0])
    with pytest.raises(ConfigError, match="has no weights"):
        read.weight_files()
    _write(folder / "model.safetensors.index.json", {"weight_map": {"a": shards[0]}})
    assert [file.name for file in read.weight_files()] == shards[:1]
    _write(
        folder / "model.safetensors.index.json", {"weight_map": {"a": shards[0], "b": shards[1]}}
    )
    with pytest.raises(ConfigError, match=f"the weights lack {shards[1]}"):
        read.weight_files()


def test_safetensors_go_before_a_state_dict(folder):
    read = read_text_folder(folder)
    (folder / "pytorch_model.bin").write_bytes(b"")
    assert [file.name for file in read.weight_files()] == ["model.safetensors"]
    (folder / "model.safetensors").unlink()
    assert [file.name for file in read.weight_files()] == ["pytorch_model.bin"]


def _append(path):
    path.write_bytes(path.read_bytes() + b" ")


def test_hashes_are_of_the_content_and_of_nothing_else(folder, tmp_path):
    def hashes(place):
        read = read_text_folder(place)
        return read.weights_hash(), read.files_hash()

    first = hashes(folder)
    assert hashes(shutil.copytree(folder, tmp_path / "copy")) == first
    (folder / "README.md").write_text("about it", encoding="utf-8")
    assert hashes(folder) == first
    _append(folder / "model.safetensors")
    changed = hashes(folder)
    assert changed[0] != first[0]
    assert changed[1] == first[1]
    for name in ("config.json", "tokenizer.json"):
        other = shutil.copytree(tmp_path / "copy", tmp_path / name)
        _append(other / name)
        assert hashes(other)[0] == first[0]
        assert hashes(other)[1] != first[1]


def test_the_patterns_are_of_files_that_hold_no_code():
    assert all(
        pattern.endswith((".json", ".txt", ".model", ".safetensors")) for pattern in PATTERNS
    )
