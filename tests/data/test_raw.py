from __future__ import annotations

from pathlib import Path

import numpy as np

from bayesfuse.data.raw import RawColumn


class Cells:
    def __init__(self, cells: list[object]) -> None:
        self.cells = cells
        self.times = 0

    def __call__(self) -> list[object]:
        self.times += 1
        return self.cells


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
    assert cells.times == 1


def test_bytes_stay_bytes() -> None:
    column = RawColumn("image", "bytes", np.ones(2, dtype=bool), Cells([b"\xff", b""]))
    assert list(column) == [b"\xff", None]


def test_relative_paths_are_found_from_the_folder(tmp_path: Path) -> None:
    cells = Cells(["posters/a.jpg", "/else/b.jpg", ""])
    column = RawColumn("image", "path", np.ones(3, dtype=bool), cells, tmp_path)
    assert list(column) == [str(tmp_path / "posters/a.jpg"), "/else/b.jpg", None]
