"""One column of a table as a source of raw cells: texts, bytes, or paths beside the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bayesfuse.data.raw import RawCell, as_raw
from bayesfuse.data.table_columns import RowNumbers
from bayesfuse.data.tables import Table


@dataclass(frozen=True)
class ColumnCells:
    """A column's raw cells, in the order of its file.

    Attributes:
        table: The table.
        column: The column.
        folder: Where paths are relative to; None if the cells are no paths.
    """

    table: Table
    column: str
    folder: Path | None = None

    def read(self) -> list[RawCell]:
        """Read all cells."""
        return [as_raw(cell, self.folder) for cell in self.table.column(self.column)]

    def stream(
        self, rows: RowNumbers, max_cells: int
    ) -> Iterator[tuple[RowNumbers, list[RawCell]]]:
        """Read the cells of these rows, a chunk at a time; see `Table.stream`."""
        for found, (cells,) in self.table.stream([self.column], rows, max_cells):
            yield found, [as_raw(cell, self.folder) for cell in cells]
