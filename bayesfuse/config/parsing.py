"""JSON and TOML that anybody may have written: whatever is wrong with a text is a `ValueError`.

Python's own parsers raise `RecursionError` for a text of a hundred thousand brackets, and what is
nested just less deeply would break whoever copies or prints it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from typing import Any

MOST_LEVELS = 100
"""How deeply lists and objects may lie in each other."""


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: If it is no JSON, or is nested too deeply; `json.JSONDecodeError` says where.

    Example:
        >>> parse_json('{"genres": ["Drama"]}')
        {'genres': ['Drama']}
        >>> parse_json("[" * 100_000)
        Traceback (most recent call last):
        ValueError: nested more than 100 levels deep
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    opened = (b"[", b"{") if isinstance(text, bytes) else ("[", "{")
    return _shallow(found) if sum(map(text.count, opened)) > MOST_LEVELS else found  # type: ignore[arg-type]  # bytes count bytes


def parse_toml(text: str) -> dict[str, Any]:
    """Return what a TOML text says.

    Raises:
        ValueError: If it is no TOML, or is nested too deeply; `tomllib.TOMLDecodeError` says where.
    """
    try:
        found: dict[str, Any] = _shallow(tomllib.loads(text))
    except RecursionError:
        raise _too_deep() from None
    return found


def _shallow(found: Any) -> Any:
    """Return what was found, once it is known not to be nested too deeply."""
    level: Iterable[Any] = [found]
    for _ in range(MOST_LEVELS):
        level = [
            inner
            for outer in level
            if isinstance(outer, list | dict)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, list | dict)
        ]
        if not level:
            return found
    raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError(f"nested more than {MOST_LEVELS} levels deep")
