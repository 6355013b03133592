"""Rows of text that are kept in memory while they are few, and in a temporary file beyond that."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bayesfuse.data.parquet_columns import ParquetColumns
from bayesfuse.data.table_columns import Cell, Chunks, Columns, InMemory, RowNumbers
from bayesfuse.data.whole_files import remove_left_behind, unfinished_name
from bayesfuse.errors import CatalogError

Decode = Callable[[str], Cell]

# Rows are held in memory until they fill this: characters, and what Python needs for a string.
_HELD_BYTES = 1 << 23
_CELL_BYTES = 64


class Spool:
    """Collects the rows of a table of text, of which a bounded part is in memory.

    The rest goes to a Parquet file in the system's folder for temporary files (`TMPDIR`). It is
    removed as soon as nothing refers to its columns any more, at the latest with the process.

    Args:
        table: The table that is read, for messages.
        names: The columns' names.

    Example:
        >>> spool = Spool(Path("items.csv"), ("id", "plot"))
        >>> spool.append(["a", "A long night."])
        >>> spool.columns().read("plot"), spool.num_rows
        (['A long night.'], 1)
    """

    def __init__(self, table: Path, names: Sequence[str]) -> None:
        self.num_rows = 0
        self._table = table
        self._names = tuple(names)
        self._held: list[list[str | None]] = [[] for _ in self._names]
        self._num_bytes = 0
        self._file: _TemporaryFile | None = None

    def append(self, row: Sequence[str | None]) -> None:
        """Add a row, of one cell a column.

        Raises:
            CatalogError: If the temporary file cannot be written.
        """
        for cells, cell in zip(self._held, row, strict=True):
            cells.append(cell)
            self._num_bytes += _CELL_BYTES + (len(cell) if cell else 0)
        self.num_rows += 1
        if self._num_bytes > _HELD_BYTES:
            self._write()

    def columns(self, decode: Decode | None = None) -> Columns:
        """Return the columns of all rows; nothing can be added after.

        Args:
            decode: What makes a cell from its text, where cells are more than text.

        Raises:
            CatalogError: If the temporary file cannot be written.
        """
        if self._file is None:
            held = dict(zip(self._names, self._held, strict=True))
            return InMemory({name: _decoded(cells, decode) for name, cells in held.items()})
        self._write()
        self._file.close()
        return _Spooled(self._table, self._names, self._file, decode)

    def _write(self) -> None:
        if self._file is None:
            self._file = _TemporaryFile(self._table, len(self._names))
        self._file.write(self._held)
        self._held = [[] for _ in self._names]
        self._num_bytes = 0


_NAME = "bayesfuse-columns.parquet"


class _TemporaryFile:
    """A Parquet file of text that lives no longer than this object."""

    def __init__(self, table: Path, num_columns: int) -> None:
        # A column's number is its name, since Parquet takes a dot for a path.
        self.schema = pa.schema([(str(i), pa.large_string()) for i in range(num_columns)])
        self.table = table
        with self._writing():
            folder = Path(tempfile.gettempdir())
            remove_left_behind(folder, _NAME)
            self.path = unfinished_name(folder / _NAME)
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        weakref.finalize(self, _remove, self.path, os.getpid())
        self._writer = pq.ParquetWriter(self.path, self.schema, write_statistics=False)

    def write(self, cells: list[list[str | None]]) -> None:
        with self._writing():
            arrays = [pa.array(column, pa.large_string()) for column in cells]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema))
        del arrays
        pa.default_memory_pool().release_unused()

    def close(self) -> None:
        with self._writing():
            self._writer.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CatalogError(
                self.table,
                [
                    f"{self.table}: its columns do not all fit in memory, and cannot be kept in "
                    f"{tempfile.gettempdir()} either ({error}). Free some space, set TMPDIR to a "
                    "folder that has it, or make the table a .parquet file, which needs none."
                ],
            ) from error


class _Spooled:
    """The columns of a `_TemporaryFile`, which they keep alive."""

    def __init__(
        self, table: Path, names: Sequence[str], file: _TemporaryFile, decode: Decode | None
    ) -> None:
        self.table = table
        self.file = file
        self.decode = decode
        self.places = {name: str(i) for i, name in enumerate(names)}
        with self._reading():
            self.columns = ParquetColumns.open(file.path)

    def read(self, name: str) -> list[Cell]:
        with self._reading():
            return _decoded(self.columns.read(self.places[name]), self.decode)

    def stream(self, names: Sequence[str], rows: RowNumbers, max_rows: int) -> Chunks:
        with self._reading():
            places = [self.places[name] for name in names]
            for found, cells in self.columns.stream(places, rows, max_rows):
                yield found, [_decoded(column, self.decode) for column in cells]

    def is_binary(self, name: str) -> bool:
        return False

    def null_count(self, name: str) -> int | None:
        return None

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except CatalogError as error:
            raise CatalogError(
                self.table,
                [
                    f"{self.table}: its columns waited in a temporary file, which cannot be read "
                    f"any more ({error.problems[0]}) Was it removed meanwhile? Run it again."
                ],
            ) from error


def _decoded(cells: Sequence[Cell], decode: Decode | None) -> list[Cell]:
    if decode is None:
        return list(cells)
    return [decode(cell) if isinstance(cell, str) else None for cell in cells]


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # and not a process that was forked from it
        with suppress(OSError):
            path.unlink(missing_ok=True)
