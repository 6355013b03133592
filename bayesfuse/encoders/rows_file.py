"""An array on disk that is filled row by row in any order, and never mapped into memory."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bayesfuse.errors import write_error


class RowsFile:
    """A `.npy` file of float32 rows, 0 where nothing was written.

    Args:
        path: The file to make.
        num_rows: Its rows.
        width: Numbers of a row.

    Raises:
        StorageError: If it cannot be made.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "rows.npy"
        >>> with RowsFile(path, 3, 2) as rows:
        ...     rows.write(np.array([2, 0]), np.array([[5.0, 6.0], [1.0, 2.0]], dtype=np.float32))
        >>> np.load(path).tolist()
        [[1.0, 2.0], [0.0, 0.0], [5.0, 6.0]]
    """

    def __init__(self, path: Path, num_rows: int, width: int) -> None:
        self.path, self._row_bytes = path, 4 * width
        header = {"descr": "<f4", "fortran_order": False, "shape": (num_rows, width)}
        try:
            self._file = path.open("wb")
            np.lib.format.write_array_header_1_0(self._file, header)
            self._start = self._file.tell()
            self._file.truncate(self._start + num_rows * self._row_bytes)
        except OSError as error:
            raise write_error(path, error, "Make room, or choose another folder.") from error

    def write(self, rows: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Write these rows, `items x width`, at these places.

        Raises:
            StorageError: If the disk is full.
        """
        if not len(rows):
            return
        order = np.argsort(rows, kind="stable")
        rows, values = rows[order], np.ascontiguousarray(values[order], dtype="<f4")
        runs = np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1)
        try:
            for run in runs:
                self._file.seek(self._start + int(rows[run[0]]) * self._row_bytes)
                self._file.write(values[run[0] : run[-1] + 1].tobytes())
        except OSError as error:
            raise write_error(self.path, error, "Make room, or choose another folder.") from error

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
                self._file.flush()
                os.fsync(self._file.fileno())
            self._file.close()
        except OSError as failed:
            raise write_error(self.path, failed, "Make room, or choose another folder.") from failed
