"""From a picture to the pixels that a network reads: scaled, cropped, not yet normalised.

What is done is what timm's transform for evaluation does (`timm.data.create_transform`), bit for
bit, which a test holds it to. It is done by Pillow alone, so that a process that decodes pictures
starts in a moment and takes some 50 MB; one that imports torch and torchvision first takes seconds,
and ten times the memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bayesfuse.encoders.base import Json, Setting
from bayesfuse.encoders.pictures import UnreadableError
from bayesfuse.errors import ConfigError, unknown_option

CROP_MODES = ("border", "center", "squash")
INTERPOLATIONS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}
TOO_LONG = "more than 100 times as long as wide"

_MOST_ASPECT = (
    100  # the shorter side is scaled to the network's size: the longer one must be finite
)
_MOST_SIZE = 4096


@dataclass(frozen=True)
class ImagePreprocessing:
    """How a network wants its pictures.

    With H x W the network's size and p = `crop_pct`, a picture is scaled to

    - `squash`: H/p x W/p, whatever its own shape;
    - `center`: the smallest size of its own shape that covers H/p x W/p;
    - `border`: the largest size of its own shape within H/p x W/p;

    and the middle H x W of it is taken, which `border` fills up with the mean colour.

    Attributes:
        input_size: Channels (3), height and width of what the network reads, pixels.
        interpolation: One of `INTERPOLATIONS`.
        mean: Of red, green and blue, in [0, 1]; subtracted from the pixels by the network.
        std: By which they are divided then, > 0.
        crop_pct: The share p of the scaled picture's sides that is kept, in (0, 1].
        crop_mode: One of `CROP_MODES`.
    """

    input_size: tuple[int, int, int]
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop_pct: float
    crop_mode: str

    @classmethod
    def resolve(cls, own: Mapping[str, Any], overrides: Mapping[str, Setting]) -> Self:
        """Return a network's own preprocessing, some of it overridden.

        Args:
            own: What `timm.data.resolve_model_data_config` says.
            overrides: Attributes by name. A number for `mean` or `std` is meant for all colours,
                and for `input_size` for both sides; a pair there is height and width.

        Raises:
            ConfigError: If a key is unknown or a value is out of range; all that were found.
        """
        keys = list(cls.__dataclass_fields__)
        given = {key: own[key] for key in keys if key in own} | dict(overrides)
        problems = [
            unknown_option("setting of preprocessing", key, keys)
            for key in overrides
            if key not in keys
        ]
        values = {}
        for key in keys:
            if key not in given:
                continue
            value = _READERS[key](given[key])
            if value is None:
                problems.append(
                    f"preprocessing: {key} is {given[key]!r}; expected {_EXPECTED[key]}."
                )
            values[key] = value
        if problems:
            raise ConfigError(" ".join(problems))
        return cls(**values)

    def to_json(self) -> dict[str, Json]:
        """Return it for `resolve`."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the pixels of a picture, 3 x height x width.

        Args:
            image: RGB.

        Raises:
            UnreadableError: If it is so narrow that its other side would be scaled to a size
                beyond reason.
        """
        if max(image.size) > _MOST_ASPECT * min(image.size):
            raise UnreadableError(TOO_LONG)
        size = self._scaled_size(image.width, image.height)
        if size != image.size:
            image = image.resize(size, INTERPOLATIONS[self.interpolation])
        _, height, width = self.input_size
        # Python's rounding of halves to even, as torchvision has it
        left, top = round((image.width - width) / 2), round((image.height - height) / 2)
        if left < 0 or top < 0:
            image = self._padded(image, width, height)
            left, top = max(left, 0), max(top, 0)
        if image.size != (width, height):
            image = image.crop((left, top, left + width, top + height))
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))

    def _scaled_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height to which a picture of this size is scaled."""
        rows, columns = (math.floor(side / self.crop_pct) for side in self.input_size[1:])
        if self.crop_mode == "squash":
            return columns, rows
        if self.crop_mode == "center" and rows == columns:  # rounded down, as torchvision has it
            if width <= height:
                return rows, int(rows * height / width)
            return int(rows * width / height), rows
        choose = max if self.crop_mode == "border" else min
        ratio = choose(height / rows, width / columns)
        return max(1, round(width / ratio)), max(1, round(height / ratio))

    def _padded(self, image: Image.Image, width: int, height: int) -> Image.Image:
        across, down = max(width - image.width, 0), max(height - image.height, 0)
        red, green, blue = (round(255 * value) for value in self.mean)
        size = (image.width + across, image.height + down)
        whole = Image.new("RGB", size, (red, green, blue))
        whole.paste(image, (across // 2, down // 2))
        return whole


def check_overrides(overrides: Mapping[str, Setting]) -> None:
    """Find mistakes that can be found before a network is known.

    Raises:
        ConfigError: See `ImagePreprocessing.resolve`.
    """
    harmless = {
        "input_size": 224, "interpolation": "bicubic", "mean": 0.5, "std": 0.5, "crop_pct": 1.0,
        "crop_mode": "center",
    }  # fmt: skip
    ImagePreprocessing.resolve(harmless, overrides)


def _numbers(value: object, count: int) -> list[float] | None:
    """Return a number, or that many, as so many finite numbers; None if it is something else."""
    values = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    good = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(good) != len(values) or len(values) not in (1, count) or not np.isfinite(good).all():
        return None
    return [float(v) for v in good] * (count // len(good))


def _input_size(value: object) -> tuple[int, int, int] | None:
    if isinstance(value, Sequence) and len(value) == 3:
        if value[0] != 3:  # pictures are read as RGB
            return None
        value = value[1:]
    sides = _numbers(value, 2)
    if sides is None or any(s != int(s) or not 1 <= s <= _MOST_SIZE for s in sides):
        return None
    return 3, int(sides[0]), int(sides[1])


def _colour(value: object) -> tuple[float, ...] | None:
    numbers = _numbers(value, 3)
    return None if numbers is None or not all(0 <= n <= 1 for n in numbers) else tuple(numbers)


def _spread(value: object) -> tuple[float, ...] | None:
    numbers = _numbers(value, 3)
    return None if numbers is None or min(numbers) <= 0 else tuple(numbers)


def _share(value: object) -> float | None:
    numbers = _numbers(value, 1)
    return numbers[0] if numbers is not None and 0 < numbers[0] <= 1 else None


def _one_of(names: Sequence[str]) -> Any:
    return lambda value: value if value in names else None


_READERS: dict[str, Any] = {
    "input_size": _input_size,
    "interpolation": _one_of(tuple(INTERPOLATIONS)),
    "mean": _colour,
    "std": _spread,
    "crop_pct": _share,
    "crop_mode": _one_of(CROP_MODES),
}
_EXPECTED = {
    "input_size": f"3, height and width, from 1 to {_MOST_SIZE:,} pixels, such as 3x224x224",
    "interpolation": f"one of {', '.join(INTERPOLATIONS)}",
    "mean": "a number in [0, 1], or three",
    "std": "a number above 0, or three",
    "crop_pct": "a number in (0, 1]",
    "crop_mode": f"one of {', '.join(CROP_MODES)}",
}
