"""Columns of a Parquet file, of which never more than a chunk is held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bayesfuse.data.table_columns import Cell, Chunks, RowNumbers
from bayesfuse.errors import CatalogError

_BINARY = ("binary", "large_binary", "binary_view")

# Rows are held until they fill this, and pages of the file are read through this.
_CHUNK_BYTES = 1 << 23
_CHUNK_ROWS = 4096
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class ParquetColumns:
    """Columns of a Parquet file.

    Attributes:
        path: The file.
        file: The same, opened: what it says of itself.
    """

    path: Path
    file: pq.ParquetFile

    @classmethod
    def open(cls, path: Path) -> ParquetColumns:
        """Open a Parquet file; only what it says of itself is read.

        Raises:
            CatalogError: If it is truncated, damaged or no Parquet file.
        """
        with reading_parquet(path):
            return cls(path, pq.ParquetFile(path))

    @property
    def schema(self) -> pa.Schema:
        """The columns and their types."""
        return self.file.schema_arrow

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return int(self.file.metadata.num_rows)

    def batches(self, name: str) -> Iterator[pa.Array]:
        """Yield a column's cells, some 65,536 rows at a time."""
        with reading_parquet(self.path):
            for batch in self.file.iter_batches(columns=[name]):
                yield batch.column(0)

    def read(self, name: str) -> list[Cell]:
        """Return a column's cells."""
        every_row = np.arange(self.file.metadata.num_rows, dtype=np.int64)
        found: list[Cell] = []
        for _, (cells,) in self.stream([name], every_row, _CHUNK_ROWS):
            found += cells
        return found

    def stream(self, names: Sequence[str], rows: RowNumbers, max_rows: int) -> Chunks:
        """Yield some rows of some columns, a chunk at a time, and read no group without them."""
        # Through a buffer, or else the whole column of a row group is read at once.
        with (
            reading_parquet(self.path),
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
                    batch = next(batches, None)
                    if batch is None or not len(batch):
                        raise CatalogError(
                            self.path,
                            [f"{self.path}: truncated or damaged (row group {group} is short)."],
                        )
                    count = int(np.searchsorted(wanted, start + len(batch)))
                    if count:
                        yield wanted[:count], _cells(batch, names, wanted[:count] - start)
                    wanted, start = wanted[count:], start + len(batch)
                    del batch  # before the next one is read
                del batches
                # or else Arrow keeps what it had for the next one, which may be other threads'
                pa.default_memory_pool().release_unused()

    def is_binary(self, name: str) -> bool:
        """Return whether a column is declared to hold bytes."""
        return str(self.file.schema_arrow.field(name).type) in _BINARY

    def null_count(self, name: str) -> int | None:
        """Return how many cells are null, if the file's statistics say."""
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


@contextmanager
def reading_parquet(path: Path) -> Iterator[None]:
    """Turn what Arrow says of a file that it cannot read into a `CatalogError`."""
    try:
        yield
    except CatalogError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise CatalogError(
            path, [f"{path}: truncated, damaged or no Parquet file ({reason})."]
        ) from error
