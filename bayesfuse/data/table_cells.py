"""What a cell of a table's column is: a number, the name of a category, or blank."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from numbers import Real
from typing import Literal

from bayesfuse.data.tables import is_blank

ColumnKind = Literal["number", "category"]

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")
_WHOLE = re.compile(r"-?\d+\.0")


def as_number(cell: object, *, from_text: bool = True) -> float | None:
    """Return a cell as a number, which may be NaN or infinite; None if it is no number.

    A date is its year and the part of it that has passed, and so is a text that spells a date as
    ISO 8601 does. True and False are no numbers.

    Args:
        cell: A cell.
        from_text: Whether a text that spells a number is one, as in a CSV.

    Example:
        >>> as_number("1999"), as_number("1999", from_text=False), as_number("2014-07-02T12:00")
        (1999.0, None, 2014.5)
    """
    if isinstance(cell, float):  # first, since most cells of large tables are
        return cell
    if isinstance(cell, str):
        text = cell.strip()
        if _ISO_DATE.fullmatch(text):
            try:
                return _year(datetime.fromisoformat(text))
            except ValueError:
                return None
        # Python would read 1_000 as a thousand.
        return _float(text) if from_text and "_" not in text else None
    if isinstance(cell, bool):
        return None
    if isinstance(cell, int | Real | Decimal):
        return _float(cell)
    if isinstance(cell, datetime):
        return _year(cell)
    return _year(datetime(cell.year, cell.month, cell.day)) if isinstance(cell, date) else None


def as_category(cell: object) -> str:
    """Return the name of the category that a cell stands for; `""` if it is blank.

    A whole number is the same name however it was stored: pandas writes 3 as 3.0 where other cells
    of the column are empty.

    Example:
        >>> as_category(3.0), as_category("3.0"), as_category(" 03 "), as_category(True)
        ('3', '3', '03', 'True')
    """
    if is_blank(cell):
        return ""
    if isinstance(cell, date):
        return cell.isoformat()
    name = str(cell).strip().encode(errors="replace").decode()  # half a character is no text
    return name.removesuffix(".0") if _WHOLE.fullmatch(name) else name


def is_table_cell(cell: object) -> bool:
    """Return whether a cell can stand in a table: a text, a number, a bool, a date, or nothing."""
    return cell is None or isinstance(cell, str | bool | Real | Decimal | date)


def column_kind(cells: Iterable[object], *, from_text: bool) -> ColumnKind:
    """Return `number` if all cells that are not blank are numbers, and there is one.

    Args:
        cells: A column's cells.
        from_text: Whether a text that spells a number is one.

    Example:
        >>> column_kind([1999, None, 2.5], from_text=False), column_kind([True], from_text=False)
        ('number', 'category')
    """
    kind: ColumnKind = "category"
    for cell in cells:
        if is_blank(cell):
            continue
        if as_number(cell, from_text=from_text) is None:
            return "category"
        kind = "number"
    return kind


def _float(value: str | int | Real | Decimal) -> float | None:
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf
    except ValueError:
        return math.nan if isinstance(value, Decimal) else None  # Decimal's signalling NaN


def _year(moment: datetime) -> float:
    start, end = datetime(moment.year, 1, 1), date(moment.year, 12, 31)
    return moment.year + (moment.replace(tzinfo=None) - start).total_seconds() / (
        86400 * end.timetuple().tm_yday
    )
