"""Tables on disk (Parquet, CSV, JSON lines), read a column at a time into plain Python cells."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bayesfuse.data.parquet_columns import ParquetColumns
from bayesfuse.data.parquet_parts import ParquetParts, part_files
from bayesfuse.data.table_columns import Cell, Chunks, Columns, RowNumbers
from bayesfuse.data.text_tables import (
    COMPRESSED,
    DELIMITERS,
    JSON_LINES,
    read_csv,
    read_json_lines,
)
from bayesfuse.errors import CatalogError, did_you_mean

TABLE_SUFFIXES = (".parquet", *DELIMITERS, *JSON_LINES)

_CHUNK_ROWS = 4096


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
    columns: Columns

    def column(self, name: str) -> list[Cell]:
        """Return a column's cells, `items`.

        Raises:
            CatalogError: If there is no such column, or it cannot be read.
        """
        self.require(name)
        return self.columns.read(name)

    def cells(self, name: str) -> Iterator[Cell]:
        """Go through a column's cells, of which no more than a chunk is held.

        Raises:
            CatalogError: If there is no such column, or it cannot be read.
        """
        every_row = np.arange(self.num_rows, dtype=np.int64)
        for _, (cells,) in self.stream([name], every_row, _CHUNK_ROWS):
            yield from cells

    def stream(self, names: Sequence[str], rows: RowNumbers, max_rows: int) -> Chunks:
        """Yield some rows of some columns, a chunk at a time, in the order of the file.

        Never more than a chunk is held: 8 MiB or one row, and a page of each column. Row groups
        that have none of the rows are not read.

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

    Text may be compressed (`.csv.gz`, also `.bz2` and `.xz`) and has to be UTF-8. A folder of
    Parquet files is one table, too.

    Args:
        path: The file or folder.
        delimiter: What separates the fields of a CSV; `,` (in `.tsv` a tab) if not given.

    Returns:
        The table. Columns of Parquet are read when asked for. A text is read whole, so that its
        mistakes are found at once; what does not fit in some MiB waits in a temporary file.

    Raises:
        CatalogError: If the file is missing, damaged, or not what its name says.
    """
    parts = part_files(path)
    suffix = ".parquet" if parts else table_suffix(path)
    if suffix is None:
        raise CatalogError(
            path,
            [
                f"{path}: not a table; expected a name that ends in {', '.join(TABLE_SUFFIXES)} "
                f"(text also with {', '.join(COMPRESSED)})."
            ],
        )
    if not parts and not os.path.isfile(path):  # of a name that is too long, too
        raise CatalogError(path, [f"{path}: no such file."])
    if delimiter is not None and suffix not in DELIMITERS:
        raise CatalogError(path, [f"{path}: a delimiter is for CSV; leave it out for {suffix}."])
    if suffix == ".parquet":
        return _open_parquet(path)
    if suffix in JSON_LINES:
        text = read_json_lines(path)
    else:
        text = read_csv(path, delimiter, DELIMITERS[suffix])
    return Table(path, text.names, text.num_rows, suffix in DELIMITERS, text.columns)


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
    yield from _parquet(table).batches(name)


def parquet_schema(table: Table) -> pa.Schema:
    """Return the columns of a Parquet table and their types.

    Raises:
        CatalogError: If the table is no Parquet file.
    """
    return _parquet(table).schema


def _parquet(table: Table) -> ParquetColumns | ParquetParts:
    if not isinstance(table.columns, ParquetColumns | ParquetParts):
        raise CatalogError(table.path, [f"{table.path}: expected a .parquet file."])
    return table.columns


def _open_parquet(path: Path) -> Table:
    opened = ParquetParts if os.path.isdir(path) else ParquetColumns
    columns: ParquetColumns | ParquetParts = opened.open(path)
    names = tuple(str(name) for name in columns.schema.names)
    return Table(path, names, columns.num_rows, False, columns)
