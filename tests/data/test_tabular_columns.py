from __future__ import annotations

import json
import math
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayesfuse.data.findings import Findings
from bayesfuse.data.raw import RawColumn
from bayesfuse.data.tables import open_table
from bayesfuse.data.tabular_columns import read_columns


def read(
    path: Path, names: list[str], categories: tuple[str, ...] = ()
) -> tuple[RawColumn | None, Findings]:
    findings = Findings()
    return read_columns("facts", open_table(path), names, categories, findings), findings


def parquet(folder: Path, **columns: object) -> Path:
    path = folder / "items.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def csv(folder: Path, content: str) -> Path:
    path = folder / "items.csv"
    path.write_text(content, encoding="utf-8")
    return path


def test_numbers_and_categories_are_told_apart(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        year=[1999, None, 2001],
        price=[Decimal("2.50"), None, Decimal(3)],
        seen=pa.array([date(2014, 1, 1), None, date(2015, 1, 1)]),
        at=pa.array([datetime(2014, 7, 2, 12), None, None], pa.timestamp("ns")),
        good=[True, None, False],
        country=["NO", " ", "7"],
        empty=pa.array([None, None, None], pa.string()),
    )
    names = ["country", "year", "price", "seen", "at", "good", "empty"]
    column, findings = read(path, names)
    assert column is not None
    assert not findings.problems
    assert not findings.warnings
    numbers = {"year", "price", "seen", "at"}
    assert column.columns == {n: "number" if n in numbers else "category" for n in names}
    assert list(column.columns) == names
    assert column.kind == "table"
    assert column.observed.tolist() == [True, False, True]
    first, none, last = column
    assert first == {"country": "NO", "year": 1999, "price": 2.5, "seen": 2014.0, "at": 2014.5,
                     "good": True, "empty": None}  # fmt: skip
    assert none is None
    assert (last["country"], last["good"]) == ("7", False)
    json.dumps([first, last], allow_nan=False)  # plain values, for content keys
    assert [cells for _, cells in column.take([2, 0]).stream(1)] == [[first], [last]]


def test_numbers_may_be_names(tmp_path: Path) -> None:
    path = parquet(tmp_path, code=[7, 8, None], day=[date(2014, 1, 2)] * 3)
    column, findings = read(path, ["code", "day"], ("code", "day"))
    assert column is not None
    assert column.columns == {"code": "category", "day": "category"}
    assert list(column)[1:] == [
        {"code": 8, "day": "2014-01-02"},
        {"code": None, "day": "2014-01-02"},
    ]
    assert not findings.warnings


def test_a_csv_holds_text_that_reads_as_numbers(tmp_path: Path) -> None:
    path = csv(tmp_path, "year,day,code\n1999,2014-01-02,07\n, ,\n2001,2015-01-02,A\n")
    column, findings = read(path, ["year", "day", "code"])
    assert column is not None
    assert column.columns == {"year": "number", "day": "number", "code": "category"}
    # As written, so that 07 is the same code wherever all codes look like numbers.
    assert list(column)[:2] == [{"year": "1999", "day": "2014-01-02", "code": "07"}, None]
    assert not findings.warnings
    lines = tmp_path / "items.jsonl"
    lines.write_text('{"year": "1999"}\n{"year": "2001"}\n', encoding="utf-8")
    column, _ = read(lines, ["year"])
    assert column is not None
    assert column.columns == {"year": "category"}


def test_most_but_not_all_numbers_warns(tmp_path: Path) -> None:
    content = "year\n1999\n2000\nN/A\n2002\n?\n"
    column, findings = read(csv(tmp_path, content), ["year"])
    assert column is not None
    assert column.columns == {"year": "category"}
    (warning,) = findings.warnings
    assert "3 cells are numbers, but 2 are not (first: 'N/A' in row 2" in warning
    assert "list the column in categories" in warning
    # Whoever does as it says is not warned, nor is one with few numbers among names.
    assert not read(csv(tmp_path, content), ["year"], ("year",))[1].warnings
    assert not read(csv(tmp_path, "year\n1999\nN/A\n?\n"), ["year"])[1].warnings


@pytest.mark.parametrize("text", [False, True])
def test_cells_that_are_not_finite_count_as_blank(tmp_path: Path, text: bool) -> None:
    if text:
        path = csv(tmp_path, "x\n1\nnan\n-inf\n1e999\n")
    else:
        path = parquet(tmp_path, x=[1.0, math.nan, -math.inf, math.inf])
    column, findings = read(path, ["x"])
    assert column is not None
    assert column.columns == {"x": "number"}
    assert column.observed.tolist() == [True, False, False, False]
    assert list(column)[1:] == [None, None, None]
    assert list(column) == [cell for _, cells in column.stream() for cell in cells]
    (warning,) = findings.warnings
    assert "3 cells are NaN or infinite; they count as blank" in warning


def test_nan_is_no_category(tmp_path: Path) -> None:
    column, findings = read(parquet(tmp_path, x=[1.0, math.nan]), ["x"], ("x",))
    assert column is not None
    assert list(column) == [{"x": 1.0}, None]
    assert "1 cells are NaN" in findings.warnings[0]
    column, findings = read(csv(tmp_path, "x\nnan\nNan\nAnn\n"), ["x"])
    assert column is not None
    assert column.observed.all()  # these are names
    assert not findings.warnings


def test_columns_that_cannot_be_used_are_refused_together(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        year=[1, 2],
        genres=[["a"], None],
        jpeg=[b"1", b"2"],
        key=pa.array([b"12", None], pa.binary(2)),
        long=pa.array([1, 2], pa.duration("s")),
    )
    names = ["yaer", "genres", "jpeg", "key", "long", "prices.csv:price", "year"]
    column, findings = read(path, names)
    assert column is None
    expected = ('Did you mean "year"?', "holds list", "holds bytes", "holds bytes", "timedelta",
                '"prices.csv:price" names another file')  # fmt: skip
    for problem, words in zip(findings.problems, expected, strict=True):
        assert words in problem
        assert "facts" in problem


def test_the_rows_of_a_stream_are_those_that_are_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = parquet(tmp_path, a=rng.integers(0, 9, 50), b=rng.choice(["x", "", "y"], 50))
    column, _ = read(path, ["b", "a"])
    assert column is not None
    streamed: dict[int, object] = {}
    for rows, cells in column.take(np.arange(49, -1, -2)).stream(7):
        streamed |= dict(zip(rows.tolist(), cells, strict=True))
    assert [streamed[place] for place in range(25)] == list(column)[49:0:-2]
