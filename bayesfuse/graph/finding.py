"""An item by its id or its title, as a person would write it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.findings import first_few
from bayesfuse.errors import ConfigError, did_you_mean
from bayesfuse.graph.names import fold_name

_MAX_COMPARED = 20_000  # titles; looking for the nearest among more takes too long


def find_item(
    ids: Sequence[str] | NDArray[np.str_], titles: Sequence[str] | None, text: str
) -> int:
    """Return the row of the item that has this id, or else this title.

    First as written, an id before a title; then again without case, accents and punctuation.

    Args:
        ids: The id of each item, `items`.
        titles: The title of each item, `items`, if there are any.
        text: What to look for.

    Returns:
        The row.

    Raises:
        ConfigError: If nothing fits, with what comes nearest; or if several titles do, with their
            ids.

    Example:
        >>> find_item(["tt1", "tt2"], ["Jaws", "Amélie"], "amelie")
        1
    """
    names = [str(name) for name in ids]
    shown = list(titles) if titles is not None else []
    wanted = fold_name(text)
    tries: list[Callable[[str], bool]] = [text.__eq__, lambda name: fold_name(name) == wanted]
    for fits in tries if wanted else ():
        rows = _rows(names, fits) or _rows(shown, fits)
        if len(rows) == 1:
            return rows[0]
        if rows:
            several = first_few([names[row] for row in rows], 10)
            raise ConfigError(f'{len(rows)} items are called "{text}": {several}. Give the id.')
    what = "id or title" if shown else "id"
    raise ConfigError(f'No item has the {what} "{text}".{_nearest(names, shown, text)}')


def _rows(names: Sequence[str], fits: Callable[[str], bool]) -> list[int]:
    return [row for row, name in enumerate(names) if fits(name)]


def _nearest(names: Sequence[str], titles: Sequence[str], text: str) -> str:
    wanted = fold_name(text)
    if len(wanted) > 2:
        held = [title for title in dict.fromkeys(titles) if wanted in fold_name(title)]
        if held:
            return f" Titles that hold it: {first_few([repr(title) for title in held], 5)}."
    options = dict.fromkeys([*titles, *names])
    return did_you_mean(text, options) if len(options) <= 2 * _MAX_COMPARED else ""
