"""Tables on disk (Parquet, CSV, JSON lines), read a column at a time into plain Python cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bayesfuse.data.text_tables import (
    COMPRESSED,
    DELIMITERS,
    JSON_LINES,
    Cell,
    read_csv,
    read_json_lines,
)
from bayesfuse.errors import CatalogError, did_you_mean

_BINARY = ("binary", "large_binary", "binary_view")
TABLE_SUFFIXES = (".parquet", *DELIMITERS, *JSON_LINES)


RowNumbers = NDArray[np.int64]
Chunks = Iterator[tuple[RowNumbers, list[list[Cell]]]]

# Rows of a Parquet file are held until they fill this, and its pages are read through this.
_CHUNK_BYTES = 1 << 23
_CHUNK_ROWS = 4096
_BUFFER_BYTES = 1 << 20


class _Columns(Protocol):
    """Where a table's cells come from."""

    def read(self, name: str) -> list[Cell]: ...

    def stream(self, names: Sequence[str], rows: RowNumbers, max_rows: int) -> Chunks: ...

    def is_binary(self, name: str) -> bool: ...

    def null_count(self, name: str) -> int | None: ...


@dataclass(frozen=True)
class Table:
    """A table whose columns are read when they are asked for.

    Attributes:
        path: The file.
        names: The columns' names.
        num_rows: The number of rows, the header not counted.
        is_csv: Whether every cell is text, and an empty one `""`.
    """

    path: Path
    names: tuple[str, ...]
    num_rows: int
    is_csv: bool
    columns: _Columns

    def column(self, name: str) -> list[Cell]:
        """Return a column's cells, `items`.

        Raises:
            CatalogError: If there is no such column, or it cannot be read.
        """
        self.require(name)
        return self.columns.read(name)

    def cells(self, name: str) -> Iterator[Cell]:
        """Go through a column's cells; of a Parquet file no more than a chunk is held.

        Raises:
            CatalogError: If there is no such column, or it cannot be read.
        """
        every_row = np.arange(self.num_rows, dtype=np.int64)
        for _, (cells,) in self.stream([name], every_row, _CHUNK_ROWS):
            yield from cells

    def stream(self, names: Sequence[str], rows: RowNumbers, max_rows: int) -> Chunks:
        """Yield some rows of some columns, a chunk at a time, in the order of the file.

        Of a Parquet file, never more than a chunk is held: 8 MiB or one row, and a page of each
        column. Its row groups that have none of the rows are not read.

        Args:
            names: The columns.
            rows: Row numbers, increasing.
            max_rows: The most rows of a chunk, at least 1.

        Yields:
            Row numbers, and for each column its cells in these rows.

        Raises:
            CatalogError: If there is no such column, or it cannot be read.
        """
        for name in names:
            self.require(name)
        yield from self.columns.stream(names, rows, max_rows)

    def require(self, name: str, role: str = "") -> None:
        """Raise a `CatalogError` that names the nearest column, if there is no such column."""
        if name not in self.names:
            asked = f"{role}: " if role else ""
            raise CatalogError(
                self.path,
                [
                    f'{asked}{self.path} has no column "{name}"; it has {", ".join(self.names)}.'
                    f"{did_you_mean(name, self.names)}"
                ],
            )

    def is_binary(self, name: str) -> bool:
        """Return whether a column is declared to hold bytes; its cells are not read."""
        self.require(name)
        return self.columns.is_binary(name)

    def missing(self, name: str) -> NDArray[np.bool_]:
        """Return where a column's cells are null or blank, `items`.

        A column of bytes (images, often large) is only read where the file's statistics do not
        already say that none is null; where they do, bytes of length 0 do not count as missing.
        """
        self.require(name)
        if self.columns.is_binary(name) and self.columns.null_count(name) == 0:
            return np.zeros(self.num_rows, dtype=np.bool_)
        return np.fromiter(map(is_blank, self.cells(name)), np.bool_, self.num_rows)


def is_blank(cell: Cell) -> bool:
    """Return whether a cell holds nothing: null, NaN, no bytes, or nothing but white space.

    Example:
        >>> [is_blank(cell) for cell in (None, " ", b"", "a", 0)]
        [True, True, True, False, False]
    """
    if isinstance(cell, str):
        return not cell.strip()
    return cell is None or cell == b"" or (isinstance(cell, float) and cell != cell)


def open_table(path: Path, delimiter: str | None = None) -> Table:
    """Open a table: `.parquet`, `.csv`, `.tsv`, `.jsonl` or `.ndjson`.

    Text may be compressed (`.csv.gz`, also `.bz2` and `.xz`) and has to be UTF-8.

    Args:
        path: The file.
        delimiter: What separates the fields of a CSV; `,` (in `.tsv` a tab) if not given.

    Returns:
        The table. Columns of Parquet are read when asked for.

    Raises:
        CatalogError: If the file is missing, damaged, or not what its name says.
    """
    suffix = table_suffix(path)
    if suffix is None:
        raise CatalogError(
            path,
            [
                f"{path}: not a table; expected a name that ends in {', '.join(TABLE_SUFFIXES)} "
                f"(text also with {', '.join(COMPRESSED)})."
            ],
        )
    if not path.is_file():
        raise CatalogError(path, [f"{path}: no such file."])
    if delimiter is not None and suffix not in DELIMITERS:
        raise CatalogError(path, [f"{path}: a delimiter is for CSV; leave it out for {suffix}."])
    if suffix == ".parquet":
        return _open_parquet(path)
    if suffix in JSON_LINES:
        names, cells = read_json_lines(path)
    else:
        names, cells = read_csv(path, delimiter, DELIMITERS[suffix])
    num_rows = len(cells[names[0]]) if names else 0
    return Table(path, names, num_rows, suffix in DELIMITERS, _InMemory(cells))


