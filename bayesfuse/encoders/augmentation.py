"""Pictures changed at random for training, so that a backbone does not learn them by heart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bayesfuse.encoders.base import Setting
from bayesfuse.encoders.image_preprocessing import ImagePreprocessing
from bayesfuse.encoders.torchvision_operators import import_torchvision
from bayesfuse.errors import ConfigError, unknown_option

_MOST = {"crop": 1, "flip": 1, "jitter": 1, "rotation": 180, "translate": 1, "scale": 0.9}
_RATIO = 4 / 3  # by which a crop is wider or narrower than the whole, at most


@dataclass(frozen=True)
class Augmentation:
    """How strongly pictures are changed; 0 is not at all.

    Attributes:
        crop: The least share of a picture's area that a random crop keeps, in (0, 1]; a crop is up
            to a third wider or narrower than the whole, and scaled to the network's size.
        flip: The probability of a mirror image.
        jitter: Brightness, contrast and saturation are multiplied by 1 ± this at most, and hues
            turned by a quarter of it at most, in turns; at most 1.
        rotation: Degrees at most, either way.
        translate: Shift at most, either way, in widths and heights.
        scale: Enlarged or made smaller by this share at most; at most 0.9.
    """

    crop: float = 0.6
    flip: float = 0.5
    jitter: float = 0.2
    rotation: float = 10.0
    translate: float = 0.1
    scale: float = 0.1

    @classmethod
    def from_settings(cls, settings: Mapping[str, Setting]) -> Augmentation:
        """Return it with these settings, the others as they are by default.

        Raises:
            ConfigError: If a name is unknown or a number out of range; all that were found.
        """
        problems = [
            unknown_option("augmentation", key, _MOST) for key in settings if key not in _MOST
        ]
        for key, value in settings.items():
            most = _MOST.get(key, math.inf)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value <= most:  # type: ignore[operator]  # it is a number
                problems.append(
                    f"augmentation: {key} is {value!r}; expected a number from 0 to {most}."
                )
        if problems:
            raise ConfigError(" ".join(problems))
        return cls(**{key: float(value) for key, value in settings.items()})  # type: ignore[arg-type]


class TrainingTransform:
    """Changes pictures at random, each by a seed of its own, whichever thread does it.

    The order is: crop, mirror, shift with rotation and scale, colours. With nothing to do, the
    result is the preprocessing's.

    Args:
        preprocessing: What the network reads.
        augmentation: How strongly.

    Raises:
        MissingExtraError: If torchvision is not installed.
    """

    def __init__(self, preprocessing: ImagePreprocessing, augmentation: Augmentation) -> None:
        import_torchvision()
        self.preprocessing = preprocessing
        self.augmentation = augmentation
        _, self.height, self.width = preprocessing.input_size
        red, green, blue = (round(255 * value) for value in preprocessing.mean)
        self.fill = (red, green, blue)

    def __call__(self, image: Image.Image, seed: int) -> NDArray[np.uint8]:
        """Return the pixels of a changed picture, 3 x height x width as in evaluation.

        Args:
            image: RGB.
            seed: Of all that is random; the same seed gives the same pixels. >= 0.

        Raises:
            UnreadableError: If it is too narrow; see `ImagePreprocessing`.
        """
        rng = np.random.default_rng(seed)
        upright = self._cropped(image, rng)
        if rng.random() < self.augmentation.flip:
            upright = ImageOps.mirror(upright)
        upright = self._recoloured(self._moved(upright, rng), rng)
        return np.ascontiguousarray(np.asarray(upright).transpose(2, 0, 1))

    def _cropped(self, image: Image.Image, rng: Generator) -> Image.Image:
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms import functional as change

        least = self.augmentation.crop
        if least in (0, 1):
            return Image.fromarray(self.preprocessing(image).transpose(1, 2, 0))
        whole = self._whole(image)
        area, ratio = rng.uniform(least, 1), math.exp(rng.uniform(-1, 1) * math.log(_RATIO))
        across, down = self._shape(whole)
        width = int(np.clip(round(across * math.sqrt(area * ratio)), 1, whole.width))
        height = int(np.clip(round(down * math.sqrt(area / ratio)), 1, whole.height))
        left = int(rng.integers(whole.width - width + 1))
        top = int(rng.integers(whole.height - height + 1))
        mode = InterpolationMode(self.preprocessing.interpolation)
        size = [self.height, self.width]
        cropped: Image.Image = change.resized_crop(whole, top, left, height, width, size, mode)
        return cropped

    def _whole(self, image: Image.Image) -> Image.Image:
        """Return the picture, with the borders that it has in evaluation."""
        if self.preprocessing.crop_mode != "border":
            return image
        width = max(image.width, round(image.height * self.width / self.height))
        height = max(image.height, round(image.width * self.height / self.width))
        whole = Image.new("RGB", (width, height), self.fill)
        whole.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
        return whole

    def _shape(self, image: Image.Image) -> tuple[float, float]:
        """Return the width and height of which a crop is a share."""
        if self.preprocessing.crop_mode == "squash":
            return image.width, image.height
        ratio = min(image.width / self.width, image.height / self.height)
        return ratio * self.width, ratio * self.height

    def _moved(self, image: Image.Image, rng: Generator) -> Image.Image:
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms import functional as change

        how = self.augmentation
        angle, across, down, zoom = rng.uniform(-1, 1, size=4)
        if not (how.rotation or how.translate or how.scale):
            return image
        moved: Image.Image = change.affine(
            image,
            angle=how.rotation * angle,
            translate=[
                round(how.translate * across * self.width),
                round(how.translate * down * self.height),
            ],
            scale=1 + how.scale * zoom,
            shear=[0.0],
            interpolation=InterpolationMode.BILINEAR,
            fill=list(self.fill),
        )
        return moved

    def _recoloured(self, image: Image.Image, rng: Generator) -> Image.Image:
        from torchvision.transforms import functional as change

        jitter = self.augmentation.jitter
        changes: list[Any] = [
            change.adjust_brightness,
            change.adjust_contrast,
            change.adjust_saturation,
            change.adjust_hue,
        ]
        if jitter:
            for place in rng.permutation(len(changes)).tolist():
                by = jitter * rng.uniform(-1, 1)
                hue = changes[place] is change.adjust_hue
                image = changes[place](image, by / 4 if hue else 1 + by)
        return image


def training_transform(
    preprocessing: ImagePreprocessing, settings: Mapping[str, Setting] | None = None
) -> TrainingTransform:
    """Return the transform for training with these settings of `Augmentation`.

    Raises:
        ConfigError: If a setting is unknown or out of range.
        MissingExtraError: If torchvision is not installed.
    """
    return TrainingTransform(preprocessing, Augmentation.from_settings(settings or {}))
