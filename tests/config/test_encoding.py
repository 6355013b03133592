from __future__ import annotations

import json

import pytest

from bayesfuse.config import EncodeConfig, EncoderConfig
from bayesfuse.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("num_classes=10,pad_type=same", {"num_classes": 10, "pad_type": "same"}),
        ("input_size=3x320x224, crop_pct=1", {"input_size": (3, 320, 224), "crop_pct": 1}),
        ("a=true,b=-0.5,c=xylophone,d=3x", {"a": True, "b": -0.5, "c": "xylophone", "d": "3x"}),
        ({"mean": [0.5, 0.5, 0.5]}, {"mean": (0.5, 0.5, 0.5)}),
    ],
)
def test_settings_are_read_from_text(text: object, value: object) -> None:
    assert EncoderConfig.parse({"preprocessing": text}).preprocessing == value


def test_settings_come_back_from_a_run_folder() -> None:
    made = EncodeConfig.parse({"image_args": "a=1,b=same", "preprocessing": "size=3x4x5"})
    assert EncodeConfig.parse(json.loads(made.model_dump_json())) == made


@pytest.mark.parametrize("text", ["same", "a=", "=1", "a=1,,b=2", "a=1,a=2"])
def test_what_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--image-args: .*(KEY=VALUE|twice)"):
        EncoderConfig.parse({"image_args": text})


def test_ways_and_numbers_are_checked_at_once() -> None:
    wrong = {"pooling": "men", "long_texts": "windws", "max_length": 1, "strict": "perhaps"}
    with pytest.raises(ConfigError) as caught:
        EncodeConfig.parse(wrong | {"workers": -1, "encoder_precision": "float8"})
    for words in ('Did you mean "mean"?', 'Did you mean "windows"?', "--max-length: ", "--workers"):
        assert words in str(caught.value)
    assert "--strict: expected true or false; got 'perhaps'." in str(caught.value)


@pytest.mark.parametrize(
    ("text", "grid"), [("3x2", (3, 2)), ("3", (3, 3)), (4, (4, 4)), ("5,1", (5, 1)), (None, None)]
)
def test_a_grid_is_rows_and_columns(text: object, grid: tuple[int, int] | None) -> None:
    assert EncoderConfig.parse({"image_grid": text}).image_grid == grid


@pytest.mark.parametrize("text", ["0x3", "3x3x3", "wide", "1.5", True])
def test_what_is_no_grid_is_refused(text: object) -> None:
    with pytest.raises(ConfigError, match=r"--image-grid: .*rows x columns"):
        EncoderConfig.parse({"image_grid": text})
