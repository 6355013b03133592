"""What a cell is, in 16 bytes: the same content has the same key wherever it stands."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping

from bayesfuse.encoders.base import Cell

_BLOCK = 1 << 20


def content_key(cell: Cell) -> bytes | None:
    """Return the first 16 bytes of the SHA-256 of a cell's content; of a file, of what it holds.

    Args:
        cell: A text, the bytes of a picture or its path (`os.PathLike`), or a row of a table.

    Returns:
        The key; None for a file that cannot be read, whose encoder will say so.

    Example:
        >>> content_key("a plot") == content_key("a plot"), content_key("1") == content_key(b"1")
        (True, False)
    """
    if isinstance(cell, os.PathLike):
        return _file_key(cell)
    if isinstance(cell, str):
        kind, content = b"text", cell.encode("utf-8", "surrogatepass")
    elif isinstance(cell, bytes):
        kind, content = b"file", cell
    elif isinstance(cell, Mapping):
        kind, content = b"table", json.dumps(dict(cell), sort_keys=True).encode()
    else:
        raise TypeError(f"a cell is {type(cell).__name__}")
    return hashlib.sha256(kind + b"\0" + content).digest()[:16]


def _file_key(path: os.PathLike[str]) -> bytes | None:
    digest = hashlib.sha256(b"file\0")
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except (OSError, ValueError):
        return None
    return digest.digest()[:16]
