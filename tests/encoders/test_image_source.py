"""Where networks come from: the hub (one on this machine), folders of timm, files; and again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from bayesfuse.encoders.image_source import (
    ImageSource,
    KeptNetwork,
    source_from_state,
    state_of,
)
from bayesfuse.encoders.torchvision_operators import import_timm
from bayesfuse.encoders.weights import weights_hash
from bayesfuse.errors import ConfigError, FeatureError, MissingExtraError

try:
    timm = import_timm()
except MissingExtraError as error:
    pytest.skip(str(error), allow_module_level=True)

NAME, REPO = "test_resnet", "timm/test_resnet.r160_in1k"
CONFIG = {
    "architecture": NAME,
    "num_classes": 11,
    "pretrained_cfg": {
        "tag": "mine",
        "input_size": [3, 96, 96],
        "mean": [0.5, 0.5, 0.5],
        "num_classes": 11,
        "classifier": "fc",
        "first_conv": "conv1.0",
    },
}


def silent(message: str) -> None:
    raise AssertionError(f"nothing was to be told: {message}")


def weights(seed: int = 0, num_classes: int = 11) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return timm.create_model(NAME, num_classes=num_classes).state_dict()


def holds(network, state) -> bool:
    own = network.state_dict()
    return all(torch.equal(own[key], state[key]) for key in own if not key.startswith("fc."))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "a model"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(CONFIG))
    save_file(weights(), path / "model.safetensors")
    return path


def test_a_name_of_timms_with_weights_from_a_file(tmp_path):
    save_file(weights(), tmp_path / "w.safetensors")
    source, network = ImageSource.find(
        NAME, str(tmp_path / "w.safetensors"), {"num_classes": 11}, silent
    )
    assert holds(network, weights())
    assert source == ImageSource(
        NAME,
        {"num_classes": 11},
        None,
        str(tmp_path / "w.safetensors"),
        None,
        weights_hash(weights()),
    )
    assert holds(source.again(silent), weights())


def test_a_relative_path_is_remembered_as_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(weights(), "w.pth")
    source, _ = ImageSource.find(NAME, "w.pth", {}, silent)
    assert source.weights == str(tmp_path / "w.pth")
    monkeypatch.chdir("/")
    assert holds(source.again(silent), weights())


def test_a_name_of_timms_has_its_weights_from_the_hub(hub):
    commit = hub.add(REPO, {"model.safetensors": save(weights()), "pytorch_model.bin": b"pickle"})
    told: list[str] = []
    source, network = ImageSource.find(NAME, None, {}, told.append)
    assert holds(network, weights())
    assert (source.weights, source.revision) == (REPO, commit)
    assert len(told) == 1
    assert f"image model {REPO}" in told[0]
    assert not [request for request in hub.requests if "pytorch_model.bin" in request]
    hub.stop()
    assert holds(source.again(silent), weights())


def test_a_later_version_on_the_hub_is_not_taken_for_it(hub):
    hub.add(REPO, {"model.safetensors": save(weights())})
    source, _ = ImageSource.find(NAME, None, {}, lambda message: None)
    hub.add(REPO, {"model.safetensors": save(weights(1))})
    assert holds(source.again(silent), weights())


def test_offline_it_is_said_what_to_do(no_hub):
    with pytest.raises(ConfigError, match=r"image model .* cannot be reached.*path in place of"):
        ImageSource.find(NAME, None, {}, silent)


def test_a_model_without_weights_on_the_hub(no_hub):
    with pytest.raises(ConfigError, match=r"no weights on the hub for .test_mambaout.*a file of"):
        ImageSource.find("test_mambaout", None, {}, silent)


@pytest.mark.parametrize("place", ["folder", "hub"])
def test_a_model_that_timm_has_saved(place, folder, hub):
    if place == "folder":
        model, where, revision = str(folder), str(folder / "model.safetensors"), None
    else:
        revision = hub.add("somebody/a-model", folder)
        model, where = "somebody/a-model", "somebody/a-model"
    source, network = ImageSource.find(model, None, {"drop_rate": 0.1}, lambda message: None)
    assert (source.weights, source.revision) == (where, revision)
    assert source.architecture == NAME
    assert source.args == {"num_classes": 11, "drop_rate": 0.1}
    assert network.num_classes == 11
    assert list(network.pretrained_cfg["input_size"]) == [3, 96, 96]
    assert holds(network, weights())
    again = source.again(silent)
    assert holds(again, weights())
    assert list(again.pretrained_cfg["input_size"]) == [3, 96, 96]


def test_the_prefix_that_timm_has_for_the_hub_is_understood(hub, folder):
    hub.add("somebody/a-model", folder)
    source, _ = ImageSource.find("hf-hub:somebody/a-model", None, {}, lambda message: None)
    assert source.weights == "somebody/a-model"


def test_a_folder_with_other_weights(folder, tmp_path):
    save_file(weights(5), tmp_path / "other.safetensors")
    (folder / "model.safetensors").unlink()
    source, network = ImageSource.find(str(folder), str(tmp_path / "other.safetensors"), {}, silent)
    assert holds(network, weights(5))
    assert source.weights == str(tmp_path / "other.safetensors")


def test_what_is_no_folder_of_timm(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        ConfigError, match=r"has no weights of an image model; expected model\.safe"
    ):
        ImageSource.find(str(folder), None, {}, silent)
    for content in ('{"model_type": "bert"}', "[]", "{"):
        (folder / "config.json").write_text(content)
        with pytest.raises(ConfigError, match="no folder of an image model as timm saves it"):
            ImageSource.find(str(folder), None, {}, silent)
    (folder / "config.json").write_text('{"architecture": "test_resnett"}')
    with pytest.raises(ConfigError, match='Did you mean "test_resnet"'):
        ImageSource.find(str(folder), None, {}, silent)


def test_an_unknown_name_is_told_before_any_weights_are_read():
    with pytest.raises(ConfigError, match='Did you mean "test_resnet"'):
        ImageSource.find("test_resnett", "nowhere.pth", {}, silent)
    with pytest.raises(ConfigError, match=r"expected one of test_resnet\.r160_in1k"):
        ImageSource.find("test_resnet.foo", "nowhere.pth", {}, silent)
    with pytest.raises(FeatureError, match=r"There is no file .*nowhere\.pth"):
        ImageSource.find(NAME, "nowhere.pth", {}, silent)


def test_other_weights_in_the_same_place_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(weights(), path)
    source, _ = ImageSource.find(NAME, str(path), {}, silent)
    save_file(weights(1), path)
    with pytest.raises(FeatureError, match=r"others than .* SHA-256|SHA-256 .*Put those back"):
        source.again(silent)
    path.unlink()
    with pytest.raises(FeatureError, match=r"no longer at .*w\.safetensors"):
        source.again(silent)


def test_the_same_weights_may_move(tmp_path):
    save_file(weights(), tmp_path / "w.safetensors")
    source, _ = ImageSource.find(NAME, str(tmp_path / "w.safetensors"), {}, silent)
    torch.save({"state_dict": weights()}, tmp_path / "elsewhere.pth")
    (tmp_path / "w.safetensors").unlink()
    moved = source.moved_to(str(tmp_path / "elsewhere.pth"))
    assert holds(moved.again(silent), weights())
    save_file(weights(1), tmp_path / "others.safetensors")
    with pytest.raises(FeatureError, match="are others than the image encoder was fitted with"):
        source.moved_to(str(tmp_path / "others.safetensors"))


def test_the_state_brings_a_source_back(folder):
    source, _ = ImageSource.find(str(folder), None, {}, silent)
    config, arrays = state_of(source)
    assert arrays == {}
    again = source_from_state(json.loads(json.dumps(config)), {})
    assert state_of(again) == (config, {})
    assert holds(again.again(silent), weights())


def test_kept_weights_need_no_file():
    state = {key: value for key, value in weights(3).items() if not key.startswith("fc.")}
    kept = KeptNetwork(NAME, {"num_classes": 11}, None, state)
    config, arrays = state_of(kept)
    assert config["weights"] is None
    again = source_from_state(json.loads(json.dumps(config)), arrays)
    assert isinstance(again, KeptNetwork)
    assert holds(again.again(silent), weights(3))
    arrays["conv1.0.weight"] = arrays["conv1.0.weight"] + 1
    with pytest.raises(FeatureError, match="its arrays are not the weights that it names"):
        source_from_state(config, arrays)


def test_sequences_among_arguments_survive_json():
    config, _ = state_of(KeptNetwork("test_vit", {"img_size": (96, 64)}, None, {}))
    assert source_from_state(json.loads(json.dumps(config)), {}).args == {"img_size": (96, 64)}
