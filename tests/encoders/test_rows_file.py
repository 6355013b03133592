"""Rows written in any order are the array; nothing is mapped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesfuse.encoders.rows_file import RowsFile
from bayesfuse.errors import UserError


@given(order=st.permutations(range(12)), cuts=st.sets(st.integers(1, 11)), width=st.integers(1, 3))
def test_any_order_gives_the_array(order, cuts, width, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "rows.npy"
    values = np.arange(12 * width, dtype=np.float32).reshape(12, width)
    with RowsFile(path, 12, width) as rows:
        for part in np.split(np.array(order), sorted(cuts)):
            rows.write(part, values[part])
    np.testing.assert_array_equal(np.load(path), values)


def test_rows_that_nobody_wrote_are_zero(tmp_path):
    with RowsFile(tmp_path / "rows.npy", 4, 2) as rows:
        rows.write(np.array([1]), np.ones((1, 2), np.float32))
        rows.write(np.zeros(0, np.int64), np.ones((0, 2), np.float32))
    assert np.load(tmp_path / "rows.npy").sum(axis=1).tolist() == [0, 2, 0, 0]


def test_no_items_and_no_folder(tmp_path):
    with RowsFile(tmp_path / "rows.npy", 0, 2):
        pass
    assert np.load(tmp_path / "rows.npy").shape == (0, 2)
    with pytest.raises(UserError, match="Cannot write"):
        RowsFile(tmp_path / "none" / "rows.npy", 1, 1)
