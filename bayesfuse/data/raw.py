"""Raw cells of a modality: texts, image bytes, paths of images or rows of a table, read late."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.rows import Rows, as_rows
from bayesfuse.data.table_cells import ColumnKind
from bayesfuse.data.table_columns import Cell, RowNumbers
from bayesfuse.data.tables import is_blank

RawKind = Literal["text", "bytes", "path", "table"]
Row = Mapping[str, str | int | float | bool | None]
RawCell = str | bytes | Row | None


class CellSource(Protocol):
    """Where a column's raw cells are stored, in an order of its own."""

    def read(self) -> Sequence[RawCell]:
        """Return all cells."""

    def stream(
        self, rows: RowNumbers, max_cells: int
    ) -> Iterator[tuple[RowNumbers, Sequence[RawCell]]]:
        """Yield the cells of these rows, which increase, and hold no more than a chunk."""


class RawColumn(Sequence[RawCell]):
    """One modality's raw cells, in the items' order; None where an item has none.

    Nothing is read until a cell is asked for; then the column is read once and kept. `stream` reads
    it too, and keeps nothing.

    Attributes:
        name: The modality.
        kind: `text`, `bytes` (an encoded image), `path` (of an image file, as a str) or `table`
            (a mapping of column to value).
        observed: Where there is a cell, as far as can be told without reading, `items`.
        columns: Column -> `number` or `category`, of a table; empty for the other kinds.

    Args:
        name: The modality.
        kind: What the cells are.
        observed: Where there is a cell, `items`.
        source: The cells as they are stored, or a function that returns all of them.
        folder: Where the paths are relative to that a function returns.
        order: Each item's row in the source, -1 where it has none; its own row if None.
        columns: What the columns of a table are.

    Example:
        >>> texts = RawColumn("text", "text", np.array([True, False]), lambda: ["a plot", " "])
        >>> list(texts), texts.take([1, 0])[1]
        (['a plot', None], 'a plot')
    """

    def __init__(
        self,
        name: str,
        kind: RawKind,
        observed: NDArray[np.bool_],
        source: CellSource | Callable[[], Sequence[Cell]] | _Kept,
        folder: Path | None = None,
        *,
        order: RowNumbers | None = None,
        columns: Mapping[str, ColumnKind] | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.observed = observed
        self.columns = dict(columns or {})
        self._kept = source if isinstance(source, _Kept) else _Kept(source, folder)
        self._order = np.arange(len(observed)) if order is None else order

    def __repr__(self) -> str:
        """Return the name, the kind and the number of cells."""
        return f"RawColumn({self.name!r}, {self.kind!r}, {len(self)} items)"

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.observed)

    def __iter__(self) -> Iterator[RawCell]:
        """Go through the cells in the items' order."""
        return iter(self.cells)

    @overload
    def __getitem__(self, place: int) -> RawCell: ...

    @overload
    def __getitem__(self, place: slice) -> list[RawCell]: ...

    def __getitem__(self, place: int | slice) -> RawCell | list[RawCell]:
        """Return a cell, or a list of cells."""
        return self.cells[place]

    @cached_property
    def cells(self) -> list[RawCell]:
        """All cells, `items`; read on the first use."""
        cells = self._kept.cells
        return [cells[row] if row >= 0 else None for row in self._order.tolist()]

    def stream(self, max_cells: int = 2048) -> Iterator[tuple[NDArray[np.int64], list[RawCell]]]:
        """Go through the cells in the order in which they are stored, each item once.

        Parquet is read chunk by chunk, and nothing is kept; CSV and JSON lines are read once, as
        elsewhere.

        Args:
            max_cells: The most cells of a chunk, at least 1.

        Yields:
            Items' rows, and their cells.

        Raises:
            CatalogError: If the file cannot be read, or is another one by now.
        """
        if max_cells < 1:
            raise ValueError(f"max_cells is {max_cells}; expected 1 or more.")
        items = np.argsort(self._order, kind="stable")
        rows = self._order[items]
        absent, items, rows = items[rows < 0], items[rows >= 0], rows[rows >= 0]
        for start in range(0, len(absent), max_cells):
            part = absent[start : start + max_cells]
            yield part, [None] * len(part)
        for found, cells in self._kept.stream(np.unique(rows), max_cells):
            first, last = np.searchsorted(rows, [found[0], found[-1] + 1]).tolist()
            # Several items may be of one row.
            for start in range(first, last, max_cells):
                some = slice(start, min(start + max_cells, last))
                places = np.searchsorted(found, rows[some]).tolist()
                yield items[some], [cells[place] for place in places]

    def take(self, rows: Rows) -> RawColumn:
        """Return the column of these rows, in this order; it reads when this one would.

        Args:
            rows: Row numbers, a bool mask over the items, or a slice.

        Returns:
            A column over the same cells.
        """
        index = as_rows(rows, len(self))
        return RawColumn(
            self.name,
            self.kind,
            self.observed[index],
            self._kept,
            order=self._order[index],
            columns=self.columns,
        )


class _Kept:
    """A source whose cells are kept once all have been read; columns over it share them."""

    def __init__(
        self, source: CellSource | Callable[[], Sequence[Cell]], folder: Path | None
    ) -> None:
        self._source = source
        self._folder = folder

    @cached_property
    def cells(self) -> Sequence[RawCell]:
        if callable(self._source):
            return [as_raw(cell, self._folder) for cell in self._source()]
        return self._source.read()

    def stream(
        self, rows: RowNumbers, max_cells: int
    ) -> Iterator[tuple[RowNumbers, Sequence[RawCell]]]:
        if callable(self._source) or "cells" in vars(self):
            for start in range(0, len(rows), max_cells):
                part = rows[start : start + max_cells]
                yield part, [self.cells[row] for row in part.tolist()]
        else:
            yield from self._source.stream(rows, max_cells)


def as_raw(cell: Cell, folder: Path | None = None) -> RawCell:
    """Return a cell of a file as a raw cell: None if it is blank.

    Args:
        cell: The cell.
        folder: Where it is relative to, if it is a path.

    Example:
        >>> as_raw(" "), as_raw("a plot")
        (None, 'a plot')
    """
    if is_blank(cell):
        return None
    if isinstance(cell, bytes | Mapping):
        return cell
    # An absolute path stays as it is.
    return str(folder / str(cell)) if folder is not None else str(cell)
