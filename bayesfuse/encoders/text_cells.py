"""Cells that should be texts: checked, and freed of characters that nobody can read."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from bayesfuse.encoders.base import Cell
from bayesfuse.errors import FeatureError

_SPACES = "\t\n\v\f\r\x85"  # control characters by category, but read as white space
_JOINERS = "\u200c\u200d"  # format characters by category, but Persian, Hindi and emoji need them
_REPLACEMENT = "\ufffd"  # stands where bytes could not be decoded


def read_texts(cells: Sequence[Cell]) -> list[str]:
    """Return the cells as texts without white space around them, empty where there is no text.

    Raises:
        FeatureError: If a cell is neither a text nor None.
    """
    texts = []
    for row, cell in enumerate(cells):
        if cell is not None and not isinstance(cell, str):
            raise FeatureError(
                f"Row {row} is {type(cell).__name__}, not a text; expected str or None. "
                "Is the column the one that holds the texts?"
            )
        texts.append((cell or "").strip())
    return texts


def without_control_characters(text: str) -> str:
    r"""Remove control, format and replacement characters and lone surrogates.

    White space and the joiners of Persian, Indic scripts and emoji stay.

    Example:
        >>> without_control_characters("Se\x00ven\ufffd Samurai")
        'Seven Samurai'
    """
    if text.isprintable() and _REPLACEMENT not in text:
        return text
    return "".join(filter(_is_readable, text)).strip()


def _is_readable(character: str) -> bool:
    if character in _SPACES or character in _JOINERS:
        return True
    kind = unicodedata.category(character)
    return kind not in ("Cc", "Cf", "Cs") and character != _REPLACEMENT
