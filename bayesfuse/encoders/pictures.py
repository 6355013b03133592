"""Reading pictures of any kind into small RGB arrays, or saying why not."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from bayesfuse.encoders.base import Cell
from bayesfuse.errors import FeatureError

MAX_PIXELS = 50_000_000
"""A picture that says it has more is not decoded: it may be a decompression bomb."""

_QUARTER_TURNS = (5, 6, 7, 8)  # the EXIF orientations that exchange width and height


class UnreadableError(Exception):
    """A picture that cannot be used; the message is the reason, in a few words."""


def read_picture(cell: Cell, size: tuple[int, int]) -> tuple[NDArray[np.float32], float]:
    """Read a picture, turn it upright and scale it to one size.

    Transparent parts become white, of an animation the first frame counts, and palettes, CMYK,
    greyscale and 16-bit pictures become RGB.

    Args:
        cell: The bytes of a picture file, or the path of one.
        size: Width and height of the result, pixels; the aspect ratio is not kept.

    Returns:
        The picture, height x width x 3, in [0, 1]; and its own width divided by its height.

    Raises:
        UnreadableError: If it is no picture, broken, truncated or too large.
        FeatureError: If the cell is neither bytes nor a path.
    """
    data = _bytes_of(cell)
    if not data:
        raise UnreadableError("the picture is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on metadata and on large pictures
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise UnreadableError(
                        f"it has {width} x {height} pixels, more than {MAX_PIXELS:,}"
                    )
                image.draft("RGB", (2 * size[0], 2 * size[1]))  # a cheap JPEG reduction
                if image.getexif().get(ExifTags.Base.Orientation) in _QUARTER_TURNS:
                    width, height = height, width
                upright = _to_rgb(ImageOps.exif_transpose(image))
                small = upright.resize(size, Image.Resampling.BOX)
    except UnreadableError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableError("it is no picture in a format that Pillow knows") from error
    except Image.DecompressionBombError as error:
        raise UnreadableError(f"it has more than {MAX_PIXELS:,} pixels") from error
    except Exception as error:  # decoders raise nearly anything on broken bytes
        reason = str(error) or type(error).__name__
        raise UnreadableError(f"it is broken ({reason})") from error
    return np.asarray(small, dtype=np.float32) / np.float32(255), width / height


def _bytes_of(cell: Cell) -> bytes:
    if isinstance(cell, bytes):
        return cell
    if isinstance(cell, str | os.PathLike):
        try:
            return Path(cell).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a null byte in the path
            reason = getattr(error, "strerror", None) or str(error)
            raise UnreadableError(f"its file cannot be read: {reason}") from error
    raise FeatureError(f"A picture is {type(cell).__name__}; expected bytes, a path or None.")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow clips these at 255; 16-bit grey becomes 8-bit grey instead
        values = np.asarray(image, dtype=np.float64)
        scale = 255 / 65535 if values.max() > 255 else 1.0
        image = Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")
