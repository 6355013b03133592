"""How results print and go into JSON: aligned columns, and numbers that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Lay out a table: the first columns to the left, the others to the right.

    Args:
        header: What stands above the columns.
        rows: As many texts as `header` has.
        left: How many columns are texts.

    Example:
        >>> print(aligned(["label", "AP"], [["Horror", "0.61"], ["War", "0.5"]]))
        label     AP
        Horror  0.61
        War      0.5
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, *rows]
    )


def json_safe(value: object) -> object:
    """Return nested values of dataclasses as JSON can hold them; what is not finite is None.

    Example:
        >>> json_safe({"p": (0.5, float("nan"))})
        {'p': [0.5, None]}
    """
    if isinstance(value, dict):
        return {str(key): json_safe(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
