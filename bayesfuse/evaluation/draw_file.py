"""Draws of one number an item, on disk when they are many: read a draw or some items at a time."""

from __future__ import annotations

import tempfile
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bayesfuse.errors import BayesfuseError, UserError, write_error

IN_MEMORY = 64 * 2**20
"""Bytes up to which nothing is written to disk."""


class DrawFile:
    """An array `draws x items` of float32 in a temporary file; in memory while it is small.

    Memory is that of what is read or written at once, whatever the number of items. The file goes
    where temporary files go (`TMPDIR`), and is gone when closed.

    Args:
        num_draws: Number of draws.
        num_items: Number of items.
        in_memory: Bytes up to which it stays in memory.

    Example:
        >>> with DrawFile(2, 3) as scores:
        ...     scores.write(np.array([[0.1, 0.2], [0.3, 0.4]]), 1)
        ...     scores.items(0, 3).tolist()[0][0], scores.draw(1)[2:]
        (0.0, array([0.4], dtype=float32))
    """

    def __init__(self, num_draws: int, num_items: int, in_memory: int = IN_MEMORY) -> None:
        self.num_draws, self.num_items = num_draws, num_items
        size = 4 * num_draws * num_items
        self._file = tempfile.SpooledTemporaryFile()  # noqa: SIM115 - see `close`
        try:
            if size > in_memory:
                self._file.rollover()
                self._file.truncate(size)
            else:
                self._file.write(bytes(size))  # memory does not grow by `truncate`
        except OSError as error:
            raise _no_room(error) from error

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Forget everything, on disk too."""
        self._file.close()

    def write(self, block: NDArray[np.floating], start: int) -> None:
        """Write the draws of the items from `start` on, `draws x items`.

        Raises:
            StorageError: If the disk is full.
            UserError: If the block has another number of draws, or items beyond the last.
        """
        draws, items = block.shape
        if draws != self.num_draws or start + items > self.num_items:
            raise UserError(
                f"Got a block of {draws} draws of items {start} to {start + items}; expected "
                f"{self.num_draws} draws of at most {self.num_items} items."
            )
        for draw, row in enumerate(np.ascontiguousarray(block, np.float32)):
            self._write(4 * (draw * self.num_items + start), row)

    def write_draw(self, draw: int, row: NDArray[np.floating]) -> None:
        """Write one draw of all items, `items`."""
        self._write(4 * draw * self.num_items, np.ascontiguousarray(row, np.float32))

    def draw(self, draw: int) -> NDArray[np.float32]:
        """Return one draw of all items, `items`."""
        return self._read(draw, 0, self.num_items)

    def items(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return all draws of the items from `start` to before `stop`, `draws x items`."""
        stop = min(stop, self.num_items)
        return np.stack([self._read(draw, start, stop) for draw in range(self.num_draws)])

    def take(self, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return all draws of some items, in their order, `draws x items`."""
        return np.stack([self.draw(draw)[items] for draw in range(self.num_draws)])

    def _read(self, draw: int, start: int, stop: int) -> NDArray[np.float32]:
        self._file.seek(4 * (draw * self.num_items + start))
        # a buffer of bytes that can be written to, as arrays are
        data = bytearray(self._file.read(4 * (stop - start)))
        return np.frombuffer(data, np.float32)

    def _write(self, place: int, row: NDArray[np.float32]) -> None:
        try:
            self._file.seek(place)
            self._file.write(row.tobytes())
            self._file.flush()
        except OSError as error:
            raise _no_room(error) from error


def _no_room(error: OSError) -> BayesfuseError:
    advice = "Make room where temporary files go, or name another folder in TMPDIR."
    return write_error("draws to a temporary file", error, advice)
