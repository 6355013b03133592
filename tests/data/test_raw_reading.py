from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayesfuse.data.raw_reading import ColumnCells
from bayesfuse.data.tables import open_table


def write(path: Path, cells: list[object], **options: object) -> Path:
    pq.write_table(pa.table({"c": cells}), path, **options)
    return path


def test_cells_are_the_same_read_or_streamed(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text('c\na\n" "\nb\n', encoding="utf-8")
    tables = [
        open_table(write(tmp_path / "items.parquet", ["a", None, "b"], row_group_size=2)),
        open_table(tmp_path / "items.csv"),
    ]
    for table in tables:
        source = ColumnCells(table, "c")
        assert source.read() == ["a", None, "b"]
        chunks = list(source.stream(np.array([1, 2]), 1))
        assert [(rows.tolist(), cells) for rows, cells in chunks] == [([1], [None]), ([2], ["b"])]


def test_relative_paths_are_found_from_the_folder(tmp_path: Path) -> None:
    table = open_table(write(tmp_path / "a.parquet", ["posters/a.jpg", "/else/b.jpg", None]))
    source = ColumnCells(table, "c", tmp_path)
    expected = [str(tmp_path / "posters/a.jpg"), "/else/b.jpg", None]
    assert source.read() == expected
    assert [cells for _, cells in source.stream(np.arange(3), 9)] == [expected]


READ = """
import sys, tracemalloc
from pathlib import Path
import numpy as np, pyarrow as pa
from bayesfuse.data.raw import RawColumn
from bayesfuse.data.raw_reading import ColumnCells
from bayesfuse.data.tables import open_table

table = open_table(Path(sys.argv[1]))
order = np.random.default_rng(0).permutation(table.num_rows)
source = ColumnCells(table, "c")
column = RawColumn("image", "bytes", np.ones(len(order), bool), source, order=order)
def peak():
    return tracemalloc.get_traced_memory()[1] + pa.default_memory_pool().max_memory()

tracemalloc.start()
assert sum(len(cells) for _, cells in column.stream()) == len(order)
print(peak())
assert len(list(column)) == len(order)
print(peak())
"""


def peaks(path: Path) -> list[float]:
    """Return the most MiB that a process held at once to stream a column, and to list it."""
    command = [sys.executable, "-c", READ, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [int(line) / 2**20 for line in done.stdout.split()]


@pytest.mark.parametrize("row_group_size", [1 << 20, 500])
def test_a_stream_never_holds_all_cells(tmp_path: Path, row_group_size: int) -> None:
    """A column of 80 MiB in shuffled order, in one row group or in many."""
    rng = np.random.default_rng(0)
    cells = [rng.bytes(10_240) for _ in range(8_192)]
    path = write(tmp_path / "a.parquet", cells, row_group_size=row_group_size)
    streamed, listed = peaks(path)
    assert streamed < 75
    assert listed > 80  # the control
