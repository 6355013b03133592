"""Sequences of features, `items x steps x features`, of which each item uses its first steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.arrays import StoredArray
from bayesfuse.data.rows import chunks

AnyArray = NDArray[Any]


@dataclass(frozen=True)
class Sequences:
    r"""Steps of features and how many of them each item has; nothing is read until asked for.

    .. math:: \bar x_i = \frac{1}{T_i} \sum_{t=1}^{T_i} x_{it}

    is what is read of an item where one vector is wanted. What is stored beyond the first
    :math:`T_i` steps is never seen by anyone.

    Attributes:
        values: Stored steps, `items x steps x features`.
        lengths: Number of steps, `items`, each 0 to `steps`; all steps count if None.
    """

    values: StoredArray
    lengths: AnyArray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the stored values."""
        return self.values.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions of the stored values."""
        return len(self.values.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The stored dtype."""
        return self.values.dtype

    def __len__(self) -> int:
        """Return the number of items."""
        return self.values.shape[0]

    def num_steps(self) -> NDArray[np.int64]:
        """Return how many steps each item has, `items`."""
        if self.lengths is None:
            return np.full(len(self), self.shape[1], dtype=np.int64)
        return np.asarray(self.lengths).astype(np.int64)

    def where(self, observed: NDArray[np.bool_]) -> Sequences:
        """Return the same with no step wherever `observed`, `items`, is false."""
        return Sequences(self.values, np.where(observed, self.num_steps(), 0))

    def read(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read the steps of these rows, padded with 0 to the longest of them.

        Args:
            rows: Row numbers, increasing.

        Returns:
            Values, `items x steps x features`, and which steps are the item's, `items x steps`.
        """
        lengths = self._lengths_of(rows)
        longest = int(lengths.max(initial=0))
        steps = np.zeros((len(rows), longest, self.shape[2]), dtype=np.float32)
        for at, item in self._each(rows, lengths):
            steps[at, : len(item)] = item
        return steps, np.arange(longest) < lengths[:, None]

    def mean(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Read the mean over each row's steps, `items x features`; 0 where there is no step.

        Every item's steps are added up on their own, in float64, as `numpy.mean` does: its mean is
        the same to the last bit whichever items are read with it, and however they are padded.

        Args:
            rows: Row numbers, increasing.
        """
        means = np.zeros((len(rows), self.shape[2]), dtype=np.float32)
        for at, item in self._each(rows, self._lengths_of(rows)):
            if len(item):
                steps = np.asarray(item, dtype=np.float32, order="C")
                means[at] = steps.mean(axis=0, dtype=np.float64)
        return means

    def _each(
        self, rows: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> Iterator[tuple[int, AnyArray]]:
        """Yield each row's place and its own steps, `steps x features`, as they are stored."""
        if isinstance(self.values, np.ndarray):
            whole = np.asarray(self.values)  # a memory map is slow to slice
            for at, (row, length) in enumerate(zip(rows.tolist(), lengths.tolist(), strict=True)):
                yield at, whole[row, :length]
            return
        for part in chunks(len(rows), self.shape[1] * self.shape[2]):
            block = self.values[rows[part], : int(lengths[part].max())]
            for at, item in enumerate(block, start=part.start):
                yield at, item[: lengths[at]]

    def _lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.lengths is None:
            return np.full(len(rows), self.shape[1], dtype=np.int64)
        return np.asarray(self.lengths[rows], dtype=np.int64)


def as_sequences(values: StoredArray | Sequences, lengths: AnyArray | None = None) -> Sequences:
    """Return values, `items x steps x features`, as sequences of these lengths.

    Lengths that the values bring with them, as those of ragged lists, stay if none are given.
    """
    if isinstance(values, Sequences):
        return values if lengths is None else Sequences(values.values, lengths)
    return Sequences(values, lengths)


@dataclass(frozen=True)
class Ragged:
    """Steps of all items in one array, which padding would blow up; read like a padded array.

    Attributes:
        flat: The steps, `steps of all items x features`; an item's own follow on one another.
        starts: Where each item's steps start, `items`.
        lengths: How many steps each item has, `items`.
    """

    flat: AnyArray
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, flat: AnyArray, lengths: NDArray[np.int64]) -> Ragged:
        """Return the steps of items that have so many each, one item after the other.

        Example:
            >>> Ragged.of(np.array([[1.0], [2.0], [3.0]]), np.array([2, 0, 1]))[:].tolist()
            [[[1.0], [2.0]], [[0.0], [0.0]], [[3.0], [0.0]]]
        """
        lengths = np.asarray(lengths, dtype=np.int64)
        return cls(flat, np.cumsum(lengths) - lengths, lengths)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape that the array has when it is padded to the longest item."""
        return len(self), int(self.lengths.max(initial=0)), self.flat.shape[1]

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """The stored dtype."""
        return self.flat.dtype

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.starts)

    def __getitem__(self, key: Any) -> AnyArray:
        """Return the steps of these rows, or of `rows, steps`, padded with 0."""
        rows, steps = key if isinstance(key, tuple) else (key, slice(None))
        starts, lengths = self.starts[rows], self.lengths[rows]
        wanted = np.arange(self.shape[1])[steps]
        used = wanted < lengths[:, None]
        padded = np.zeros((*used.shape, self.flat.shape[1]), dtype=self.flat.dtype)
        padded[used] = self.flat[(starts[:, None] + wanted)[used]]
        return padded

    def take(self, rows: NDArray[np.int64]) -> Ragged:
        """Return these items, without copying any step."""
        return Ragged(self.flat, self.starts[rows], self.lengths[rows])

    def steps(self) -> AnyArray:
        """Return the steps of all items, one item after the other, `steps x features`.

        Example:
            >>> Ragged.of(np.array([[1], [2], [3]]), np.array([2, 1])).take([1, 0]).steps().tolist()
            [[3], [1], [2]]
        """
        within = np.arange(self.lengths.sum()) - np.repeat(
            np.cumsum(self.lengths) - self.lengths, self.lengths
        )
        found: AnyArray = self.flat[np.repeat(self.starts, self.lengths) + within]
        return found
