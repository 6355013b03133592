"""Row numbers: every way of naming some of the items, made one; chunks of rows, and runs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rows = ArrayLike | slice

# Values read at a time where a whole array has to be looked at: 16 MiB of float32.
CHUNK_VALUES = 1 << 22


def chunks(num_rows: int, width: int) -> Iterator[slice]:
    """Yield slices of rows that hold about `CHUNK_VALUES` values each.

    Example:
        >>> [(part.start, part.stop) for part in chunks(5, CHUNK_VALUES // 2)]
        [(0, 2), (2, 4), (4, 5)]
    """
    step = max(1, CHUNK_VALUES // max(1, width))
    for start in range(0, num_rows, step):
        yield slice(start, min(start + step, num_rows))


def runs(rows: NDArray[np.int64], block: int = 1) -> Iterator[slice]:
    """Yield slices of increasing row numbers that are worth one read each.

    Args:
        rows: Row numbers, increasing.
        block: The number of rows that are stored together. Rows of one block make a run; with
            `block` 1, rows that follow on one another do.

    Example:
        >>> [rows[part].tolist() for rows in [np.array([0, 3, 4, 5])] for part in runs(rows)]
        [[0], [3, 4, 5]]
        >>> [rows[part].tolist() for rows in [np.array([0, 3, 4, 5])] for part in runs(rows, 4)]
        [[0, 3], [4, 5]]
    """
    run_of = rows // block if block > 1 else rows - np.arange(len(rows))
    cuts = [0, *(np.flatnonzero(np.diff(run_of)) + 1).tolist(), len(rows)]
    for start, stop in pairwise(cuts):
        if stop > start:
            yield slice(start, stop)


def is_mask(array: NDArray[Any]) -> bool:
    """Return whether an array holds bools."""
    return array.dtype.kind == "b"


def as_rows(rows: Rows, num_items: int) -> NDArray[np.int64]:
    """Return row numbers from 0 for row numbers, a bool mask or a slice.

    Args:
        rows: Row numbers (negative ones count from the end), a bool mask, or a slice.
        num_items: The number of items.

    Returns:
        Row numbers, each at least 0 and less than `num_items`.

    Raises:
        IndexError: If a row is out of range, or a mask has another length.
        TypeError: If `rows` are not whole numbers or bools.

    Example:
        >>> as_rows([-1, 0], 3).tolist()
        [2, 0]
    """
    if isinstance(rows, slice):
        return np.arange(num_items, dtype=np.int64)[rows]
    given = np.asarray(rows)
    if given.ndim != 1:
        raise IndexError(f"rows: expected one dimension, got shape {given.shape}.")
    if is_mask(given):
        if len(given) != num_items:
            raise IndexError(f"rows: a mask of {len(given)} for {num_items} items.")
        return np.flatnonzero(given).astype(np.int64)
    if given.size == 0:
        return np.empty(0, dtype=np.int64)
    if given.dtype.kind not in "iu":
        raise TypeError(f"rows: expected whole numbers or a bool mask, got {given.dtype}.")
    index = given.astype(np.int64)
    outside = (index < -num_items) | (index >= num_items)
    if outside.any():
        raise IndexError(f"rows: {index[outside][0]} is out of range for {num_items} items.")
    return np.where(index < 0, index + num_items, index)
