"""Features are found again by content, and nothing half-written is ever read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesfuse.data.sequences import Ragged
from bayesfuse.data.whole_files import unfinished_name
from bayesfuse.encoders.cache import FeatureCache
from bayesfuse.errors import StorageError, UserError


def keys_of(*numbers: int) -> np.ndarray:
    return np.array([number.to_bytes(16, "big") for number in numbers], dtype="S16")


def rows_of(*numbers: int) -> np.ndarray:
    return np.array([[number, number + 0.5] for number in numbers], dtype=np.float32)


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path, "ab", width=2)


@given(parts=st.lists(st.lists(st.integers(1, 30), unique=True), max_size=5))
def test_what_was_added_is_found_by_everyone(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    cache = FeatureCache(folder, "ab", 2)
    for part in parts:
        cache.add(keys_of(*part), rows_of(*part), [f"r{n}" for n in part])
    known = {number for part in parts for number in part}
    asked = list(range(40))
    for reader in (cache, FeatureCache(folder, "ab", 2)):
        assert len(reader) == len(known)
        places = reader.find(keys_of(*asked))
        assert (places >= 0).tolist() == [number in known for number in asked]
        found = np.array([n for n in asked if n in known], dtype=np.int64)
        values, remarks = reader.read(places[places >= 0])
        np.testing.assert_array_equal(values, rows_of(*found).reshape(-1, 2))
        assert remarks == [f"r{n}" for n in found]


def test_encoders_do_not_see_each_other(cache, tmp_path):
    cache.add(keys_of(1), rows_of(1), [""])
    assert FeatureCache(tmp_path, "cd", 2).find(keys_of(1)).tolist() == [-1]


def test_two_processes_may_encode_the_same_cell(cache, tmp_path):
    other = FeatureCache(tmp_path, "ab", 2)
    cache.add(keys_of(1, 2), rows_of(1, 2), ["", ""])
    other.add(keys_of(2, 3), rows_of(2, 3), ["", ""])
    both = FeatureCache(tmp_path, "ab", 2)
    assert len(both) == 3
    np.testing.assert_array_equal(both.read(both.find(keys_of(1, 2, 3)))[0], rows_of(1, 2, 3))


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_damaged_part_is_not_read(cache, tmp_path, share):
    cache.add(keys_of(1), rows_of(1), [""])
    cache.add(keys_of(2), rows_of(2), [""])
    (broken,) = [p for p in cache.folder.glob("part-*") if np.load(p)["features"][0, 0] == 1]
    data = broken.read_bytes()
    broken.write_bytes(data[: int(share * len(data))])
    again = FeatureCache(tmp_path, "ab", 2)
    assert again.damaged == [broken]
    assert (again.find(keys_of(1, 2)) >= 0).tolist() == [False, True]


@pytest.mark.parametrize("harm", ["removed", "shorter"])
def test_a_part_that_is_harmed_after_it_was_found_is_an_error(cache, harm):
    cache.add(keys_of(1, 2), rows_of(1, 2), ["", ""])
    places = cache.find(keys_of(1, 2))
    (part,) = cache.folder.glob("part-*")
    records = np.load(part)
    part.unlink()
    if harm == "shorter":
        np.save(part, records[:1])
    with pytest.raises(StorageError, match=r"removed or changed .* Run the command again"):
        cache.read(places)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_parts_that_were_read_are_no_memory_of_this_process(tmp_path):
    cache = FeatureCache(tmp_path, "ab", width=1024)
    for start in range(0, 4096, 512):  # 16 MiB
        keys = keys_of(*range(start, start + 512))
        cache.add(keys, np.ones((512, 1024), np.float32), [""] * 512)
    before = resident_file_kb()
    again = FeatureCache(tmp_path, "ab", width=1024)
    for start in range(0, 4096, 512):
        assert again.read(again.find(keys_of(*range(start, start + 512))))[0].all()
    assert resident_file_kb() - before < 4_000


def resident_file_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssFile:")[1].split()[0])


def test_a_part_of_another_width_is_damaged(cache, tmp_path):
    cache.add(keys_of(1), rows_of(1), [""])
    assert FeatureCache(tmp_path, "ab", 3).damaged == list(cache.folder.glob("part-*"))


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_stays(cache, tmp_path):
    cache.add(keys_of(1), rows_of(1), [""])
    host = os.uname().nodename
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    mark = "0123456789abcdef.partial"
    left = cache.folder / f".part-0a.npy.{host}.{dead}.{mark}"
    writing = unfinished_name(cache.folder / "part-0b.npy")
    elsewhere = cache.folder / f".part-0c.npy.another-host.{dead}.{mark}"
    for path in (left, writing, elsewhere):
        path.write_bytes(b"half")
    assert len(FeatureCache(tmp_path, "ab", 2)) == 1
    assert [path.exists() for path in (left, writing, elsewhere)] == [False, True, True]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    cache = FeatureCache(tmp_path / "file", "ab", 2)
    with pytest.raises(UserError, match=r"Cannot write .*choose another folder"):
        cache.add(keys_of(1), rows_of(1), [""])


def steps_of(*numbers: int) -> Ragged:
    """As many steps as the number says, modulo 4 and one at least, each another one."""
    lengths = np.array([1 + number % 4 for number in numbers], dtype=np.int64)
    flat = np.concatenate(
        [[[n, step] for step in range(count)] for n, count in zip(numbers, lengths, strict=True)]
    )
    return Ragged.of(flat.astype(np.float16), lengths)


def test_steps_are_found_again_cell_by_cell(tmp_path):
    cache = FeatureCache(tmp_path, "ab", 2, steps=True)
    for part in ((7, 3, 12), (5, 3), (1,)):
        cache.add(keys_of(*part), steps_of(*part), [f"r{n}" for n in part])
    asked = (12, 1, 3, 5, 7)
    for reader in (cache, FeatureCache(tmp_path, "ab", 2, steps=True)):
        assert reader.find(keys_of(4)).tolist() == [-1]
        found, remarks = reader.read(reader.find(keys_of(*asked)))
        np.testing.assert_array_equal(found.lengths, steps_of(*asked).lengths)
        np.testing.assert_array_equal(found[:], steps_of(*asked)[:])
        assert found.dtype == np.float16
        assert remarks == ["r12", "r1", "r3", "r5", "r7"]
        assert len(reader) == 5


def test_short_sequences_take_little_room(tmp_path):
    cache = FeatureCache(tmp_path, "ab", 384, steps=True)
    flat = np.ones((65, 384), dtype=np.float16)
    cache.add(keys_of(1, 2), Ragged.of(flat, np.array([64, 1])), ["", ""])
    (part,) = cache.folder.glob("part-*")
    assert part.stat().st_size < 1.2 * flat.nbytes
