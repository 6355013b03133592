"""Raw cells of a modality (texts, image bytes, paths of images), read when an encoder asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.rows import Rows, as_rows
from bayesfuse.data.tables import is_blank
from bayesfuse.data.text_tables import Cell

RawKind = Literal["text", "bytes", "path"]
RawCell = str | bytes | None


class RawColumn(Sequence[RawCell]):
    """One modality's raw cells, in the items' order; None where an item has none.

    Nothing is read until a cell is asked for; then the column is read once and kept.

    Attributes:
        name: The modality.
        kind: `text`, `bytes` (an encoded image) or `path` (of an image file, as a str).
        observed: Where there is a cell, as far as can be told without reading, `items`.

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
        load: Callable[[], Sequence[Cell]],
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.observed = observed
        self._load = load
        self._folder = folder

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
        return [self._cell(cell) for cell in self._load()]

    def take(self, rows: Rows) -> RawColumn:
        """Return the column of these rows, in this order; it reads when this one would.

        Args:
            rows: Row numbers, a bool mask over the items, or a slice.

        Returns:
            A column over the same cells.
        """
        index = as_rows(rows, len(self))
        taken = [int(row) for row in index]
        return RawColumn(
            self.name, self.kind, self.observed[index], lambda: [self.cells[row] for row in taken]
        )

    def _cell(self, cell: Cell) -> RawCell:
        if is_blank(cell):
            return None
        if isinstance(cell, bytes):
            return cell
        text = str(cell)
        # An absolute path stays as it is.
        return str(self._folder / text) if self.kind == "path" and self._folder else text
