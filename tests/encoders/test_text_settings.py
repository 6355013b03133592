"""Resolving what was left open, and settings to JSON and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bayesfuse.encoders.text_folder import TextFolder
from bayesfuse.encoders.text_settings import (
    TextSettings,
    check_max_length,
    resolve_max_length,
    resolve_pooling,
)
from bayesfuse.errors import ConfigError, FeatureError

SETTINGS = TextSettings(
    pooling="mean", max_length=64, long_texts="windows", stride=16, languages=("en", "de"),
    precision="float32", normalise=True, lower_case=False, width=24,
)  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "folders", "expected"),
    [("cls", "max", "cls"), (None, "max", "max"), (None, None, "mean"), ("cls", None, "cls")],
)
def test_the_pooling_asked_for_goes_before_the_folder_s(wanted, folders, expected):
    assert resolve_pooling(wanted, TextFolder(Path("m"), pooling=folders)) == expected


def test_a_pooling_that_we_do_not_have_is_replaced_on_request_only():
    folder = TextFolder(Path("m"), unknown_pooling="lasttoken")
    assert resolve_pooling("mean", folder) == "mean"
    with pytest.raises(ConfigError, match='asks for the pooling "lasttoken"'):
        resolve_pooling(None, folder)


@pytest.mark.parametrize(
    ("wanted", "folders", "expected"),
    [(32, 256, 32), (None, 256, 256), (None, 1024, 512), (None, None, 512), (512, 256, 512)],
)
def test_the_length_asked_for_goes_before_the_folder_s(wanted, folders, expected):
    folder = TextFolder(Path("m"), max_length=folders)
    assert resolve_max_length(wanted, folder, limit=512, num_special=2) == expected


@pytest.mark.parametrize("wanted", [513, 2, 0, -1])
def test_lengths_out_of_range(wanted):
    with pytest.raises(ConfigError, match=rf"max_length is {wanted}; .* takes 3 to 512 tokens"):
        check_max_length(wanted, 512, 2)


def test_to_json_and_back():
    text = json.dumps(SETTINGS.to_json())
    assert TextSettings.from_json({**json.loads(text), "more": 1}) == SETTINGS


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.pop("stride"),
        lambda config: config.update(pooling="medium"),
        lambda config: config.update(long_texts="burn"),
        lambda config: config.update(width=-1),
        lambda config: config.update(languages=None),
        lambda config: config.update(max_length="long"),
    ],
)
def test_a_damaged_state_is_refused(change):
    config = SETTINGS.to_json()
    change(config)
    with pytest.raises(FeatureError, match="state of the transformers encoder"):
        TextSettings.from_json(config)
