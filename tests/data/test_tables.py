from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayesfuse.data.tables import Table, is_blank, open_table, parquet_batches, table_suffix
from bayesfuse.errors import CatalogError

CELLS: dict[str, list[object]] = {
    "id": ["a", "b", "c"],
    "plot": ['He said "no",\nand left', "élan 🎬", None],
    "jpeg": [b"\xff\xd8", None, b""],
    "genres": [["Drama", "War"], [], None],
    "dotted.name": [1, 2, 3],
}


def parquet(path: Path, cells: dict[str, object] | None = None, **options: object) -> Path:
    pq.write_table(pa.table(cells or CELLS), path, **options)
    return path


@pytest.mark.parametrize("row_group_size", [None, 2])
def test_parquet_columns_are_read_one_at_a_time(tmp_path: Path, row_group_size: int | None) -> None:
    table = open_table(parquet(tmp_path / "items.parquet", row_group_size=row_group_size))
    assert table.names == tuple(CELLS)
    assert (table.num_rows, table.is_csv) == (3, False)
    for name, cells in CELLS.items():
        assert table.column(name) == cells
    assert table.is_binary("jpeg")
    assert not table.is_binary("plot")
    assert table.missing("jpeg").tolist() == [False, True, True]
    assert table.missing("plot").tolist() == [False, False, True]


def test_bytes_without_nulls_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = open_table(parquet(tmp_path / "full.parquet", {"id": ["a"], "jpeg": [b"x"]}))
    bare = parquet(tmp_path / "bare.parquet", {"jpeg": [b"x", None]}, write_statistics=False)
    assert open_table(bare).missing("jpeg").tolist() == [False, True]

    def refuse(*_: object) -> None:
        raise AssertionError("the column was read")

    monkeypatch.setattr(type(full.columns), "stream", refuse)
    assert full.missing("jpeg").tolist() == [False]
    with pytest.raises(AssertionError, match="was read"):
        open_table(bare).missing("jpeg")


def test_csv_and_json_lines_open_alike(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("id,plot\na,\nb,x\n", encoding="utf-8")
    lines = [{"id": "a"}, {"id": "b", "plot": "x"}]
    (tmp_path / "items.ndjson").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    (tmp_path / "items.tsv").write_text("id\tplot\na\t\nb\tx\n", encoding="utf-8")
    for name in ("items.csv", "items.ndjson", "items.tsv"):
        table = open_table(tmp_path / name)
        assert table.column("id") == ["a", "b"]
        assert table.missing("plot").tolist() == [True, False]
        assert not table.is_binary("plot")
        assert table.is_csv is not name.endswith("ndjson")


def test_blank_is_not_zero() -> None:
    assert [is_blank(cell) for cell in (0, False, "0", float("nan"), "\n")] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_suffixes_say_what_a_table_is() -> None:
    names = ("a.parquet", "a.b.CSV", "a.jsonl.gz", "a.parquet.gz", "a.gz", "a", "a.npz")
    assert [table_suffix(Path(name)) for name in names] == [
        ".parquet",
        ".csv",
        ".jsonl",
        None,
        None,
        None,
        None,
    ]


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    whole = parquet(tmp_path / "items.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "items.xlsx").write_bytes(b"")
    with pytest.raises(CatalogError, match=r"cut\.parquet: truncated, damaged or no Parquet"):
        open_table(tmp_path / "cut.parquet")
    with pytest.raises(CatalogError, match=r"not a table; expected .*\.csv"):
        open_table(tmp_path / "items.xlsx")
    with pytest.raises(CatalogError, match=f"{tmp_path}/none.csv: no such file"):
        open_table(tmp_path / "none.csv")
    with pytest.raises(CatalogError, match="a delimiter is for CSV"):
        open_table(tmp_path / "items.parquet", ";")
    with pytest.raises(CatalogError, match=r'labels: .*no column "genre".*Did you mean "genres"'):
        open_table(tmp_path / "items.parquet").require("genre", "labels")
    # The footer is whole, the pages are not.
    (tmp_path / "torn.parquet").write_bytes(
        b"PAR1" + bytes(len(whole) // 2) + whole[-(len(whole) // 2) + 4 :]
    )
    with pytest.raises(CatalogError, match="truncated"):
        open_table(tmp_path / "torn.parquet").column("plot")


@pytest.mark.parametrize("row_group_size", [None, 2])
def test_parquet_columns_are_read_in_batches(tmp_path: Path, row_group_size: int | None) -> None:
    table = open_table(parquet(tmp_path / "items.parquet", row_group_size=row_group_size))
    cells = [cell for batch in parquet_batches(table, "genres") for cell in batch.to_pylist()]
    assert cells == CELLS["genres"]
    with pytest.raises(CatalogError, match=r'no column "genre".*Did you mean "genres"'):
        next(parquet_batches(table, "genre"))
    (tmp_path / "items.csv").write_text("id\na\n", encoding="utf-8")
    with pytest.raises(CatalogError, match=r"expected a \.parquet file"):
        next(parquet_batches(open_table(tmp_path / "items.csv"), "id"))


def streamed(table: Table, rows: list[int], max_rows: int) -> list[tuple[int, object, object]]:
    found = []
    for part, (ids, plots) in table.stream(["id", "plot"], np.array(rows), max_rows):
        assert len(part) <= max_rows
        found += list(zip(part.tolist(), ids, plots, strict=True))
    return found


@pytest.mark.parametrize("row_group_size", [1, 2, None])
def test_rows_of_some_columns_are_streamed(tmp_path: Path, row_group_size: int | None) -> None:
    path = parquet(tmp_path / "items.parquet", row_group_size=row_group_size)
    lines = [json.dumps({"id": CELLS["id"][i], "plot": CELLS["plot"][i]}) for i in range(3)]
    (tmp_path / "items.jsonl").write_text("\n".join(lines), encoding="utf-8")
    expected = list(zip(range(3), CELLS["id"], CELLS["plot"], strict=True))
    for table in (open_table(path), open_table(tmp_path / "items.jsonl")):
        assert streamed(table, [0, 1, 2], 2) == expected
        assert streamed(table, [2], 2) == expected[2:]
        assert streamed(table, [0, 2], 1) == [expected[0], expected[2]]
        assert streamed(table, [], 1) == []
        with pytest.raises(CatalogError, match='no column "plto"'):
            next(table.stream(["plto"], np.array([0]), 1))
    # Whatever the order in which columns are asked for.
    (_, (dotted, ids)) = next(open_table(path).stream(["dotted.name", "id"], np.array([0]), 3))
    assert (dotted, ids) == ([1], ["a"])


def test_a_file_that_was_replaced_is_not_read_on(tmp_path: Path) -> None:
    table = open_table(parquet(tmp_path / "items.parquet"))
    parquet(tmp_path / "items.parquet", {"id": ["a"], "plot": ["x"]})
    with pytest.raises(CatalogError, match="changed while it was read"):
        streamed(table, [0, 1], 2)
    (tmp_path / "items.parquet").unlink()
    with pytest.raises(CatalogError, match="truncated, damaged"):
        streamed(table, [0, 1], 2)


def test_cells_are_gone_through_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayesfuse.data.tables._CHUNK_ROWS", 2)
    (tmp_path / "items.csv").write_text("id,plot\na,\nb,x\nc,y\n", encoding="utf-8")
    for path in (parquet(tmp_path / "items.parquet"), tmp_path / "items.csv"):
        table = open_table(path)
        assert list(table.cells("plot")) == table.column("plot")
        assert len(table.column("plot")) == 3
        with pytest.raises(CatalogError, match='no column "plto"'):
            next(table.cells("plto"))
