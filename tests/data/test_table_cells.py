from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pytest

from bayesfuse.data.table_cells import as_category, as_number, column_kind, is_table_cell


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (3, 3.0),
        (np.int64(3), 3.0),
        (Decimal("2.5"), 2.5),
        (" -1.5e3 ", -1500.0),
        ("2014-07-02T12:00", 2014.5),
        ("2014-01-01", 2014.0),
        (date(2012, 12, 31), 2012 + 365 / 366),
        (datetime(2014, 7, 2, 12, tzinfo=UTC), 2014.5),
        (10**400, math.inf),
        ("inf", math.inf),
        (True, None),
        (None, None),
        ("", None),
        ("1_000", None),
        ("1,5", None),
        ("2014-13-01", None),
        ("N/A", None),
        (b"1", None),
        ([1], None),
    ],
)
def test_a_number_is_told_from_what_is_none(cell: object, number: float | None) -> None:
    assert as_number(cell) == number


def test_text_is_a_number_only_where_all_is_text() -> None:
    assert as_number("3", from_text=False) is None
    assert as_number("2014-01-01", from_text=False) == 2014
    assert math.isnan(as_number("nan"))
    assert math.isnan(as_number(Decimal("sNaN")))


def test_a_category_has_one_name_however_it_was_stored() -> None:
    for same in (7, 7.0, "7", "7.0", np.int64(7), " 7 "):
        assert as_category(same) == "7"
    others = ["07", 7.5, "v7.0", "7.00", True, "-7.0"]
    assert [as_category(cell) for cell in others] == ["07", "7.5", "v7.0", "7.00", "True", "-7"]
    assert as_category("a\ud800") == "a?"  # JSON can spell it, and no file can hold it
    assert as_category(date(2014, 1, 2)) == "2014-01-02"
    assert [as_category(cell) for cell in (None, " ", math.nan)] == ["", "", ""]


def test_the_kind_of_a_column() -> None:
    assert column_kind([1, None, Decimal(2), math.nan], from_text=False) == "number"
    assert column_kind(["1", " ", "2e3"], from_text=True) == "number"
    assert column_kind(["1", "2"], from_text=False) == "category"
    assert column_kind(["1", "x"], from_text=True) == "category"
    assert column_kind([True, False], from_text=False) == "category"
    assert column_kind([None, ""], from_text=True) == "category"
    assert column_kind([date(2014, 1, 1), "2015-02-03"], from_text=False) == "number"


def test_what_can_stand_in_a_table() -> None:
    assert all(map(is_table_cell, (None, "a", 1, 2.5, True, Decimal(1), date(2014, 1, 1))))
    assert not any(map(is_table_cell, (b"", [1], {}, time(1), timedelta(1))))
