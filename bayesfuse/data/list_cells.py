"""Cells that hold several names: a list, a list in JSON, or names joined by a separator."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence

from bayesfuse.config.parsing import parse_json
from bayesfuse.data.findings import Findings
from bayesfuse.data.table_columns import Cell

_SEPARATORS = ("|", ";", ",")


def read_lists(
    cells: Sequence[Cell],
    separator: str | None,
    *,
    what: str,
    flag: str,
    findings: Findings,
) -> list[list[str] | None]:
    """Read each cell as a list of names.

    Args:
        cells: A column's cells: lists, text such as `Drama|Comedy` or `["Drama"]`, or null.
        separator: What joins the names of a text cell; `""` where a cell is one name. If it is
            not given and the cells look joined, that is a problem, not a guess.
        what: The role and column, for messages.
        flag: The option that sets the separator, such as `labels-separator`.
        findings: Where problems go.

    Returns:
        Names an item, stripped of white space; None where the cell is null.

    Example:
        >>> read_lists(["a|b", "", None], "|", what="labels", flag="", findings=Findings())
        [['a', 'b'], [], None]
    """
    lists: list[list[str] | None] = []
    plain: list[str] = []
    for row, cell in enumerate(cells):
        if cell is None or (isinstance(cell, float) and cell != cell):
            lists.append(None)
            continue
        parsed = _from_text(cell) if isinstance(cell, str) else cell
        if isinstance(parsed, str):
            plain.append(parsed)
            parsed = parsed.split(separator) if separator else [parsed]
        elif isinstance(parsed, int) and not isinstance(parsed, bool):
            parsed = [parsed]
        if not isinstance(parsed, (list, tuple)) or not all(map(_is_name, parsed)):
            findings.problem(
                f"{what}: row {row} (counted from 0) holds {str(cell)[:60]!r}; expected a list of "
                'names, a text such as ["Drama", "War"] in JSON, or one that joins them.'
            )
            return [[] for _ in cells]
        names = [str(name).strip() for name in parsed if name is not None]
        lists.append([name for name in names if name])
    if separator and not plain and any(lists):
        findings.warn(f"{what}: its cells are lists, so that --{flag} has nothing to split.")
    joined_by = likely_separator(plain) if separator is None else None
    if joined_by is not None:
        example = next(cell for cell in plain if joined_by in cell)
        findings.problem(
            f"{what}: cells such as {example[:60]!r} look like several names joined by "
            f"'{joined_by}'. --{flag} '{joined_by}' splits them (in catalog.toml: "
            f"{flag.replace('-', '_')} = \"{joined_by}\"); where a cell is one name, give ''."
        )
    return lists


def likely_separator(cells: Sequence[str]) -> str | None:
    """Return the separator that joins names in these cells, if they look joined.

    They do where at least half of the cells hold a separator, or where splitting the cells leaves
    fewer different names than there are different cells.

    Example:
        >>> likely_separator(["Drama, Comedy", "Drama", "Comedy", "Horror"])
        ','
        >>> likely_separator(["Drama", "Children, family", "Drama", "Horror"])
    """
    filled = [cell for cell in cells if cell.strip()]
    if not filled:
        return None
    counts = Counter(sep for cell in filled for sep in _SEPARATORS if sep in cell)
    if not counts:
        return None
    separator, count = counts.most_common(1)[0]
    before = {cell.strip() for cell in filled}
    after = {name.strip() for cell in filled for name in cell.split(separator)}
    return separator if count * 2 >= len(filled) or len(after) < len(before) else None


def _from_text(cell: str) -> Cell:
    """Return the list that a text spells in JSON or as Python does, the text if it spells none."""
    text = cell.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return cell
    try:
        found: Cell = parse_json(text)
        return found
    except ValueError:
        pass
    try:
        spelt = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):  # the last of many brackets
        spelt = None
    # Python would join the names of NumPy's "['a' 'b']" into one; only its own spelling counts.
    if isinstance(spelt, list) and repr(spelt) == text:
        return spelt
    return None if text[1:2] in ("'", '"') else cell


def _is_name(name: object) -> bool:
    return name is None or isinstance(name, str) or (isinstance(name, int) and name is not True)
