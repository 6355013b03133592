from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bayesfuse.data import rows as rows_module
from bayesfuse.data.sequences import Ragged, Sequences, as_sequences

DTYPES = ["float16", "float32", "float64", "int8", "uint16", "bool", ">f4"]


def stored(
    num_items: int = 8, num_steps: int = 5, width: int = 3, dtype: str = "float32"
) -> NDArray[np.generic]:
    values = np.random.default_rng(3).normal(size=(num_items, num_steps, width))
    return (np.abs if np.dtype(dtype).kind == "u" else np.positive)(40 * values).astype(dtype)


def naive_mean(values: NDArray[np.generic], lengths: list[int]) -> NDArray[np.float32]:
    """The equation, one item and one step after the other."""
    means = np.zeros((len(values), values.shape[2]), np.float32)
    for item, length in enumerate(lengths):
        total = np.zeros(values.shape[2], np.float64)
        for step in range(length):
            total = total + values[item, step].astype(np.float32)
        if length:
            means[item] = (total / length).astype(np.float32)
    return means


@given(
    lengths=st.lists(st.integers(0, 5), min_size=8, max_size=8),
    dtype=st.sampled_from(DTYPES),
    width=st.sampled_from([1, 3]),
    rows=st.sets(st.integers(0, 7)).map(sorted),
    chunk=st.sampled_from([1, 20, 1 << 22]),
    ragged=st.booleans(),
)
def test_the_mean_is_that_of_a_loop_to_the_last_bit(
    lengths: list[int], dtype: str, width: int, rows: list[int], chunk: int, ragged: bool
) -> None:
    values = stored(width=width, dtype=dtype)
    if ragged:
        steps = [values[item, :length] for item, length in enumerate(lengths)]
        kept = Ragged.of(np.concatenate(steps), np.array(lengths))
        sequences = Sequences(kept, kept.lengths)
    else:
        sequences = Sequences(values, np.array(lengths))
    index = np.array(rows, dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "CHUNK_VALUES", chunk)
        found = sequences.mean(index)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, naive_mean(values, lengths)[index])


def test_many_steps_of_one_feature_have_the_same_mean_in_any_company() -> None:
    # numpy.mean adds pairwise here, in an order that depends on how many there are
    values = (np.random.default_rng(0).normal(size=(4, 3000, 1)) * 1e4).astype(np.float32)
    lengths = np.array([10, 3000, 1500, 2])
    sequences = Sequences(values, lengths)
    together = sequences.mean(np.arange(4))
    alone = [sequences.mean(np.array([row]))[0] for row in range(4)]
    np.testing.assert_array_equal(together, alone)
    own = [
        values[row, :length].mean(axis=0, dtype=np.float64) for row, length in enumerate(lengths)
    ]
    np.testing.assert_array_equal(together, np.array(own, np.float32))
    # whatever the order of the numbers in the file
    turned = Sequences(np.asfortranarray(values), lengths).mean(np.arange(4))
    np.testing.assert_array_equal(together, turned)


@pytest.mark.parametrize("width", [2, 7, 64])
def test_many_steps_are_added_one_after_the_other(width: int) -> None:
    values = (np.random.default_rng(0).normal(size=(2, 9000, width)) * 1e4).astype(np.float16)
    lengths = [9000, 8193]
    found = Sequences(values, np.array(lengths)).mean(np.arange(2))
    np.testing.assert_array_equal(found, naive_mean(values, lengths))


def test_steps_are_padded_to_the_longest_that_is_read() -> None:
    values = stored()
    sequences = Sequences(values, np.array([2, 0, 5, 1, 3, 0, 4, 5]))
    steps, used = sequences.read(np.array([0, 1, 3]))
    assert steps.shape == (3, 2, 3)
    assert used.tolist() == [[True, True], [False, False], [True, False]]
    np.testing.assert_array_equal(steps[0], values[0, :2])
    assert not steps[~used].any()
    assert sequences.read(np.array([1, 5]))[0].shape == (2, 0, 3)
    assert Sequences(values).read(np.arange(8))[1].all()


def test_reading_changes_nothing_that_is_stored() -> None:
    values = stored()
    before = values.copy()
    Sequences(values, np.ones(8, int)).read(np.arange(8))
    np.testing.assert_array_equal(values, before)


def test_what_is_stored_beyond_the_lengths_is_not_seen() -> None:
    values = stored()
    lengths = np.array([2, 0, 5, 1, 3, 0, 4, 5])
    junk = np.where(np.arange(5)[:, None] < lengths[:, None, None], values, np.nan)
    rows = np.arange(8)
    for clean, dirty in zip(
        (*Sequences(values, lengths).read(rows), Sequences(values, lengths).mean(rows)),
        (*Sequences(junk, lengths).read(rows), Sequences(junk, lengths).mean(rows)),
        strict=True,
    ):
        np.testing.assert_array_equal(clean, dirty)
    assert np.isnan(Sequences(junk).mean(rows)).any()  # the control


def test_items_that_were_not_observed_have_no_step() -> None:
    hidden = Sequences(stored(), np.array([2, -1, 5, 1, 3, 0, 4, 5])).where(np.arange(8) % 2 == 0)
    assert hidden.num_steps().tolist() == [2, 0, 5, 0, 3, 0, 4, 0]
    assert Sequences(stored()).num_steps().tolist() == [5] * 8
    assert hidden.shape == (8, 5, 3)
    assert (hidden.ndim, len(hidden), hidden.dtype) == (3, 8, np.float32)


def test_lengths_that_come_with_the_values_stay_unless_others_are_given() -> None:
    first = as_sequences(stored(), np.ones(8, int))
    assert as_sequences(first).num_steps().tolist() == [1] * 8
    assert as_sequences(first, np.full(8, 2)).num_steps().tolist() == [2] * 8


def test_ragged_steps_look_like_a_padded_array() -> None:
    lengths = np.array([2, 0, 3])
    flat = np.arange(10, dtype=np.int16).reshape(5, 2)
    ragged = Ragged.of(flat, lengths)
    padded = np.zeros((3, 3, 2), np.int16)
    padded[0, :2], padded[2] = flat[:2], flat[2:]
    assert (ragged.shape, ragged.ndim, len(ragged)) == ((3, 3, 2), 3, 3)
    assert ragged.dtype == np.int16
    for key in (slice(None), slice(1, 3), np.array([0, 2]), (np.array([0, 1]), slice(None, 2))):
        np.testing.assert_array_equal(ragged[key], padded[key])
    assert Ragged.of(flat[:0], np.zeros(2, int)).shape == (2, 0, 2)


def test_ragged_items_are_taken_in_any_order() -> None:
    flat = np.arange(12).reshape(6, 2)
    ragged = Ragged.of(flat, np.array([2, 0, 3, 1]))
    some = ragged.take(np.array([3, 0, 0, 1]))
    assert some.lengths.tolist() == [1, 2, 2, 0]
    np.testing.assert_array_equal(some.steps(), flat[[5, 0, 1, 0, 1]])
    np.testing.assert_array_equal(some[:][1], flat[:2])
    np.testing.assert_array_equal(ragged.steps(), flat)
