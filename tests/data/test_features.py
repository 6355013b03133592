from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bayesfuse.data import rows as rows_module
from bayesfuse.data.features import FeatureTable
from bayesfuse.data.hdf5 import open_dataset
from bayesfuse.errors import FeatureError


def table(num_items: int = 6) -> FeatureTable:
    rng = np.random.default_rng(0)
    return FeatureTable.from_arrays(
        {
            "text": rng.normal(size=(num_items, 3)).astype(np.float16),
            "image": rng.normal(size=(num_items, 2)),
            "year": np.arange(num_items)[:, None],
        },
        observed={"image": np.arange(num_items) % 2 == 0},
    )


def test_a_table_knows_its_shape() -> None:
    made = table()
    assert made.names == ("text", "image", "year")
    assert (made.num_items, len(made)) == (6, 6)
    assert made.widths == {"text": 3, "image": 2, "year": 1}
    assert made.dtypes == {"text": "float16", "image": "float64", "year": "int64"}
    assert made.observed.shape == (6, 3)
    assert "image" in made
    assert "sound" not in made
    assert repr(made) == "FeatureTable(6 items; text: 3, image: 2, year: 1)"


def test_a_batch_is_float32_in_the_order_asked_for() -> None:
    made = table()
    values, observed = made.batch([4, 0, 4, 1])
    assert {array.dtype for array in values.values()} == {np.dtype(np.float32)}
    assert values["year"][:, 0].tolist() == [4.0, 0.0, 4.0, 1.0]
    assert observed[:, 1].tolist() == [True, True, True, False]
    assert values["image"][3].tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(values["text"][0], values["text"][2])


def test_rows_may_be_a_mask_or_a_slice_and_none_at_all() -> None:
    made = table()
    assert made.batch(np.arange(6) > 3)[0]["year"][:, 0].tolist() == [4.0, 5.0]
    assert made.batch(slice(1, 3))[0]["year"][:, 0].tolist() == [1.0, 2.0]
    assert made.batch([])[0]["text"].shape == (0, 3)


@given(
    values=hnp.arrays(np.float32, (5, 2), elements=st.floats(-10, 10, width=32)),
    junk=hnp.arrays(np.float32, (5, 2), elements=st.floats(width=32)),
    mask=hnp.arrays(np.bool_, 5),
    rows=st.lists(st.integers(-5, 4), max_size=8),
)
def test_values_at_unobserved_places_change_nothing(
    values: np.ndarray, junk: np.ndarray, mask: np.ndarray, rows: list[int]
) -> None:
    clean = FeatureTable.from_arrays({"m": values}, {"m": mask})
    dirty = FeatureTable.from_arrays({"m": np.where(mask[:, None], values, junk)}, {"m": mask})
    for a, b in zip(clean.batch(rows), dirty.batch(rows), strict=True):
        np.testing.assert_equal(a, b)
    np.testing.assert_equal(clean.statistics(), dirty.statistics())
    expected = np.where(mask[:, None], values, 0)[rows] if rows else np.empty((0, 2))
    np.testing.assert_array_equal(dirty.batch(rows)[0]["m"], expected)


@given(
    first=st.lists(st.integers(0, 5), max_size=7),
    data=st.data(),
)
def test_taking_twice_is_taking_the_composition(first: list[int], data: st.DataObject) -> None:
    made = table()
    index = st.integers(0, max(0, len(first) - 1))
    second = data.draw(st.lists(index, max_size=7)) if first else []
    twice = made.take(first).take(second)
    once = made.take([first[i] for i in second])
    for a, b in zip(twice.batch(slice(None)), once.batch(slice(None)), strict=True):
        np.testing.assert_equal(a, b)
    np.testing.assert_array_equal(twice.observed, once.observed)


def test_select_keeps_values_and_mask_together() -> None:
    made = table().select(["year", "image"])
    values, observed = made.batch([1, 2])
    assert list(values) == ["year", "image"]
    assert observed.tolist() == [[True, False], [True, True]]
    with pytest.raises(FeatureError, match=r'Unknown modality "yaer".*Did you mean "year"'):
        table().select(["yaer"])
    with pytest.raises(FeatureError, match="twice"):
        table().select(["year", "year"])


