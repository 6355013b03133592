"""Parquet columns of lists of numbers, or of lists of lists, read as one array of features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bayesfuse.data.sequences import Ragged, Sequences
from bayesfuse.data.tables import open_table, parquet_batches, parquet_schema, table_suffix
from bayesfuse.errors import CatalogError

AnyArray = NDArray[Any]


def read_list_column(
    path: Path, name: str
) -> tuple[AnyArray, NDArray[np.bool_]] | tuple[Sequences, NDArray[np.bool_]]:
    """Read a Parquet column of lists of numbers, or of lists of such lists, as one array.

    Args:
        path: A Parquet file.
        name: A column whose innermost lists all have the same length. Lists of lists are steps;
            each item may have another number of them.

    Returns:
        Values, `items x features` or `items x steps x features`, in the stored dtype, and where
        there was a list, `items`.

    Raises:
        CatalogError: If the file, the column or its lists do not fit.
    """
    table = open_table(path)
    if table_suffix(path) != ".parquet" and not path.is_dir():
        raise CatalogError(
            path, [f"{path}: a column of features has to be in a .parquet file; write it there."]
        )
    table.require(name, "features")
    kind = parquet_schema(table).field(name).type
    depth, numbers = 0, kind
    while _is_list(numbers):
        depth, numbers = depth + 1, numbers.value_type
    if depth not in (1, 2):
        raise CatalogError(
            path,
            [
                f'{path}: column "{name}" holds {kind}; expected lists of numbers (features), or '
                "lists of such lists (steps x features)."
            ],
        )
    valid = [np.zeros(0, np.bool_)]
    num_steps, widths = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    flat: list[AnyArray] = []
    for cells in parquet_batches(table, name):
        valid.append(np.asarray(cells.is_valid()))
        if depth == 2:
            num_steps.append(np.where(valid[-1], _lengths(cells), 0))
            cells = _steps(path, name, cells, sum(map(len, valid[:-1])), num_steps[-1])
        present = cells.drop_null()
        widths.append(_lengths(present))
        flat.append(present.flatten().to_numpy(zero_copy_only=False))
    observed = np.concatenate(valid)
    found = np.unique(np.concatenate(widths))
    if len(found) > 1:
        steps = "" if depth == 2 else " A sequence is a list of steps, each a list of features."
        raise CatalogError(
            path,
            [
                f'{path}: the lists of column "{name}" differ in length ({found[0]} to '
                f"{found[-1]}); every {'step' if depth == 2 else 'item'} needs as many features."
                f"{steps}"
            ],
        )
    width = int(found[0]) if len(found) else 0
    whole = flat[0] if len(flat) == 1 else np.concatenate(flat or [np.zeros(0, np.float32)])
    rows = whole.reshape(sum(map(len, widths)), width)
    if depth == 2:
        ragged = Ragged.of(rows, np.concatenate(num_steps))
        return Sequences(ragged, ragged.lengths), observed
    if observed.all():
        return rows, observed
    values = np.zeros((len(observed), width), dtype=rows.dtype)
    values[observed] = rows
    return values, observed


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _lengths(cells: pa.Array) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.list_value_length(cells), 0)).astype(np.int64)


def _steps(
    path: Path, name: str, cells: pa.Array, first_row: int, num_steps: NDArray[np.int64]
) -> pa.Array:
    """Return the steps of all items, one after the other."""
    steps = cells.drop_null().flatten()
    if steps.null_count:
        step = int(np.argmin(np.asarray(steps.is_valid())))
        row = first_row + int(np.searchsorted(np.cumsum(num_steps), step, side="right"))
        raise CatalogError(
            path,
            [
                f'{path}: a step of column "{name}" is null (first: row {row}, counted from 0); '
                "leave such steps out of the list, or give their features."
            ],
        )
    return steps
