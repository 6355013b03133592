"""Small pictures of items that a page holds itself, as `data:` URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from bayesfuse.data.raw import RawColumn
from bayesfuse.encoders.base import Cell
from bayesfuse.encoders.pictures import UnreadableError, open_picture

SIZE = (64, 96)
"""Width and height that a picture is made to fit into, pixels."""

MOST_BYTES = 2_400
"""Bytes that a picture may have at most: a thousand of them fit into a page of 5 MB."""

QUALITIES = (60, 35, 10)
"""What is tried one after the other until the picture is small enough; then half the size."""

AT_ONCE = 256
"""Cells that are in memory at once."""


@dataclass(frozen=True)
class Thumbnails:
    """Pictures of some items.

    Attributes:
        uris: Row of the catalogue -> `data:` URI, where there is a picture.
        num_unreadable: How many of the items have a picture that cannot be read.
    """

    uris: Mapping[int, str]
    num_unreadable: int = 0


def image_column(raw: Mapping[str, RawColumn]) -> RawColumn | None:
    """Return the first modality whose raw cells are pictures, if there is one."""
    return next((cells for cells in raw.values() if cells.kind in ("bytes", "path")), None)


def make_thumbnails(
    raw: Mapping[str, RawColumn], rows: NDArray[np.int64], most_bytes: int = MOST_BYTES
) -> Thumbnails:
    """Make small pictures of some items, those of the catalogue's first modality of pictures.

    Args:
        raw: Modality -> raw cells.
        rows: Rows of the catalogue.
        most_bytes: Bytes that a picture may have at most.

    Returns:
        The pictures; none where the catalogue has no raw pictures.
    """
    column = image_column(raw)
    if column is None or not len(rows):
        return Thumbnails({})
    wanted, uris, unreadable = np.unique(rows), {}, 0
    for places, cells in column.take(wanted).stream(AT_ONCE):
        for place, cell in zip(places.tolist(), cells, strict=True):
            if cell is None:
                continue
            try:
                uris[int(wanted[place])] = thumbnail(cast(Cell, cell), most_bytes)
            except UnreadableError:
                unreadable += 1
    return Thumbnails(uris, unreadable)


def thumbnail(cell: Cell, most_bytes: int = MOST_BYTES) -> str:
    """Return a small picture as a `data:` URI: WebP, or JPEG where this Pillow has no WebP.

    Args:
        cell: The bytes of a picture file, or the path of one.
        most_bytes: Bytes that it may have at most; a picture of one pixel may have more.

    Raises:
        UnreadableError: If it is no picture that can be read.
    """
    with open_picture(cell, at_least=SIZE) as (opened, _):
        image = opened.copy()
        image.thumbnail(SIZE)
    kind = "webp" if features.check("webp") else "jpeg"
    while True:
        for quality in QUALITIES:
            data = _encoded(image, kind, quality)
            if len(data) <= most_bytes or max(image.size) == 1:
                return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        image = image.resize((max(1, image.width // 2), max(1, image.height // 2)))


def _encoded(image: Image.Image, kind: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind.upper(), quality=quality)
    return buffer.getvalue()


__all__ = ["Thumbnails", "image_column", "make_thumbnails", "thumbnail"]
