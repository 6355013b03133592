"""Augmentation: seeds rule it, every strength does what it says, evaluation never sees it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from bayesfuse.encoders.augmentation import Augmentation, training_transform
from bayesfuse.encoders.image_preprocessing import CROP_MODES, ImagePreprocessing
from bayesfuse.encoders.torchvision_operators import import_torchvision
from bayesfuse.errors import ConfigError, MissingExtraError

try:
    import_torchvision()
except MissingExtraError as error:
    pytest.skip(str(error), allow_module_level=True)

NOTHING = dict.fromkeys(("crop", "flip", "jitter", "rotation", "translate", "scale"), 0)


def preprocessing(**overrides: object) -> ImagePreprocessing:
    own = {
        "input_size": (3, 48, 32),
        "interpolation": "bicubic",
        "mean": 0.5,
        "std": 0.5,
        "crop_pct": 1.0,
        "crop_mode": "squash",
    }
    return ImagePreprocessing.resolve(own, overrides)


@pytest.fixture(scope="module")
def image() -> Image.Image:
    """Smooth, and different everywhere."""
    down, across = np.mgrid[:120, :80]
    rgb = np.stack([2 * down, 3 * across, 120 + down - across], axis=2)
    return Image.fromarray(rgb.astype(np.uint8))


def changed_by(settings, image, seed=0, **overrides) -> np.ndarray:
    return training_transform(preprocessing(**overrides), {**NOTHING, **settings})(image, seed)


@pytest.mark.parametrize("mode", CROP_MODES)
@pytest.mark.parametrize("size", [(80, 120), (120, 80), (7, 300), (32, 48)])
def test_the_result_has_the_size_of_evaluation(mode, size):
    transform = training_transform(preprocessing(crop_mode=mode))
    for seed in range(10):
        pixels = transform(Image.new("RGB", size, "red"), seed)
        assert pixels.shape == (3, 48, 32)
        assert pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous


def test_the_same_seed_gives_the_same_picture_and_another_another(image):
    transform = training_transform(preprocessing())
    first = [transform(image, seed) for seed in range(20)]
    torch.rand(7)  # no other generator has a say
    np.random.random(7)  # noqa: NPY002
    with ThreadPoolExecutor(8) as threads:
        again = list(threads.map(lambda seed: transform(image, seed), range(20)))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len({pixels.tobytes() for pixels in first}) == 20
    assert transform(image, 2**63 - 1).shape == (3, 48, 32)


def test_no_other_generator_is_moved(image):
    state = torch.get_rng_state()
    training_transform(preprocessing())(image, 3)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("mode", CROP_MODES)
def test_nothing_to_do_gives_what_evaluation_gives(mode, image):
    expected = preprocessing(crop_mode=mode, crop_pct=0.9)(image)
    for crop in (0, 1):
        changed = changed_by({"crop": crop}, image, crop_mode=mode, crop_pct=0.9)
        np.testing.assert_array_equal(changed, expected)


@pytest.mark.parametrize("key", sorted(NOTHING))
def test_every_strength_does_something_and_more_does_more(key, image):
    still = preprocessing()(image).astype(float)

    def change(strength: float) -> float:
        values = [changed_by({key: strength}, image, seed) for seed in range(40)]
        return float(np.mean([np.abs(value - still).mean() for value in values]))

    weak, strong = {"crop": (0.9, 0.3), "rotation": (3, 40)}.get(key, (0.1, 0.8))
    assert 0 < change(weak) < change(strong)


def test_a_mirror_image_is_one(image):
    still, mirrored = preprocessing()(image), preprocessing()(ImageOps.mirror(image))
    np.testing.assert_array_equal(changed_by({"flip": 1}, image), mirrored)
    seen = [changed_by({"flip": 0.5}, image, seed) for seed in range(200)]
    flips = sum(np.array_equal(pixels, mirrored) for pixels in seen)
    assert 70 < flips < 130  # 4.2 standard deviations
    assert all(np.array_equal(p, mirrored) or np.array_equal(p, still) for p in seen)


def test_a_crop_keeps_the_share_that_it_should(image):
    """Red grows downwards and green to the right: their ranges tell the size of the crop."""
    shares, ratios = [], []
    for seed in range(300):
        pixels = changed_by({"crop": 0.5}, image, seed).astype(float)
        height, width = np.ptp(pixels[0]) / 2 / 119, np.ptp(pixels[1]) / 3 / 79
        shares.append(height * width)
        ratios.append(width / height)
    assert 0.45 < min(shares) < 0.56
    assert 0.9 < max(shares) <= 1.01
    assert 0.72 < min(ratios) < 0.85
    assert 1.2 < max(ratios) < 1.38


def test_a_crop_of_the_middle_has_the_shape_of_the_network(image):
    wide = image.resize((400, 120))
    for seed in range(50):
        pixels = changed_by({"crop": 0.8}, wide, seed, crop_mode="center").astype(float)
        across = np.ptp(pixels[1]) / 3 / 79 * 400  # columns of the wide picture
        assert across < 120 * 32 / 48 * 4 / 3 + 8


def test_what_is_moved_in_has_the_mean_colour():
    white = Image.new("RGB", (80, 120), "white")
    found = [changed_by({"translate": 0.5}, white, seed, mean=0.2) for seed in range(20)]
    assert {51, 255} == {int(value) for pixels in found for value in np.unique(pixels)}


def test_defaults_are_used_where_nothing_is_said(image):
    by_default = training_transform(preprocessing())
    assert by_default.augmentation == Augmentation()
    same = training_transform(preprocessing(), {"flip": 0.5, "crop": 0.6})
    np.testing.assert_array_equal(same(image, 5), by_default(image, 5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flips": 0.5}, 'Did you mean "flip"'),
        ({"flip": 1.5}, "flip is 1.5; expected a number from 0 to 1"),
        ({"crop": -0.1}, "crop is -0.1; expected a number from 0 to 1"),
        ({"rotation": "far"}, "rotation is 'far'; expected a number from 0 to 180"),
        ({"scale": 1}, "scale is 1; expected a number from 0 to 0.9"),
        ({"jitter": True}, "jitter is True; expected a number"),
        ({"jitter": float("nan")}, "jitter is nan; expected a number"),
    ],
)
def test_mistakes_are_told(settings, message):
    with pytest.raises(ConfigError, match=message):
        training_transform(preprocessing(), settings)
