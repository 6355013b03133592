"""A folder of Parquet files that make one table, as Spark and `bayesfuse predict` write it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from bayesfuse.data.parquet_columns import ParquetColumns
from bayesfuse.data.table_columns import Cell, Chunks, RowNumbers
from bayesfuse.errors import CatalogError


def part_files(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder, by name, without those that start with `_` or a dot.

    Args:
        folder: Anything; what is no folder has none.
    """
    found = folder.glob("*.parquet") if os.path.isdir(folder) else ()
    return sorted(path for path in found if not path.name.startswith(("_", ".")))


@dataclass(frozen=True)
class ParquetParts:
    """Columns of several Parquet files, the rows of one after those of the other.

    Attributes:
        path: The folder.
        parts: The files, one at least.
    """

    path: Path
    parts: tuple[ParquetColumns, ...]

    @classmethod
    def open(cls, path: Path) -> ParquetParts:
        """Open all files of a folder; only what they say of themselves is read.

        Raises:
            CatalogError: If one is damaged, or they differ in their columns.
        """
        opened = tuple(ParquetColumns.open(file) for file in part_files(path))
        first = opened[0]
        problems = [
            f"{part.path.name} has the columns {_told(part)}, but {first.path.name} has "
            f"{_told(first)}; write all parts with the same columns, of the same types."
            for part in opened[1:]
            if not part.schema.equals(first.schema)
        ]
        if problems:
            raise CatalogError(path, problems[:5])
        return cls(path, opened)

    @property
    def schema(self) -> pa.Schema:
        """The columns and their types."""
        return self.parts[0].schema

    @property
    def num_rows(self) -> int:
        """The rows of all files."""
        return sum(part.num_rows for part in self.parts)

    def read(self, name: str) -> list[Cell]:
        """Return a column's cells."""
        return [cell for part in self.parts for cell in part.read(name)]

    def stream(self, names: Sequence[str], rows: RowNumbers, max_rows: int) -> Chunks:
        """Yield some rows of some columns, a chunk at a time, and open no file without them."""
        end = 0
        for part in self.parts:
            start, end = end, end + part.num_rows
            wanted = rows[slice(*np.searchsorted(rows, [start, end]))]
            if len(wanted):
                for found, cells in part.stream(names, wanted - start, max_rows):
                    yield found + start, cells

    def batches(self, name: str) -> Iterator[pa.Array]:
        """Yield a column's cells, some 65,536 rows at a time."""
        for part in self.parts:
            yield from part.batches(name)

    def is_binary(self, name: str) -> bool:
        """Return whether a column is declared to hold bytes."""
        return self.parts[0].is_binary(name)

    def null_count(self, name: str) -> int | None:
        """Return how many cells are null, if the statistics of every file say."""
        counts = [part.null_count(name) for part in self.parts]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None


def _told(part: ParquetColumns) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in part.schema)
