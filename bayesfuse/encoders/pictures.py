"""Reading pictures of any kind as upright RGB, or saying why not."""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from bayesfuse.encoders.base import Cell
from bayesfuse.errors import FeatureError

MAX_PIXELS = 50_000_000
"""A picture that says it has more is not decoded: it may be a decompression bomb."""

NO_FILE = "the file does not exist"
NOT_OPENED = "the file cannot be opened"
EMPTY = "the file is empty"
NO_PICTURE = "no picture in a known format"
TOO_LARGE = f"more than {MAX_PIXELS:,} pixels"
TRUNCATED = "the file is truncated"
BROKEN = "the file is broken"
NO_MEMORY = "too little memory to read it"

# Pillow knows more, but some of those start other programs (EPS runs Ghostscript)
_FORMATS = (
    "AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "TGA",
    "TIFF", "WEBP",
)  # fmt: skip


class UnreadableError(Exception):
    """A picture that cannot be used; the message is one of the reasons above, word by word."""


@contextmanager
def open_picture(
    cell: Cell, at_least: tuple[int, int] | None = None
) -> Iterator[tuple[Image.Image, float]]:
    """Open a picture for the length of a block.

    Transparent parts become white, of an animation the first frame counts, and palettes, CMYK,
    greyscale and 16-bit pictures become RGB.

    Args:
        cell: The bytes of a picture file, or the path of one.
        at_least: Width and height, pixels: a JPEG may be decoded at a fraction of its size, not
            below this. It is quicker, and differs a little from the whole picture scaled down.

    Yields:
        The picture, upright and RGB; and its width divided by its height.

    Raises:
        UnreadableError: If there is no such file, or it is no picture, broken or too large.
        FeatureError: If the cell is neither bytes nor a path.
    """
    with _file_of(cell) as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's remarks on metadata and large pictures
                with Image.open(file, formats=_formats()) as image:
                    width, height = image.size
                    if width * height > MAX_PIXELS:
                        raise UnreadableError(TOO_LARGE)
                    if at_least is not None:
                        image.draft("RGB", at_least)
                    lying = image.size
                    image.load()
                    with suppress(Exception):  # odd metadata do no harm to the picture
                        ImageOps.exif_transpose(image, in_place=True)
                    if image.size == lying[::-1]:
                        width, height = height, width
                    upright, aspect = _to_rgb(image), width / height
        except UnreadableError:
            raise
        except Exception as error:  # decoders raise nearly anything on broken bytes
            raise UnreadableError(_reason(error)) from error
        yield upright, aspect


def read_picture(cell: Cell, size: tuple[int, int]) -> tuple[NDArray[np.float32], float]:
    """Read a picture and scale it to one size; see `open_picture`.

    Args:
        cell: The bytes of a picture file, or the path of one.
        size: Width and height of the result, pixels; the aspect ratio is not kept.

    Returns:
        The picture, height x width x 3, in [0, 1]; and its own width divided by its height.

    Raises:
        UnreadableError: If it cannot be read.
        FeatureError: If the cell is neither bytes nor a path.
    """
    with open_picture(cell, at_least=(2 * size[0], 2 * size[1])) as (image, aspect):
        small = image.resize(size, Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / np.float32(255), aspect


@cache
def _formats() -> tuple[str, ...]:
    """Return our formats that this Pillow was built with; it does not skip others by itself."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@contextmanager
def _file_of(cell: Cell) -> Iterator[BinaryIO]:
    if isinstance(cell, bytes):
        if not cell:
            raise UnreadableError(EMPTY)
        yield io.BytesIO(cell)
        return
    if not isinstance(cell, str | os.PathLike):
        raise FeatureError(f"A picture is {type(cell).__name__}; expected bytes, a path or None.")
    try:
        status = os.stat(cell)
        if not stat.S_ISREG(status.st_mode):  # a folder; or a pipe, on which one may wait for ever
            raise UnreadableError(NOT_OPENED)
        if not status.st_size:
            raise UnreadableError(EMPTY)
        file = open(cell, "rb")  # noqa: SIM115 - closed below; only opening it is tried here
    except FileNotFoundError as error:
        raise UnreadableError(NO_FILE) from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise UnreadableError(NOT_OPENED) from error
    with file:
        yield file


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return NO_PICTURE
    if isinstance(error, Image.DecompressionBombError):
        return TOO_LARGE
    if isinstance(error, MemoryError):
        return NO_MEMORY
    return TRUNCATED if "truncated" in str(error).lower() else BROKEN


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return a picture of any mode as RGB."""
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow clips these at 255; 16-bit grey becomes 8-bit grey instead
        values = np.asarray(image, dtype=np.float64)
        scale = 255 / 65535 if values.max() > 255 else 1.0
        image = Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image if image.mode == "RGB" else image.convert("RGB")
