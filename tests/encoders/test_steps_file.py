"""Steps are written as they come, and found again by item."""

from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.data.sequences import Ragged
from bayesfuse.encoders.base import Encoder
from bayesfuse.encoders.steps_file import StepsFile, disk_of_steps
from bayesfuse.errors import UserError


class Steps(Encoder):
    """An encoder of which only the sizes count."""

    name, kind, width, steps = "steps", "text", 384, 256

    def fit(self, cells):
        return self

    def encode(self, cells):
        raise NotImplementedError

    def state(self):
        return {}, {}

    @classmethod
    def from_state(cls, config, arrays):
        return cls()


def test_items_in_any_order_are_read_back(tmp_path):
    rng = np.random.default_rng(0)
    lengths = np.array([3, 0, 1, 5, 2, 4])
    flat = rng.normal(size=(lengths.sum(), 3)).astype(np.float16)
    whole = Ragged.of(flat, lengths)
    with StepsFile(tmp_path / "s.npy", 6, 3) as steps:
        for rows in ([4, 2], [0, 5], [3]):
            steps.write(np.array(rows), whole.take(np.array(rows)))
    stored = np.load(tmp_path / "s.npy", mmap_mode="r")
    assert stored.shape == (15, 3)
    found = Ragged(stored, steps.starts, steps.lengths)
    np.testing.assert_array_equal(found[:], whole[:])
    assert stored.offset == 128


def test_no_item_is_an_array_of_no_steps(tmp_path):
    with StepsFile(tmp_path / "s.npy", 2, 3) as steps:
        pass
    assert np.load(tmp_path / "s.npy").shape == (0, 3)
    assert steps.lengths.tolist() == [0, 0]


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(UserError, match="Make room"):
        StepsFile(tmp_path / "none" / "s.npy", 1, 1)


def test_room_is_told_before_it_is_taken():
    told = disk_of_steps("text", Steps(), 8619)
    assert "at most 256 steps x 384 features in float16" in told
    assert "197 kB an item, 1.7 GB for 8,619 items" in told
    assert "--max-length" in told
