from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from bayesfuse.data.arrays import (
    member_names,
    open_array,
    open_stored,
    read_array,
    release_pages,
)
from bayesfuse.data.hdf5 import StoredDataset
from bayesfuse.errors import FeatureError

VALUES = np.arange(12, dtype=np.float16).reshape(4, 3)


def write(path: Path, compressed: bool = False) -> Path:
    save = np.savez_compressed if compressed else np.savez
    save(path, ids=np.array(["a", "b", "c", "d"]), text=VALUES, columns=np.asfortranarray(VALUES))
    return path


def test_npy_is_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES)
    array = open_array(tmp_path / "a.npy")
    assert isinstance(array, np.memmap)
    np.testing.assert_array_equal(array, VALUES)


@pytest.mark.parametrize("compressed", [False, True])
def test_members_are_read_and_mapped_where_they_can_be(tmp_path: Path, compressed: bool) -> None:
    path = write(tmp_path / "a.npz", compressed)
    assert member_names(path) == ("ids", "text", "columns")
    for member in ("text", "columns"):
        array = open_array(path, member)
        assert isinstance(array, np.memmap) is not compressed
        assert array.dtype == np.float16
        np.testing.assert_array_equal(array, VALUES)
    assert open_array(path, "ids").tolist() == ["a", "b", "c", "d"]


def test_arrays_of_no_bytes_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((0, 3)))
    np.savez(tmp_path / "a.npz", x=np.ones((0, 3)))
    assert open_array(tmp_path / "a.npy").shape == (0, 3)
    assert open_array(tmp_path / "a.npz", "x").shape == (0, 3)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz")
    with pytest.raises(FeatureError, match=f"{tmp_path}/b.npy: no such file"):
        open_array(tmp_path / "b.npy")
    with pytest.raises(FeatureError, match="no such file"):
        member_names(tmp_path / "b.npz")
    with pytest.raises(FeatureError, match=r'no member "txt".*ids, text.*Did you mean "text"'):
        open_array(path, "txt")
    with pytest.raises(FeatureError, match=r'no member was named.*"a.npz:NAME"'):
        open_array(path)
    np.save(tmp_path / "a.npy", VALUES)
    with pytest.raises(FeatureError, match=r'Write "a.npy" without ":text"'):
        open_array(tmp_path / "a.npy", "text")


@pytest.mark.parametrize("kept", [0, 5, 100, 0.5, 0.99])
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_truncated_files_are_refused(tmp_path: Path, name: str, kept: float) -> None:
    path = tmp_path / name
    if name == "a.npy":
        np.save(path, VALUES)
    else:
        write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept if kept >= 1 else kept * len(whole))])
    with pytest.raises(FeatureError, match="truncated"):
        open_array(path, None if name == "a.npy" else "text")


def test_damaged_compressed_members_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", compressed=True)
    whole = bytearray(path.read_bytes())
    start = whole.index(b"text.npy") + 40
    whole[start : start + 20] = b"\xff" * 20
    path.write_bytes(bytes(whole))
    with pytest.raises(FeatureError, match="truncated"):
        open_array(path, "text")


def test_python_objects_are_never_loaded(tmp_path: Path) -> None:
    objects = np.array([{"a": 1}, None], dtype=object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=objects)
    np.savez_compressed(tmp_path / "b.npz", x=objects)
    for path, member in (("a.npy", None), ("a.npz", "x"), ("b.npz", "x")):
        with pytest.raises(FeatureError, match="never loaded"):
            open_array(tmp_path / path, member)


def test_every_format_is_opened_by_its_name(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES)
    write(tmp_path / "a.npz")
    with h5py.File(tmp_path / "a.H5", "w") as file:
        file["group/text"] = VALUES
        file.create_dataset("packed", data=VALUES, compression="gzip")
        file["ids"] = ["a", "b"]
    for name, member, kind in (
        ("a.npy", None, np.memmap),
        ("a.npz", "text", np.memmap),
        ("a.H5", "group/text", np.memmap),
        ("a.H5", "packed", StoredDataset),
    ):
        found = open_stored(tmp_path / name, member)
        assert isinstance(found, kind)
        np.testing.assert_array_equal(found[:], VALUES)
        whole = read_array(tmp_path / name, member)
        assert isinstance(whole, np.ndarray)
        np.testing.assert_array_equal(whole, VALUES)
    assert read_array(tmp_path / "a.H5", "ids").tolist() == ["a", "b"]
    assert set(member_names(tmp_path / "a.H5")) == {"group/text", "packed", "ids"}
    assert member_names(tmp_path / "a.npy") == ()
    with pytest.raises(FeatureError, match='no dataset "txt"'):
        open_stored(tmp_path / "a.H5", "txt")


def resident_file_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssFile:")[1].split()[0])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_released_pages_are_no_memory_of_this_process(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((4096, 1024), np.float32))  # 16 MiB
    array = open_array(tmp_path / "a.npy")
    before = resident_file_kb()
    assert array[5:].sum() == 4091 * 1024
    assert resident_file_kb() - before > 12_000
    release_pages(array[7:])
    assert resident_file_kb() - before < 4_000
    assert array[7, 3] == 1


def test_changes_of_a_map_that_is_not_read_only_stay(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(4096, np.float32))
    array = np.load(tmp_path / "a.npy", mmap_mode="c")
    array[3] = 5
    release_pages(array)
    assert array[3] == 5
    release_pages(np.ones(3))
    release_pages(None)
