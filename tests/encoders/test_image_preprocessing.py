"""Preprocessing: bit for bit what timm's transform does, and settings that make sense only."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bayesfuse.encoders.image_preprocessing import (
    CROP_MODES,
    INTERPOLATIONS,
    TOO_LONG,
    ImagePreprocessing,
    check_overrides,
)
from bayesfuse.encoders.pictures import UnreadableError
from bayesfuse.encoders.torchvision_operators import import_timm
from bayesfuse.errors import ConfigError, MissingExtraError

OWN = {
    "input_size": (3, 224, 224),
    "interpolation": "bicubic",
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "crop_pct": 0.875,
    "crop_mode": "center",
}


@pytest.fixture(scope="module")
def create_transform():
    try:
        import_timm()
    except MissingExtraError as error:
        pytest.skip(str(error))
    from timm.data import create_transform

    return create_transform


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(256, size=(height, width, 3), dtype=np.uint8))


@settings(max_examples=300)
@given(
    width=st.integers(12, 400),
    height=st.integers(12, 400),
    rows=st.integers(20, 150),
    columns=st.one_of(st.none(), st.integers(20, 150)),
    crop_pct=st.sampled_from([0.5, 0.875, 0.9, 0.95, 0.965, 1.0]),
    crop_mode=st.sampled_from(CROP_MODES),
    interpolation=st.sampled_from(sorted(INTERPOLATIONS)),
)
def test_it_is_timms_transform_bit_for_bit(
    create_transform, width, height, rows, columns, crop_pct, crop_mode, interpolation
):
    config = {
        **OWN,
        "input_size": (3, rows, columns or rows),
        "crop_pct": crop_pct,
        "crop_mode": crop_mode,
        "interpolation": interpolation,
    }
    image = noise(width, height)
    pixels = ImagePreprocessing.resolve(OWN, config)(image)
    expected = create_transform(**config, is_training=False, use_prefetcher=True)(image)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, expected.numpy())


def test_a_picture_of_the_right_size_is_left_as_it_is():
    image = noise(60, 90)
    as_it_is = {"input_size": (3, 90, 60), "crop_pct": 1}
    for mode in CROP_MODES:
        pixels = ImagePreprocessing.resolve(OWN, {**as_it_is, "crop_mode": mode})(image)
        np.testing.assert_array_equal(pixels, np.asarray(image).transpose(2, 0, 1))


def test_borders_have_the_mean_colour():
    preprocessing = ImagePreprocessing.resolve(
        OWN, {"input_size": 40, "crop_mode": "border", "crop_pct": 1, "mean": (0.2, 0.4, 0.6)}
    )
    pixels = preprocessing(Image.new("RGB", (20, 40), "white"))
    assert pixels[:, 0, 0].tolist() == [51, 102, 153]
    assert pixels[:, 20, 20].tolist() == [255, 255, 255]


def test_a_picture_like_a_thread_is_not_scaled_beyond_reason():
    for mode in CROP_MODES:
        preprocessing = ImagePreprocessing.resolve(OWN, {"crop_mode": mode})
        for size in ((5_000, 1), (1, 5_000)):
            with pytest.raises(UnreadableError, match=TOO_LONG):
                preprocessing(Image.new("RGB", size))
        assert preprocessing(Image.new("RGB", (3, 300))).shape == (3, 224, 224)


def test_what_is_not_overridden_is_the_networks_own():
    own = ImagePreprocessing.resolve({**OWN, "something": "else"}, {})
    assert own == ImagePreprocessing(**OWN)
    changed = ImagePreprocessing.resolve(OWN, {"input_size": (320, 224), "mean": 0.5, "std": [0.5]})
    assert changed.input_size == (3, 320, 224)
    assert changed.mean == changed.std == (0.5, 0.5, 0.5)
    assert (changed.crop_pct, changed.crop_mode) == (0.875, "center")
    assert ImagePreprocessing.resolve(OWN, {"input_size": 96}).input_size == (3, 96, 96)


def test_json_brings_it_back():
    preprocessing = ImagePreprocessing.resolve(OWN, {"crop_mode": "squash"})
    read = json.loads(json.dumps(preprocessing.to_json()))
    assert ImagePreprocessing.resolve(read, {}) == preprocessing


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("crop_pc", 1, 'Did you mean "crop_pct"'),
        ("crop_pct", 0, r"crop_pct is 0; expected a number in \(0, 1\]"),
        ("crop_pct", 1.1, "expected a number in"),
        ("crop_pct", True, "expected a number in"),
        ("crop_mode", "centre", "expected one of border, center, squash"),
        ("interpolation", "random", "expected one of bicubic"),
        ("interpolation", 3, "expected one of bicubic"),
        ("input_size", (1, 224, 224), "expected 3, height and width"),
        ("input_size", (3, 224, 224, 3), "expected 3, height and width"),
        ("input_size", 0, "from 1 to 4,096 pixels"),
        ("input_size", 99.5, "from 1 to 4,096 pixels"),
        ("input_size", "224", "such as 3x224x224"),
        ("mean", (0.5, 0.5), r"expected a number in \[0, 1\], or three"),
        ("mean", 127.5, r"expected a number in \[0, 1\], or three"),
        ("std", (0.5, 0.0, 0.5), "expected a number above 0, or three"),
        ("std", float("nan"), "expected a number above 0, or three"),
    ],
)
def test_mistakes_are_told(key, value, message):
    for find in (check_overrides, lambda given: ImagePreprocessing.resolve(OWN, given)):
        with pytest.raises(ConfigError, match=message):
            find({key: value})


def test_all_mistakes_are_told_at_once():
    with pytest.raises(ConfigError, match=r"croppct.*std is -1; .*crop_pct is 2; "):
        check_overrides({"croppct": 1, "crop_pct": 2, "std": -1})
