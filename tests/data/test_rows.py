from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesfuse.data.rows import CHUNK_VALUES, as_rows, chunks, runs


@given(st.lists(st.integers(-4, 3), max_size=6))
def test_row_numbers_mean_what_numpy_means(rows: list[int]) -> None:
    items = np.arange(10, 14)
    assert items[as_rows(rows, 4)].tolist() == [items[row] for row in rows]


def test_masks_and_slices_become_row_numbers() -> None:
    assert as_rows([True, False, True], 3).tolist() == [0, 2]
    assert as_rows(slice(None, None, -1), 3).tolist() == [2, 1, 0]
    assert as_rows([], 3).dtype == np.int64


def test_what_is_no_row_is_refused() -> None:
    with pytest.raises(IndexError, match="one dimension"):
        as_rows([[1]], 3)
    with pytest.raises(IndexError, match="-4 is out of range for 3 items"):
        as_rows([0, -4], 3)
    with pytest.raises(IndexError, match="mask of 2 for 3"):
        as_rows([True, False], 3)
    with pytest.raises(TypeError, match="float64"):
        as_rows([0.5], 3)


@given(st.integers(0, 50), st.sampled_from([1, CHUNK_VALUES // 7, CHUNK_VALUES, CHUNK_VALUES * 2]))
def test_chunks_cover_every_row_once(num_rows: int, width: int) -> None:
    parts = list(chunks(num_rows, width))
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(num_rows))
    assert all((part.stop - part.start) * width <= max(CHUNK_VALUES, width) for part in parts)


@given(st.sets(st.integers(0, 60)).map(sorted), st.integers(1, 12))
def test_runs_cover_every_row_once_and_stay_within_a_block(rows: list[int], block: int) -> None:
    index = np.array(rows, dtype=np.int64)
    parts = [index[part].tolist() for part in runs(index, block)]
    assert [row for part in parts for row in part] == rows
    for part in parts:
        if block == 1:
            assert part == list(range(part[0], part[-1] + 1))
        else:
            assert part[0] // block == part[-1] // block
    # no two neighbours could have been one
    for one, other in pairwise(parts):
        assert one[-1] // block != other[0] // block
        assert block > 1 or one[-1] + 1 < other[0]