def test_a_modality_can_be_added_to_rows_taken_before() -> None:
    made = table().take([5, 3]).with_modality("sound", [[7.0], [8.0]], observed=[True, False])
    values, observed = made.batch([0, 1])
    assert values["year"][:, 0].tolist() == [5.0, 3.0]
    assert values["sound"][:, 0].tolist() == [7.0, 0.0]
    assert observed[:, -1].tolist() == [True, False]
    with pytest.raises(FeatureError, match="already is a modality"):
        made.with_modality("year", [[1.0], [2.0]])
    with pytest.raises(FeatureError, match="3 rows, but the table has 2 items"):
        made.with_modality("other", [[1.0]] * 3)


def test_an_empty_table_gains_modalities() -> None:
    made = FeatureTable.empty(2)
    assert (made.num_items, made.names, made.widths) == (2, (), {})
    assert made.with_modality("text", [[1.0], [2.0]]).batch([1])[0]["text"].tolist() == [[2.0]]


def test_statistics_agree_with_numpy_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    values = (1000 + rng.normal(size=(101, 4))).astype(np.float32)
    values[:, 3] = 0.1  # constant
    mask = rng.random(101) < 0.7
    made = FeatureTable.from_arrays({"m": values}, {"m": mask})
    rows = np.arange(20, 101)
    chosen = values[20:][mask[20:]].astype(np.float64)
    for chunk in (4, 40, 1 << 22):
        monkeypatch.setattr(rows_module, "CHUNK_VALUES", chunk)
        loc, scale = made.statistics(rows)["m"]
        assert loc.dtype == scale.dtype == np.float32
        np.testing.assert_allclose(loc, chosen.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(scale[:3], chosen.std(axis=0)[:3], rtol=1e-4)
        assert scale[3] == 1.0  # not 0, which would divide


def test_statistics_of_nothing_change_nothing() -> None:
    made = FeatureTable.from_arrays({"m": [[1.0], [2.0]]}, {"m": [False, False]})
    loc, scale = made.statistics()["m"]
    assert (loc.tolist(), scale.tolist()) == ([0.0], [1.0])


def test_all_problems_are_reported_together() -> None:
    with pytest.raises(FeatureError) as caught:
        FeatureTable.from_arrays(
            {
                "flat": np.ones(3),
                "words": np.array([["a"], ["b"], ["c"]]),
                "none": np.ones((3, 0)),
                "nan": np.array([[1.0], [np.nan], [np.inf]]),
                "short": np.ones((2, 1)),
                "ragged": [[1.0], [1.0, 2.0]],
                "masked": np.ones((3, 1)),
                "odd": np.ones((3, 1)),
            },
            observed={"mask": [True] * 3, "masked": [True], "odd": [0.5, 1, 1]},
        )
    message = str(caught.value)
    for words in (
        "9 problems",
        "flat: has shape (3,)",
        "reshape(-1, 1)",
        "words: holds <U1",
        "none: has no column",
        "nan: 2 of 3 rows hold NaN or infinite features (first: row 1",
        "nan_observed",
        "differ in their number of rows: nan 3, short 2",
        "ragged: rows of different lengths",
        '"mask" is not a modality. Did you mean "masked"?',
        "masked: its observed mask has shape (1,); expected (3,)",
        "odd: its observed mask holds float64",
    ):
        assert words in message


def test_a_value_too_large_for_float32_is_not_finite() -> None:
    with pytest.raises(FeatureError, match="infinite"):
        FeatureTable.from_arrays({"m": np.array([[1e300]])})


def test_nan_is_allowed_where_nothing_was_observed_and_only_there() -> None:
    values = np.array([[np.nan], [1.0]])
    assert FeatureTable.from_arrays({"m": values}, {"m": [0, 1]}).num_items == 2
    with pytest.raises(FeatureError, match="1 of 2 rows"):
        FeatureTable.from_arrays({"m": values}, {"m": [1, 0]})


def test_rows_out_of_range_are_refused() -> None:
    with pytest.raises(IndexError, match="6 is out of range for 6"):
        table().batch([6])
    with pytest.raises(IndexError, match="mask of 2 for 6"):
        table().batch([True, False])
    with pytest.raises(TypeError, match="float64"):
        table().take([0.5])


def resident_file_pages() -> int:
    """Memory-mapped file pages and private pages that this process holds, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_small_batch_of_a_large_file_reads_little(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    megabytes = 200
    # Written as a sparse file, so that the test costs no disk.
    np.lib.format.open_memmap(path, "w+", np.float16, (megabytes * 512, 1024)).flush()
    whole = np.load(path, mmap_mode="r")
    made = FeatureTable.unchecked({"m": whole}, {})
    before = resident_file_pages()
    values, _ = made.take(slice(None, None, 2)).batch(np.arange(0, 50_000, 5_000))
    grown = resident_file_pages() - before
    assert values["m"].shape == (10, 1024)
    assert grown < 20e6, f"a batch of 10 rows took {grown / 1e6:.0f} MB"
    np.asarray(whole).sum()
    # The control: reading everything is seen by this measure.
    assert resident_file_pages() - before > 100e6


# ---- sequences ----

SOUND = np.random.default_rng(2).normal(size=(6, 4, 3)).astype(np.float16)
LENGTHS = np.array([4, 0, 2, 1, 3, 4])


def with_sound() -> FeatureTable:
    return table().with_modality("sound", SOUND, [1, 1, 1, 1, 0, 1], LENGTHS)


def test_a_table_knows_its_sequences() -> None:
    made = with_sound()
    assert [made.is_sequence(name) for name in made.names] == [False, False, False, True]
    assert made.steps("sound") == 4
    assert made.widths["sound"] == 3
    assert made.dtypes["sound"] == "float16"
    assert repr(made).endswith("year: 1, sound: 4 steps x 3)")
    with pytest.raises(FeatureError, match="text: holds items x features, which have no steps"):
        made.steps("text")
    with pytest.raises(FeatureError, match=r'Unknown modality "sond".*"sound"'):
        made.is_sequence("sond")


def test_an_item_without_steps_is_unobserved() -> None:
    assert with_sound().observed[:, 3].tolist() == [True, False, True, True, False, True]
    mask = np.ones(6, bool)
    FeatureTable.from_arrays({"s": SOUND}, {"s": mask}, {"s": LENGTHS})
    assert mask.all()  # the caller's own is not written to


@given(
    lengths=hnp.arrays(np.int64, 6, elements=st.integers(0, 4)),
    mask=hnp.arrays(np.bool_, 6),
    junk=st.sampled_from([np.nan, np.inf, -np.inf, 7.0]),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
    rows=st.lists(st.integers(-6, 5), max_size=8),
)
def test_a_sequence_is_read_as_the_mean_of_its_steps_and_nothing_else(
    lengths: np.ndarray, mask: np.ndarray, junk: float, dtype: str, rows: list[int]
) -> None:
    values = SOUND.astype(dtype)
    used = (np.arange(4) < lengths[:, None]) & mask[:, None]
    dirty = np.where(used[:, :, None], values, np.asarray(junk, dtype))
    wrong = np.where(mask, lengths, 99)
    means = np.zeros((6, 3), np.float32)
    for item in np.flatnonzero(mask & (lengths > 0)):
        steps = [values[item, step].astype(np.float32) for step in range(lengths[item])]
        means[item] = sum(steps, np.zeros(3)) / lengths[item]
    made = FeatureTable.from_arrays({"s": dirty}, {"s": mask}, {"s": wrong})
    plain = FeatureTable.from_arrays({"s": means}, {"s": mask & (lengths > 0)})
    for a, b in zip(made.batch(rows), plain.batch(rows), strict=True):
        np.testing.assert_equal(a, b)
    np.testing.assert_equal(made.statistics(rows), plain.statistics(rows))
    steps, has = made.sequences(rows)
    assert steps["s"].dtype == np.float32
    assert steps["s"].shape[1] == (lengths * mask)[rows].max(initial=0) if rows else True
    for at, row in enumerate(rows):
        count = int(used[row].sum())
        assert has["s"][at].sum() == count
        np.testing.assert_array_equal(steps["s"][at, :count], values[row, :count])
        assert not steps["s"][at, count:].any()


def test_without_lengths_every_step_counts() -> None:
    made = FeatureTable.from_arrays({"s": SOUND})
    assert made.observed.all()
    assert made.sequences([0, 5])[1]["s"].all()
    expected = SOUND.astype(np.float32).mean(axis=1, dtype=np.float64)
    np.testing.assert_allclose(made.batch(slice(None))[0]["s"], expected, rtol=1e-6)


def test_sequences_follow_take_and_select() -> None:
    made = with_sound().take([5, 3, 2, 2]).select(["sound", "year"]).take([True, False, True, True])
    steps, has = made.sequences([1, 0])
    assert list(steps) == ["sound"]
    assert has["sound"].sum(axis=1).tolist() == [2, 4]
    np.testing.assert_array_equal(steps["sound"][1], SOUND[5].astype(np.float32))
    np.testing.assert_array_equal(
        made.batch(slice(None))[0]["sound"], with_sound().batch([5, 2, 2])[0]["sound"]
    )
    assert table().sequences([0]) == ({}, {})
    with pytest.raises(IndexError, match="9 is out of range"):
        made.sequences([9])


def test_statistics_of_sequences_do_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    means = with_sound().batch(slice(None))[0]["sound"]
    plain = FeatureTable.from_arrays({"sound": means}, {"sound": with_sound().observed[:, 3]})
    for chunk in (3, 7, 1 << 22):
        monkeypatch.setattr(rows_module, "CHUNK_VALUES", chunk)
        np.testing.assert_equal(with_sound().statistics()["sound"], plain.statistics()["sound"])


@pytest.mark.parametrize("options", [{}, {"chunks": (2, 4, 2), "compression": "gzip"}])
def test_sequences_may_stay_in_a_file(tmp_path: Path, options: dict[str, object]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("sound", data=SOUND, **options)
    stored = open_dataset(tmp_path / "a.h5", "sound")
    made = FeatureTable.from_arrays({"s": stored}, lengths={"s": LENGTHS})
    plain = FeatureTable.from_arrays({"s": SOUND}, lengths={"s": LENGTHS})
    for rows in ([5, 0, 0, 3], slice(None), [1]):
        np.testing.assert_equal(made.batch(rows), plain.batch(rows))
        np.testing.assert_equal(made.sequences(rows), plain.sequences(rows))


def test_vectors_may_stay_in_a_compressed_file(tmp_path: Path) -> None:
    values = SOUND[:, 0]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("v", data=values, chunks=(4, 3), compression="gzip")
    stored = open_dataset(tmp_path / "a.h5", "v")
    made = FeatureTable.from_arrays({"v": stored}, {"v": LENGTHS > 0})
    plain = FeatureTable.from_arrays({"v": values}, {"v": LENGTHS > 0})
    for rows in ([5, 0, 0, 3], slice(None), []):
        np.testing.assert_equal(
            made.take([3, 1, 0, 5, 4, 2]).batch(rows), plain.take([3, 1, 0, 5, 4, 2]).batch(rows)
        )
    np.testing.assert_equal(made.statistics(), plain.statistics())


def test_a_batch_of_a_large_compressed_file_reads_little(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        shape = (200_000, 500)  # 400 MB of zeros, a chunk of them written
        zeros = file.create_dataset("v", shape, "f4", chunks=(100, 500), compression="gzip")
        zeros[:100] = 1.0
    made = FeatureTable.unchecked({"m": open_dataset(tmp_path / "a.h5", "v")}, {})
    before = resident_file_pages()
    values, _ = made.batch(np.arange(0, 200_000, 20_000))
    assert resident_file_pages() - before < 20e6
    assert values["m"].sum(axis=1).tolist() == [500.0] + [0.0] * 9


def test_sequences_that_do_not_fit_are_refused() -> None:
    with pytest.raises(FeatureError) as caught:
        FeatureTable.from_arrays(
            {"long": SOUND, "flat": np.ones((6, 2)), "deep": np.ones((6, 1, 1, 1))},
            lengths={"long": LENGTHS + 1, "flat": LENGTHS, "lang": LENGTHS},
        )
    message = str(caught.value)
    for words in (
        "4 problems",
        "long: 2 of 6 lengths are not in 0..4",
        "flat: has lengths, which are for items x steps x features",
        "deep: has shape (6, 1, 1, 1); expected items x features, or items x steps x features",
        'lengths: "lang" is not a modality',
    ):
        assert words in message
