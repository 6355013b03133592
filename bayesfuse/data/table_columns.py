"""Where the cells of a table come from: what every source of columns can do, and the simplest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Cell = object  # str, bytes, a number, a list, or None where there is nothing
RowNumbers = NDArray[np.int64]
Chunks = Iterator[tuple[RowNumbers, list[list[Cell]]]]


class Columns(Protocol):
    """Columns that are read when they are asked for; `Table` says what each method returns."""

    def read(self, name: str) -> list[Cell]:
        """Return a column's cells."""

    def stream(self, names: Sequence[str], rows: RowNumbers, max_rows: int) -> Chunks:
        """Yield some rows of some columns, a chunk at a time."""

    def is_binary(self, name: str) -> bool:
        """Return whether a column is declared to hold bytes."""

    def null_count(self, name: str) -> int | None:
        """Return how many of a column's cells are null, where that is known without reading."""


@dataclass(frozen=True)
class InMemory:
    """Columns of few rows, all in memory.

    Attributes:
        cells: Each column's cells, by its name.
    """

    cells: dict[str, list[Cell]]

    def read(self, name: str) -> list[Cell]:
        """Return a column's cells."""
        return self.cells[name]

    def stream(self, names: Sequence[str], rows: RowNumbers, max_rows: int) -> Chunks:
        """Yield some rows of some columns, a chunk at a time."""
        for start in range(0, len(rows), max_rows):
            part = rows[start : start + max_rows]
            yield part, [[self.cells[name][row] for row in part.tolist()] for name in names]

    def is_binary(self, name: str) -> bool:
        """Return False: cells of text tables are never bytes."""
        return False

    def null_count(self, name: str) -> int | None:
        """Return None: cells that hold nothing are not counted on reading."""
        return None
