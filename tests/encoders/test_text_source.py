"""Where a model comes from: a folder, the hub, or what was kept; and that it is still the same."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from bayesfuse.encoders.text_folder import read_text_folder
from bayesfuse.encoders.text_source import KeptModel, ModelSource, load_model, network_config
from bayesfuse.errors import ConfigError, FeatureError


def _silent(message):
    raise AssertionError(message)


@pytest.fixture
def folder(bert_folder, tmp_path):
    return shutil.copytree(bert_folder, tmp_path / "model")


def test_a_local_folder_is_found_where_it_is(folder, monkeypatch, no_hub):
    monkeypatch.chdir(folder.parent)
    source, found = ModelSource.find("model", _silent)
    assert (source.model, source.revision, found.path) == (str(folder), None, folder)
    assert source.again(_silent) == found


def test_a_folder_goes_before_a_name_and_no_folder_is_a_name(folder, no_hub):
    with pytest.raises(ConfigError, match="no local folder"):
        ModelSource.find(str(folder / "not-there"), _silent)
    with pytest.raises(ConfigError, match="not in the local cache"):
        ModelSource.find("model", _silent)


def test_a_model_of_the_hub_stays_at_its_commit(folder, hub):
    commit = hub.add("maker/model", folder)
    told = []
    source, _ = ModelSource.find("maker/model", told.append)
    assert (source.model, source.revision) == ("maker/model", commit)
    assert len(told) == 1
    hub.add("maker/model", {"config.json": b"{}", "model.safetensors": b""})
    assert source.again(_silent).path.name == commit
    local, _ = ModelSource.find(str(folder), _silent)
    assert (local.weights_sha256, local.files_sha256) == (
        source.weights_sha256,
        source.files_sha256,
    )


@pytest.mark.parametrize(
    ("name", "what"),
    [("model.safetensors", "weights"), ("tokenizer.json", "configuration or tokenizer")],
)
def test_another_model_in_the_same_place_is_noticed(folder, name, what):
    source, _ = ModelSource.find(str(folder), _silent)
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    with pytest.raises(FeatureError, match=f"another {what} than the encoder was fitted with"):
        source.again(_silent)


def test_a_folder_that_is_gone(folder, tmp_path):
    source, _ = ModelSource.find(str(folder), _silent)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(FeatureError, match=r"is no longer at .*model"):
        source.again(_silent)
    found, _ = ModelSource.find(str(tmp_path / "elsewhere"), _silent)
    assert source.moved_to(found).model == str(tmp_path / "elsewhere")


def test_a_kept_model_needs_no_folder_and_is_the_same(folder):
    backbone, tokenizer = load_model(read_text_folder(folder), pooler=True)
    weights = {f"backbone.{name}": weight for name, weight in backbone.state_dict().items()}
    config, arrays = KeptModel(network_config(backbone), tokenizer, weights).state()
    shutil.rmtree(folder)
    kept = KeptModel.from_state(json.loads(json.dumps(config)), arrays)
    assert kept.tokenizer == tokenizer
    tokens = torch.tensor([[2, 30, 40, 3]])
    with torch.no_grad():
        first = backbone(input_ids=tokens)
        again = kept.backbone(pooler=True)(input_ids=tokens)
    assert torch.equal(first.last_hidden_state, again.last_hidden_state)
    assert torch.equal(first.pooler_output, again.pooler_output)


def test_no_place_is_kept_with_the_configuration(folder):
    backbone, _ = load_model(read_text_folder(folder), pooler=False)
    assert str(folder.parent) not in json.dumps(network_config(backbone))


def test_bfloat16_is_kept_as_float32(folder):
    backbone, tokenizer = load_model(read_text_folder(folder), pooler=False)
    weights = {"a": torch.tensor([1.0, 3.14159]).bfloat16(), "b": torch.tensor([3])}
    _, arrays = KeptModel(network_config(backbone), tokenizer, weights).state()
    assert {name: array.dtype.name for name, array in arrays.items()} == {
        "a": "float32",
        "b": "int64",
    }
    np.testing.assert_array_equal(arrays["a"], [1.0, 3.140625])
