"""An array on disk that grows: the steps of items in any order, and where each item's own are."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.sequences import Ragged
from bayesfuse.encoders.base import Encoder
from bayesfuse.errors import write_error

_HEADER = 128


class StepsFile:
    """A `.npy` file of float16 steps, `steps x features`, in the order in which items come.

    Args:
        path: The file to make.
        num_rows: Number of items.
        width: Numbers of a step.

    Attributes:
        starts: Where the steps of each item start, `items`.
        lengths: How many steps each item has, `items`; 0 where nothing was written.

    Raises:
        StorageError: If it cannot be made.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "steps.npy"
        >>> with StepsFile(path, 3, 1) as steps:
        ...     found = Ragged.of(np.array([[1], [2], [3]], dtype=np.float16), np.array([2, 1]))
        ...     steps.write(np.array([2, 0]), found)
        >>> np.load(path).ravel().tolist(), steps.starts.tolist(), steps.lengths.tolist()
        ([1.0, 2.0, 3.0], [2, 0, 0], [1, 0, 2])
    """

    def __init__(self, path: Path, num_rows: int, width: int) -> None:
        self.path, self._width, self._count = path, width, 0
        self.starts = np.zeros(num_rows, dtype=np.int64)
        self.lengths = np.zeros(num_rows, dtype=np.int64)
        try:
            self._file = path.open("wb")
            self._file.write(self._header())
        except OSError as error:
            raise write_error(path, error, "Make room, or choose another folder.") from error

    def write(self, rows: NDArray[np.int64], values: Ragged) -> None:
        """Write the steps of these rows.

        Raises:
            StorageError: If the disk is full.
        """
        self.lengths[rows] = values.lengths
        self.starts[rows] = self._count + np.cumsum(values.lengths) - values.lengths
        self._count += int(values.lengths.sum())
        try:
            self._file.write(np.ascontiguousarray(values.steps(), dtype="<f2").tobytes())
        except OSError as error:
            raise write_error(self.path, error, "Make room, or choose another folder.") from error

    def _header(self) -> bytes:
        """Return the header for as many steps as there are, of one length whatever their number."""
        shape = f"({self._count}, {self._width})"
        told = f"{{'descr': '<f2', 'fortran_order': False, 'shape': {shape}, }}"
        start = b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little")
        return start + told.ljust(_HEADER - 11).encode("latin1") + b"\n"

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file, synced to the disk if all went well."""
        try:
            if kind is None:
                self._file.seek(0)
                self._file.write(self._header())
                self._file.flush()
                os.fsync(self._file.fileno())
            self._file.close()
        except OSError as failed:
            raise write_error(self.path, failed, "Make room, or choose another folder.") from failed


def disk_of_steps(modality: str, encoder: Encoder, num_items: int) -> str:
    """Return a sentence on how much room the sequences of so many items take at most.

    Args:
        modality: What is encoded.
        encoder: A fitted encoder that has `steps`.
        num_items: Number of items.
    """
    assert encoder.steps is not None
    an_item = 2 * encoder.steps * encoder.width
    less = {
        "text": "; texts that are shorter take less, and --max-length says how long they may be",
        "image": "; --image-grid averages the places of a picture into fewer",
    }
    return (
        f"{modality}: sequences of at most {encoder.steps:,} steps x {encoder.width:,} features in "
        f"float16 take up to {_size(an_item)} an item, {_size(an_item * num_items)} for "
        f"{num_items:,} items, once in features.npz and once in the cache"
        f"{less.get(encoder.kind, '')}."
    )


def _size(count: int) -> str:
    """Return a number of bytes as it is read."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
