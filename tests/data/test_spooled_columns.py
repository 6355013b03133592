from __future__ import annotations

import gc
import json
import os
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from bayesfuse.data import spooled_columns
from bayesfuse.data.spooled_columns import Spool
from bayesfuse.data.tables import open_table
from bayesfuse.errors import CatalogError

ROWS: list[list[str | None]] = [[f"i{i}", None if i % 3 else f"plot {i}\0"] for i in range(1000)]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have temporary files in a folder of the test's own, from 2,000 bytes on."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(spooled_columns, "_HELD_BYTES", 2000)
    return folder


def spooled(rows: list[list[str | None]] = ROWS) -> Spool:
    spool = Spool(Path("items.csv"), ("id", "a.b"))
    for row in rows:
        spool.append(row)
    return spool


def test_few_rows_need_no_file(scratch: Path) -> None:
    columns = spooled(ROWS[:5]).columns()
    assert columns.read("a.b") == [row[1] for row in ROWS[:5]]
    assert not list(scratch.iterdir())


def test_many_rows_are_the_same_from_a_file(scratch: Path) -> None:
    spool = spooled()
    assert spool.num_rows == 1000
    columns = spool.columns()
    assert len(list(scratch.iterdir())) == 1
    assert columns.read("id") == [row[0] for row in ROWS]
    assert columns.read("a.b") == [row[1] for row in ROWS]
    wanted = np.array([0, 3, 500, 999])
    chunks = list(columns.stream(["a.b", "id"], wanted, 64))
    assert np.concatenate([rows for rows, _ in chunks]).tolist() == wanted.tolist()
    cells = [[cell for _, part in chunks for cell in part[i]] for i in (0, 1)]
    assert cells == [["plot 0\0", "plot 3\0", None, "plot 999\0"], ["i0", "i3", "i500", "i999"]]
    assert not columns.is_binary("id")
    assert columns.null_count("a.b") is None


def test_cells_can_be_more_than_text(scratch: Path) -> None:
    values: list[object] = [1, 2.5, [1, "x"], {"y": None}, "\ud800", True] * 50
    spool = Spool(Path("items.jsonl"), ("a",))
    for value in values:
        spool.append([json.dumps(value)])
    columns = spool.columns(json.loads)
    assert list(scratch.iterdir())
    assert columns.read("a") == values


def test_the_file_goes_with_its_last_reader(scratch: Path) -> None:
    columns = spooled().columns()
    chunks = columns.stream(["id"], np.arange(1000), 64)
    del columns
    gc.collect()
    assert sum(len(rows) for rows, _ in chunks) == 1000
    del chunks
    gc.collect()
    assert not list(scratch.iterdir())


def test_a_forked_worker_does_not_take_the_file_away(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = spooled().columns()
    monkeypatch.setattr(os, "getpid", lambda: 0)
    del columns
    gc.collect()
    assert list(scratch.iterdir())


def test_what_cannot_be_written_or_read_says_why(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = spooled().columns()
    next(scratch.iterdir()).unlink()
    with pytest.raises(CatalogError, match=r"items\.csv: .* cannot be read any more .* again"):
        columns.read("id")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch / "nowhere"))
    with pytest.raises(CatalogError, match=r"cannot be kept in .*nowhere .* set TMPDIR"):
        spooled()


@pytest.mark.parametrize("name", ["items.csv", "items.jsonl"])
def test_memory_does_not_follow_the_size_of_a_text(
    tmp_path: Path, scratch: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plot = "It rains. " * 100
    path = tmp_path / name
    with path.open("w", encoding="utf-8") as file:
        if name == "items.csv":
            file.write("id,plot\n")
        for i in range(4000):
            row = {"id": f"i{i}", "plot": f"{plot}{i}"}
            file.write(f"{row['id']},{row['plot']}\n" if "csv" in name else json.dumps(row) + "\n")

    def peak(held: int) -> float:
        monkeypatch.setattr(spooled_columns, "_HELD_BYTES", held)
        tracemalloc.start()
        table = open_table(path)
        longest = max(len(str(cell)) for cell in table.cells("plot"))
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (table.num_rows, longest) == (4000, 1004)
        return highest / path.stat().st_size

    assert peak(100_000) < 0.4 < 1 < peak(1 << 30)
