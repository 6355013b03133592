"""A text without some of its words, a picture without one of its regions."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable

from PIL import ImageDraw, ImageStat

from bayesfuse.encoders.base import Cell
from bayesfuse.encoders.pictures import open_picture
from bayesfuse.errors import ConfigError

Parts = list[tuple[str, Callable[[], Cell]]]
"""The name of each part, and a function that returns the cell without it."""

MAX_SPANS = 60
"""A text of more words is cut into so many spans of about as many words each."""


def text_parts(text: str, max_spans: int = MAX_SPANS) -> Parts:
    """Return the words of a text, or spans of several words of a long one, in order.

    Args:
        text: The text.
        max_spans: The most parts, >= 1.

    Raises:
        ConfigError: If `max_spans` is below 1.

    Example:
        >>> [(name, without()) for name, without in text_parts("a shark attacks")]
        [('a', ' shark attacks'), ('shark', 'a  attacks'), ('attacks', 'a shark ')]
    """
    if max_spans < 1:
        raise ConfigError(f"max_spans is {max_spans}; expected at least 1.")
    words = [match.span() for match in re.finditer(r"\S+", text)]
    count = min(len(words), max_spans)
    bounds = [round(place * len(words) / max(1, count)) for place in range(count + 1)]
    spans = [(words[first][0], words[end - 1][1]) for first, end in itertools.pairwise(bounds)]

    def without(start: int, stop: int) -> Callable[[], str]:
        return lambda: text[:start] + text[stop:]

    return [(text[start:stop], without(start, stop)) for start, stop in spans]


def picture_parts(cell: Cell, rows: int, columns: int) -> Parts:
    """Return the regions of a picture, row by row, each painted over in the picture's mean colour.

    Args:
        cell: The bytes of a picture file, or the path of one.
        rows: Regions from top to bottom, >= 1.
        columns: Regions from left to right, >= 1.

    Returns:
        Regions called `row 1, column 1` and so on; without them the picture is a PNG.

    Raises:
        ConfigError: If a number is below 1.
        UnreadableError: If the picture cannot be read.
    """
    if rows < 1 or columns < 1:
        raise ConfigError(f"Got {rows} x {columns} regions; expected at least 1 x 1.")
    with open_picture(cell) as (image, _):
        picture = image.copy()
    mean = tuple(round(channel) for channel in ImageStat.Stat(picture).mean)
    width, height = picture.size

    def without(row: int, column: int) -> Callable[[], bytes]:
        def painted() -> bytes:
            changed = picture.copy()
            left, right = (round(width * c / columns) for c in (column, column + 1))
            top, bottom = (round(height * r / rows) for r in (row, row + 1))
            if right > left and bottom > top:
                box = (left, top, right - 1, bottom - 1)
                ImageDraw.Draw(changed).rectangle(box, fill=mean)
            file = io.BytesIO()
            changed.save(file, "PNG")
            return file.getvalue()

        return painted

    return [
        (f"row {row + 1}, column {column + 1}", without(row, column))
        for row in range(rows)
        for column in range(columns)
    ]
