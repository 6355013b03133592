from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayesfuse.data.raw import RawCell, RawColumn
from bayesfuse.data.raw_reading import ColumnCells
from bayesfuse.data.tables import open_table


class Cells:
    def __init__(self, cells: list[object]) -> None:
        self.cells = cells
        self.times = 0

    def __call__(self) -> list[object]:
        self.times += 1
        return self.cells


def streamed(column: RawColumn, max_cells: int) -> list[RawCell]:
    """Return the streamed cells in the items' order, having seen that each comes once."""
    found: dict[int, RawCell] = {}
    for rows, cells in column.stream(max_cells):
        assert 0 < len(rows) == len(cells) <= max_cells
        for row, cell in zip(rows.tolist(), cells, strict=True):
            assert row not in found
            found[row] = cell
    assert sorted(found) == list(range(len(column)))
    return [found[row] for row in range(len(column))]


def test_cells_are_read_when_asked_for_and_once() -> None:
    cells = Cells(["a", None, " ", "b"])
    column = RawColumn("text", "text", np.array([True, False, False, True]), cells)
    assert (len(column), repr(column)) == (4, "RawColumn('text', 'text', 4 items)")
    taken = column.take([3, 1, 3])
    assert taken.observed.tolist() == [True, False, True]
    assert cells.times == 0
    assert list(column) == ["a", None, None, "b"]
    assert list(taken) == ["b", None, "b"]
    assert column[0] == "a"
    assert column[2:] == [None, "b"]
    assert streamed(taken, 2) == ["b", None, "b"]
    assert cells.times == 1


def test_bytes_and_rows_stay_what_they_are() -> None:
    column = RawColumn("image", "bytes", np.ones(2, dtype=bool), Cells([b"\xff", b""]))
    assert list(column) == [b"\xff", None]
    column = RawColumn(
        "table", "table", np.ones(1, dtype=bool), Cells([{"a": 1}]), columns={"a": "number"}
    )
    assert list(column) == [{"a": 1}]
    assert column.take([0]).columns == {"a": "number"}


def test_relative_paths_are_found_from_the_folder(tmp_path: Path) -> None:
    cells = Cells(["posters/a.jpg", "/else/b.jpg", ""])
    column = RawColumn("image", "path", np.ones(3, dtype=bool), cells, tmp_path)
    assert list(column) == [str(tmp_path / "posters/a.jpg"), "/else/b.jpg", None]


def test_an_order_places_the_cells() -> None:
    column = RawColumn(
        "text", "text", np.ones(3, dtype=bool), Cells(["a", "b"]), order=np.array([1, -1, 0])
    )
    assert list(column) == ["b", None, "a"]
    assert list(column.take([2, 1])) == ["a", None]


class Stored:
    """A source that says what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def read(self) -> list[RawCell]:
        return ["a", "b", "c", "d"]

    def stream(
        self, rows: np.ndarray, max_cells: int
    ) -> Iterator[tuple[np.ndarray, list[RawCell]]]:
        self.asked.append(rows.tolist())
        for row in rows:
            yield np.array([row]), ["abcd"[row]]


def test_a_stream_asks_for_the_rows_that_it_needs_and_keeps_nothing() -> None:
    source = Stored()
    column = RawColumn(
        "text", "text", np.ones(4, dtype=bool), source, order=np.array([3, -1, 0, 3])
    )
    assert [(rows.tolist(), cells) for rows, cells in column.stream()] == [
        ([1], [None]),
        ([2], ["a"]),
        ([0, 3], ["d", "d"]),
    ]
    assert source.asked == [[0, 3]]
    assert "cells" not in vars(column)
    list(column)  # from here on there is nothing to read
    assert streamed(column.take([0]), 1) == ["d"]
    assert len(source.asked) == 1
    with pytest.raises(ValueError, match="max_cells is 0"):
        next(column.stream(0))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_each_item_is_streamed_once(tmp_path: Path, data: st.DataObject) -> None:
    cells = data.draw(st.lists(st.binary(max_size=5) | st.none(), min_size=1, max_size=30))
    path = tmp_path / "cells.parquet"
    group = data.draw(st.integers(1, 12))
    pq.write_table(pa.table({"c": pa.array(cells, pa.binary())}), path, row_group_size=group)
    order = data.draw(st.lists(st.integers(-1, len(cells) - 1), max_size=40))
    column = RawColumn(
        "image",
        "bytes",
        np.ones(len(order), dtype=bool),
        ColumnCells(open_table(path), "c"),
        order=np.array(order, dtype=np.int64),
    )
    expected = [cells[row] or None if row >= 0 else None for row in order]
    max_cells = data.draw(st.integers(1, 9))
    assert streamed(column, max_cells) == expected
    rows = data.draw(st.lists(st.integers(0, len(order) - 1), max_size=20)) if order else []
    assert streamed(column.take(rows), max_cells) == [expected[row] for row in rows]
    assert "cells" not in vars(column)
    assert list(column) == expected
    assert streamed(column, max_cells) == expected
