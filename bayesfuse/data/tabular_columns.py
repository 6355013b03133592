"""Columns of a table, read together as the rows of a tabular modality."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.catalog_file import split_reference
from bayesfuse.data.findings import Findings
from bayesfuse.data.raw import RawColumn, Row
from bayesfuse.data.table_cells import ColumnKind, as_number, column_kind, is_table_cell
from bayesfuse.data.table_columns import Cell, RowNumbers
from bayesfuse.data.tables import TABLE_SUFFIXES, Table, is_blank


def read_columns(
    modality: str,
    table: Table,
    names: Sequence[str],
    categories: Sequence[str],
    findings: Findings,
) -> RawColumn | None:
    """Read which columns are numbers and which items have a cell; the cells are read when asked.

    A column whose cells are all numbers or dates is one of numbers; in a CSV, where every cell is
    text, also one whose cells all read as numbers. A date is its year and the part that has passed.
    Any other column is one of categories.

    Args:
        modality: The modality.
        table: The catalogue's table.
        names: The columns.
        categories: Those of them whose numbers are names.
        findings: Where problems and warnings go.

    Returns:
        Rows, each a mapping of column to cell as the file has it (a CSV's numbers stay text; see
        `as_number`), None where all its cells are blank; or None if there are problems.
    """
    num_problems = len(findings.problems)
    kinds: dict[str, ColumnKind] = {}
    observed = np.zeros(table.num_rows, dtype=np.bool_)
    for name in names:
        with findings.gathering():
            if name not in table.names and split_reference(name, TABLE_SUFFIXES):
                findings.problem(
                    f'modalities.{modality}: "{name}" names another file; columns are those of '
                    f"{table.path}. Add that file's column to it."
                )
                continue
            table.require(name, f"modalities.{modality}")
            read = _Column(modality, table, name, findings)
            if not read.is_refused():
                kinds[name] = "category" if name in categories else read.kind()
                observed |= read.present(kinds[name])
    if len(findings.problems) > num_problems:
        return None
    return RawColumn(modality, "table", observed, TableRows(table, kinds), columns=kinds)


@dataclass(frozen=True)
class TableRows:
    """Columns' cells as rows, in the order of the file.

    Attributes:
        table: The table.
        kinds: Column -> what its cells are.
    """

    table: Table
    kinds: Mapping[str, ColumnKind]

    def read(self) -> list[Row | None]:
        """Read all rows."""
        columns = [self.table.column(name) for name in self.kinds]
        return [self._row(cells) for cells in zip(*columns, strict=True)]

    def stream(
        self, rows: RowNumbers, max_cells: int
    ) -> Iterator[tuple[RowNumbers, list[Row | None]]]:
        """Read these rows, a chunk at a time; see `Table.stream`."""
        for found, columns in self.table.stream(list(self.kinds), rows, max_cells):
            yield found, [self._row(cells) for cells in zip(*columns, strict=True)]

    def _row(self, cells: Sequence[Cell]) -> Row | None:
        pairs = zip(self.kinds.items(), cells, strict=True)
        row = {name: _plain(cell, kind) for (name, kind), cell in pairs}
        return row if any(cell is not None for cell in row.values()) else None


class _Column:
    """The cells of one column, while they are looked at."""

    def __init__(self, modality: str, table: Table, name: str, findings: Findings) -> None:
        self.what = f'{modality}: column "{name}" of {table.path}'
        self.name = name
        self.findings = findings
        self.is_csv = table.is_csv
        self.is_binary = table.is_binary(name)
        self.cells = [] if self.is_binary else table.column(name)

    def is_refused(self) -> bool:
        """Say what is wrong if there are cells that are neither numbers nor names."""
        odd = next((cell for cell in self.cells if not is_table_cell(cell)), None)
        if odd is None and not self.is_binary:
            return False
        got = "bytes" if self.is_binary else type(odd).__name__
        self.findings.problem(
            f"{self.what} holds {got}; expected numbers, dates or names, one a cell. Leave it out, "
            "or make a modality or a feature of its own of it."
        )
        return True

    def kind(self) -> ColumnKind:
        """Return what the cells are, and warn where most but not all are numbers."""
        kind = column_kind(self.cells, from_text=self.is_csv)
        if kind == "number":
            return kind
        num_numbers, others = 0, []
        for row, cell in enumerate(self.cells):
            number = as_number(cell, from_text=self.is_csv)
            if number is None and not is_blank(cell):
                others.append((row, cell))
            num_numbers += number is not None and math.isfinite(number)
        if num_numbers > len(others):
            row, cell = others[0]
            self.findings.warn(
                f"{self.what} counts as categories: {num_numbers:,} cells are numbers, but "
                f"{len(others):,} are not (first: {str(cell)[:40]!r} in row {row}, counted from "
                "0). Leave a cell empty where its number is unknown; if names are meant, list the "
                "column in categories."
            )
        return kind

    def present(self, kind: ColumnKind) -> NDArray[np.bool_]:
        """Return which cells are not blank, and warn of those that are no finite number."""
        num_lost = sum(_is_not_finite(cell, kind) for cell in self.cells)
        if num_lost:
            self.findings.warn(
                f"{self.what}: {num_lost:,} cells are NaN or infinite; they count as blank."
            )
        plain = (_plain(cell, kind) is not None for cell in self.cells)
        return np.fromiter(plain, np.bool_, len(self.cells))


def _is_not_finite(cell: Cell, kind: ColumnKind) -> bool:
    if kind == "category" and isinstance(cell, str):
        return False
    number = as_number(cell)
    return number is not None and not math.isfinite(number)


def _plain(cell: Cell, kind: ColumnKind) -> str | int | float | bool | None:
    """Return a cell as plain Python has it; None if it is blank, or no finite number."""
    if is_blank(cell) or _is_not_finite(cell, kind):
        return None
    if isinstance(cell, str | bool | int | float):
        return cell
    if kind == "category":
        return cell.isoformat() if isinstance(cell, date) else str(cell)
    return as_number(cell)