def table_suffix(path: Path) -> str | None:
    """Return the kind of table that a file's name stands for, if any.

    Example:
        >>> table_suffix(Path("items.csv.gz")), table_suffix(Path("items.xlsx"))
        ('.csv', None)
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        kind = suffixes[-2] if len(suffixes) > 1 else ""
        return kind if kind in (*DELIMITERS, *JSON_LINES) else None
    kind = suffixes[-1] if suffixes else ""
    return kind if kind in TABLE_SUFFIXES else None


def parquet_batches(table: Table, name: str) -> Iterator[pa.Array]:
    """Yield the cells of a Parquet table's column, some 65,536 rows at a time.

    Args:
        table: An open Parquet file.
        name: One of its columns.

    Raises:
        CatalogError: If the table is no Parquet file, has no such column, or cannot be read.
    """
    table.require(name)
    if not isinstance(table.columns, _Parquet):
        raise CatalogError(table.path, [f"{table.path}: expected a .parquet file."])
    with _reading(table.path):
        for batch in table.columns.file.iter_batches(columns=[name]):
            yield batch.column(0)


@dataclass(frozen=True)
class _InMemory:
    cells: dict[str, list[Cell]]

    def read(self, name: str) -> list[Cell]:
        return self.cells[name]

    def stream(self, names: Sequence[str], rows: RowNumbers, max_rows: int) -> Chunks:
        for start in range(0, len(rows), max_rows):
            part = rows[start : start + max_rows]
            yield part, [[self.cells[name][row] for row in part.tolist()] for name in names]

    def is_binary(self, name: str) -> bool:
        return False

    def null_count(self, name: str) -> int | None:
        return None


@dataclass(frozen=True)
class _Parquet:
    path: Path
    file: pq.ParquetFile

    def read(self, name: str) -> list[Cell]:
        every_row = np.arange(self.file.metadata.num_rows, dtype=np.int64)
        found: list[Cell] = []
        for _, (cells,) in self.stream([name], every_row, _CHUNK_ROWS):
            found += cells
        return found

    def arrow(self, name: str) -> pa.Array:
        with _reading(self.path):
            column = self.file.read(columns=[name]).column(0)
        return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)

    def stream(self, names: Sequence[str], rows: RowNumbers, max_rows: int) -> Chunks:
        # Through a buffer, or else the whole column of a row group is read at once.
        with (
            _reading(self.path),
            pq.ParquetFile(self.path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file,
        ):
            if file.metadata.num_rows != self.file.metadata.num_rows:
                raise CatalogError(self.path, [f"{self.path}: changed while it was read."])
            end = 0
            for group in range(file.metadata.num_row_groups):
                about = file.metadata.row_group(group)
                start, end = end, end + about.num_rows
                wanted = rows[slice(*np.searchsorted(rows, [start, end]))]
                size = max(1, min(max_rows, _CHUNK_BYTES // _row_bytes(about, names)))
                batches = file.iter_batches(size, row_groups=[group], columns=list(names))
                while len(wanted):
                    batch = next(batches)
                    count = int(np.searchsorted(wanted, start + len(batch)))
                    if count:
                        yield wanted[:count], _cells(batch, names, wanted[:count] - start)
                    wanted, start = wanted[count:], start + len(batch)
                    del batch  # before the next one is read

    def is_binary(self, name: str) -> bool:
        return str(self.file.schema_arrow.field(name).type) in _BINARY

    def null_count(self, name: str) -> int | None:
        metadata = self.file.metadata
        total = 0
        for group in range(metadata.num_row_groups):
            row_group = metadata.row_group(group)
            columns = (row_group.column(i) for i in range(row_group.num_columns))
            column = next((c for c in columns if c.path_in_schema == name), None)
            if column is None or column.statistics is None or not column.statistics.has_null_count:
                return None
            total += int(column.statistics.null_count)
        return total


def _cells(batch: pa.RecordBatch, names: Sequence[str], rows: RowNumbers) -> list[list[Cell]]:
    if len(rows) < len(batch):
        batch = batch.take(pa.array(rows))
    return [batch.column(batch.schema.names.index(name)).to_pylist() for name in names]


def _row_bytes(about: pa.RowGroupMetaData, names: Sequence[str]) -> int:
    """Return about how many bytes a row of these columns takes."""
    columns = (about.column(i) for i in range(about.num_columns))
    return 1 + sum(
        int(column.total_uncompressed_size // max(1, about.num_rows))
        for column in columns
        if column.path_in_schema in names
    )


def _open_parquet(path: Path) -> Table:
    with _reading(path):
        file = pq.ParquetFile(path)
    names = tuple(str(name) for name in file.schema_arrow.names)
    return Table(path, names, int(file.metadata.num_rows), False, _Parquet(path, file))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise CatalogError(
            path, [f"{path}: truncated, damaged or no Parquet file ({reason})."]
        ) from error
