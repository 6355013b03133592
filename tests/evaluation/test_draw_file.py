from __future__ import annotations

import errno

import numpy as np
import pytest

from bayesfuse.errors import StorageError, UserError
from bayesfuse.evaluation.draw_file import DrawFile


@pytest.mark.parametrize("in_memory", [0, 2**20])
def test_what_was_written_is_read_by_draw_by_items_and_by_choice(in_memory: int) -> None:
    values = np.random.default_rng(0).random((4, 11), dtype=np.float32)
    with DrawFile(4, 11, in_memory) as file:
        file.write(values[:, :6], 0)
        file.write(values[:, 6:], 6)
        assert np.array_equal(file.items(0, 99), values)
        assert np.array_equal(file.items(3, 8), values[:, 3:8])
        assert np.array_equal(file.draw(2), values[2])
        assert np.array_equal(file.take(np.array([10, 0, 10])), values[:, [10, 0, 10]])
        file.write_draw(2, values[0])
        assert np.array_equal(file.draw(2), values[0])
        file.draw(0)[:] = 7  # the reader's own
        assert np.array_equal(file.draw(0), values[0])


def test_what_was_never_written_is_0() -> None:
    for in_memory in (0, 2**20):
        with DrawFile(2, 3, in_memory) as file:
            assert np.array_equal(file.items(0, 3), np.zeros((2, 3)))


def test_a_block_that_does_not_fit() -> None:
    with DrawFile(2, 3) as file, pytest.raises(UserError, match="expected 2 draws of at most 3"):
        file.write(np.zeros((2, 2)), 2)
    with DrawFile(2, 3) as file, pytest.raises(UserError, match="Got a block of 3 draws"):
        file.write(np.zeros((3, 2)), 0)


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with DrawFile(2, 3) as file:

        def full(_: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(file._file, "write", full)
        with pytest.raises(StorageError, match="name another folder in TMPDIR"):
            file.write(np.zeros((2, 3)), 0)
