"""One modality's values: where they are stored, and which of the stored rows are the items."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.arrays import StoredArray
from bayesfuse.data.rows import chunks
from bayesfuse.data.sequences import Sequences


@dataclass(frozen=True)
class Source:
    """Values, often on disk, and which of their rows are the items.

    Attributes:
        values: `rows x features`, or sequences, `rows x steps x features`.
        index: The row of each item; all rows, in order, if None.
        by_step: Whether sequences are read step by step, in place of their means.
    """

    values: StoredArray | Sequences
    index: NDArray[np.int64] | None = None
    by_step: bool = False

    @property
    def numbers(self) -> int:
        """How many numbers are read of an item, at most."""
        steps = self.values.shape[1] if self.by_step else 1
        return max(1, steps) * int(self.values.shape[-1])

    @property
    def nothing(self) -> float:
        """What stands for each number of what was not observed."""
        return np.nan if self.by_step else 0.0

    def take(self, rows: NDArray[np.int64]) -> Source:
        """Return the source of these items, without reading any value."""
        return replace(self, index=rows if self.index is None else self.index[rows])

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Read a vector an item, `items x features`: of a sequence, the mean over its steps.

        By step, read `items x steps x features`, with NaN in the steps that an item does not have;
        as many as the longest of these items has, and one at least.
        """
        if self.by_step:
            steps, used = self.read_steps(rows)
            if not steps.shape[1]:
                return np.full((len(rows), 1, steps.shape[2]), np.nan, dtype=np.float32)
            steps[~used] = np.nan
            return steps
        # Sorted, unrepeated access walks a memory map once, forwards.
        unique, back = self._stored(rows)
        if isinstance(self.values, Sequences):
            return self.values.mean(unique)[back]
        return np.asarray(self.values[unique], dtype=np.float32)[back]

    def read_steps(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read the steps of each item and which are its own; see `Sequences.read`.

        Raises:
            TypeError: If the values are no sequences.
        """
        if not isinstance(self.values, Sequences):
            raise TypeError("the values are vectors, which have no steps")
        unique, back = self._stored(rows)
        steps, used = self.values.read(unique)
        return steps[back], used[back]

    def loc_scale(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the mean and the standard deviation over these items, each `features`.

        Over all their steps if sequences are read by step. In chunks, in float64; a constant
        feature, or one of no items, gets scale 1.
        """
        width = self.values.shape[-1]
        loc, spread = np.zeros(width), np.zeros(width)
        count = 0
        for part in chunks(len(rows), self.numbers):
            values = self.read(rows[part])
            if self.by_step:
                values = values[~np.isnan(values[:, :, 0])]
            added = len(values)
            if not added:
                continue
            mean = values.mean(axis=0, dtype=np.float64)
            shift = mean - loc
            # Chan, Golub and LeVeque 1979: sums of squares of two parts, about their common mean.
            spread += np.square(values - mean).sum(axis=0)
            spread += np.square(shift) * (count * added / (count + added))
            loc += shift * (added / (count + added))
            count += added
        scale = np.sqrt(spread / max(count, 1)).astype(np.float32)
        # A chunk of equal float32 values has an exact mean in float64: theirs is exactly 0.
        constant = scale < np.finfo(np.float32).tiny
        return loc.astype(np.float32), np.where(constant, np.float32(1.0), scale)

    def _stored(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the stored rows of these items, each once and sorted, and how to undo that."""
        wanted = rows if self.index is None else self.index[rows]
        unique, back = np.unique(wanted, return_inverse=True)
        return unique, back
