"""Fitted encoders in a folder."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bayesfuse.encoders.saving import (
    encoder_from_state,
    load_encoders,
    save_encoders,
)
from bayesfuse.encoders.statistics import StatisticsEncoder
from bayesfuse.encoders.tfidf import TfidfEncoder
from bayesfuse.errors import ConfigError, FeatureError, RunFolderError

TEXTS = ["a red house", "a blue house", "a green hill", "a red hill"]


@pytest.fixture
def folder(tmp_path):
    encoders = {
        "plot/1.x": TfidfEncoder(width=3).fit(TEXTS),
        "image": StatisticsEncoder(),
        "text": TfidfEncoder(width=2).fit(TEXTS[:3]),
    }
    save_encoders(tmp_path, encoders)
    return tmp_path


def test_saved_encoders_give_the_very_same_features(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "encoders.json",
        "encoders.safetensors",
    ]
    loaded = load_encoders(folder)
    assert list(loaded) == ["plot/1.x", "image", "text"]
    for modality, texts, width in (("plot/1.x", TEXTS, 3), ("text", TEXTS[:3], 2)):
        fitted = TfidfEncoder(width=width).fit(texts)
        np.testing.assert_array_equal(loaded[modality].encode(TEXTS)[0], fitted.encode(TEXTS)[0])


def test_no_encoders_and_only_encoders_without_arrays(tmp_path):
    assert load_encoders(tmp_path) == {}
    save_encoders(tmp_path, {"image": StatisticsEncoder()})
    assert isinstance(load_encoders(tmp_path)["image"], StatisticsEncoder)


@pytest.mark.parametrize("name", ["encoders.json", "encoders.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(RunFolderError, match=f"{name} is missing"):
        load_encoders(folder)


@pytest.mark.parametrize("name", ["encoders.json", "encoders.safetensors"])
@pytest.mark.parametrize("share", [0, 0.5, 0.95])
def test_a_truncated_file_is_told(folder, name, share):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: int(share * len(data))])
    with pytest.raises(RunFolderError, match="cannot be read"):
        load_encoders(folder)


def test_a_state_of_an_unknown_encoder_or_another_version_is_told(folder):
    with pytest.raises(ConfigError, match='Unknown encoder "bert"'):
        encoder_from_state({"name": "bert"}, {})
    config = json.loads((folder / "encoders.json").read_text())
    config["image"]["width"] = 7
    (folder / "encoders.json").write_text(json.dumps(config))
    with pytest.raises(RunFolderError, match="width 7"):
        load_encoders(folder)


def test_an_encoder_that_is_not_fitted_is_not_saved(tmp_path):
    with pytest.raises(FeatureError, match="not fitted"):
        save_encoders(tmp_path, {"text": TfidfEncoder()})
    assert list(tmp_path.iterdir()) == []


def test_arrays_come_back_in_their_own_shapes(tmp_path, monkeypatch):
    """A count of batches, say, is a number without any dimension."""
    shapes = {}

    def from_state(config, arrays):
        shapes.update({key: array.shape for key, array in arrays.items()})
        return StatisticsEncoder()

    arrays = {"count": np.array(3), "row": np.zeros((1, 2))[:, ::-1]}
    monkeypatch.setattr(StatisticsEncoder, "state", lambda self: ({"name": "statistics"}, arrays))
    monkeypatch.setattr(StatisticsEncoder, "from_state", staticmethod(from_state))
    save_encoders(tmp_path, {"image": StatisticsEncoder()})
    load_encoders(tmp_path)
    assert shapes == {"count": (), "row": (1, 2)}
