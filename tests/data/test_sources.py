from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.data.sequences import Sequences
from bayesfuse.data.sources import Source

VECTORS = np.arange(20, dtype=np.float16).reshape(10, 2)
STEPS = np.arange(60, dtype=np.float32).reshape(10, 3, 2)
LENGTHS = np.arange(10) % 4


class Watched:
    """An array that notes which rows are read."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.ndim = values, values.shape, values.ndim
        self.dtype = values.dtype
        self.read: list[object] = []

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, key: object) -> np.ndarray:
        rows = key[0] if isinstance(key, tuple) else key
        self.read.append(np.asarray(rows).tolist())
        found: np.ndarray = self.values[key]
        return found


@pytest.mark.parametrize("sequences", [False, True])
def test_rows_are_read_once_and_sorted(sequences: bool) -> None:
    watched = Watched(STEPS if sequences else VECTORS)
    values = Sequences(watched, LENGTHS) if sequences else watched
    source = Source(values).take(np.array([9, 1, 5, 3]))
    found = source.read(np.array([2, 0, 2, 1]))
    assert watched.read == [[1, 5, 9]]
    plain = Source(Sequences(STEPS, LENGTHS) if sequences else VECTORS).read(np.arange(10))
    np.testing.assert_array_equal(found, plain[[5, 9, 5, 1]])


def test_steps_come_in_the_order_asked_for() -> None:
    source = Source(Sequences(STEPS, LENGTHS), np.array([7, 2, 1]))
    steps, used = source.read_steps(np.array([2, 0, 2]))
    assert used.sum(axis=1).tolist() == [1, 3, 1]
    np.testing.assert_array_equal(steps[1], STEPS[7])
    np.testing.assert_array_equal(steps[0], steps[2])
    with pytest.raises(TypeError, match="no steps"):
        Source(VECTORS).read_steps(np.array([0]))


def test_statistics_of_sequences_are_those_of_their_means() -> None:
    sequences = Source(Sequences(STEPS, np.minimum(LENGTHS + 1, 3)))
    rows = np.arange(2, 9)
    means = Source(sequences.read(np.arange(10)))
    np.testing.assert_array_equal(sequences.loc_scale(rows), means.loc_scale(rows))
    loc, scale = sequences.loc_scale(rows)
    np.testing.assert_allclose(loc, means.read(rows).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scale, means.read(rows).std(axis=0), rtol=1e-6)
