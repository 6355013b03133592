from __future__ import annotations

import builtins
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesfuse.data.hdf5 import StoredDataset, dataset_names, open_dataset
from bayesfuse.errors import FeatureError, MissingExtraError

VALUES = np.arange(70, dtype=np.float32).reshape(14, 5)
STEPS = np.arange(120, dtype=np.float16).reshape(10, 4, 3)

LAZY: dict[str, dict[str, Any]] = {
    "chunked": {"chunks": (3, 2)},
    "gzip": {"chunks": (4, 5), "compression": "gzip", "shuffle": True},
    "one chunk": {"chunks": (14, 5), "compression": "lzf"},
    "checksum": {"chunks": (1, 5), "fletcher32": True},
}


def write(path: Path, name: str = "text", values: np.ndarray = VALUES, **options: Any) -> Path:
    with h5py.File(path, "a") as file:
        file.create_dataset(name, data=values, **options)
    return path


@pytest.mark.parametrize("dtype", ["float16", ">f4", "float64", "int8", ">u2", "bool"])
@pytest.mark.parametrize("values", [VALUES, STEPS], ids=["vectors", "steps"])
def test_what_lies_in_one_piece_is_mapped(tmp_path: Path, dtype: str, values: np.ndarray) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("other", data=np.ones(3))
        file.create_dataset("group/text", data=values.astype(dtype))
    found = open_dataset(path, "group/text")
    assert isinstance(found, np.memmap)
    assert found.dtype == np.dtype(dtype)
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, values.astype(dtype))


@pytest.mark.parametrize("kind", LAZY)
def test_what_does_not_is_read_by_rows(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "a.hdf5", "group/text", **LAZY[kind])
    found = open_dataset(path, "/group/text")
    assert isinstance(found, StoredDataset)
    assert (found.shape, found.ndim, len(found), found.dtype) == ((14, 5), 2, 14, np.float32)
    assert found.block == {"chunked": 1, "gzip": 4, "one chunk": 14, "checksum": 1}[kind]
    for rows in ([0, 3, 4, 5, 13], [], [5, 0, 5], list(range(14))):
        np.testing.assert_array_equal(found[np.array(rows, dtype=np.int64)], VALUES[rows])
    for part in (slice(None), slice(2, 9), slice(0, 0), slice(None, None, 3)):
        np.testing.assert_array_equal(found[part], VALUES[part])
    assert "group/text" in repr(found)


@given(
    rows=st.lists(st.integers(0, 9), max_size=12),
    chunk=st.sampled_from([(1, 4, 3), (3, 2, 2), (10, 1, 3)]),
    stop=st.integers(0, 4),
)
def test_rows_and_steps_are_those_of_numpy(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[int],
    chunk: tuple[int, int, int],
    stop: int,
) -> None:
    path = write(tmp_path_factory.mktemp("h") / "a.h5", "s", STEPS, chunks=chunk, compression=1)
    found = open_dataset(path, "s")
    index = np.array(rows, dtype=np.int64)
    np.testing.assert_array_equal(found[index, :stop], STEPS[index, :stop])
    np.testing.assert_array_equal(found[index], STEPS[index])


def test_only_the_chunks_asked_for_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.h5", **LAZY["gzip"])
    found = open_dataset(path, "text")
    read: list[Any] = []
    whole = h5py.Dataset.__getitem__
    monkeypatch.setattr(
        h5py.Dataset, "__getitem__", lambda self, key: (read.append(key), whole(self, key))[1]
    )
    found[np.array([1, 3, 12])]
    assert [key[0] for key in read] == [slice(1, 4), slice(12, 13)]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda f: f.create_dataset("t", VALUES.shape, "f4"), "no storage was ever given"),
        (lambda f: compact(f), "compact storage"),
        (lambda f: f.create_dataset("t", data=VALUES, dtype=odd_float()), "odd floats"),
        (lambda f: external(f), "another file's bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_mapped_is_read_all_the_same(
    tmp_path: Path, make: Callable[[h5py.File], None], reason: str
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        make(file)
    with h5py.File(tmp_path / "a.h5") as file:
        expected = file["t"][()]
    found = open_dataset(tmp_path / "a.h5", "t")
    assert isinstance(found, StoredDataset), reason
    np.testing.assert_array_equal(found[np.array([0, 7])], expected[[0, 7]])


def compact(file: h5py.File) -> None:
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(VALUES.shape)
    dataset = h5py.h5d.create(file.id, b"t", h5py.h5t.NATIVE_FLOAT, space, settings)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, VALUES)


def odd_float() -> h5py.Datatype:
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(31, 20, 11, 0, 20)  # an exponent of 11 bits: not what NumPy's float32 is
    kind.set_ebias(1023)
    return h5py.Datatype(kind)


def external(file: h5py.File) -> None:
    write(Path(file.filename).parent / "other.h5", "x")
    file["t"] = h5py.ExternalLink("other.h5", "/x")


def test_masks_and_ids_are_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["vlen"] = ["ä", "b🎬", ""]
        file["fixed"] = np.array([b"a", b"bc"])
        file["numbers"] = np.array([3, 1])
        file["mask"] = np.array([True, False])
        file.create_dataset("packed", data=np.arange(9), chunks=(2,), compression="gzip")
        file["none"] = np.ones((0, 3))
    assert open_dataset(path, "vlen").tolist() == ["ä", "b🎬", ""]
    assert open_dataset(path, "fixed").tolist() == ["a", "bc"]
    assert open_dataset(path, "numbers").tolist() == [3, 1]
    assert open_dataset(path, "mask").tolist() == [True, False]
    assert open_dataset(path, "packed").tolist() == list(range(9))
    assert open_dataset(path, "none").shape == (0, 3)
    assert set(dataset_names(path)) == {"vlen", "fixed", "numbers", "mask", "packed", "none"}


def test_names_have_their_groups(tmp_path: Path) -> None:
    path = write(write(tmp_path / "a.h5", "b/c/text"), "image")
    assert dataset_names(path) == ("b/c/text", "image")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    path = write(write(tmp_path / "a.h5", "group/text"), "image")
    with h5py.File(path, "a") as file:
        file.create_group("empty")
        file["broken"] = h5py.SoftLink("/nowhere")
        file["gone"] = h5py.ExternalLink("nowhere.h5", "/x")
        file["type"] = np.dtype("f4")
    with pytest.raises(FeatureError, match=f"{tmp_path}/b.h5: no such file"):
        open_dataset(tmp_path / "b.h5", "text")
    with pytest.raises(FeatureError, match="no such file"):
        dataset_names(tmp_path / "b.h5")
    with pytest.raises(
        FeatureError, match=r'no dataset "imge"\. It holds group/text, image.*Did you mean "image"'
    ):
        open_dataset(path, "imge")
    for name in (None, "", "/"):
        with pytest.raises(FeatureError, match=r'It holds .*write "a\.h5:NAME"'):
            open_dataset(path, name)
    with pytest.raises(
        FeatureError, match=r'"group" is a group.*holds group/text; write "a\.h5:group/text"'
    ):
        open_dataset(path, "group")
    with pytest.raises(FeatureError, match=r'"empty" is a group.*It holds no dataset'):
        open_dataset(path, "empty")
    for name in ("broken", "gone", "type"):
        with pytest.raises(FeatureError, match=f'no dataset "{name}"'):
            open_dataset(path, name)


def test_what_is_no_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        lists = file.create_dataset("lists", (2,), h5py.vlen_dtype(np.int32))
        lists[0] = [1, 2]
        file.create_dataset("links", (2, 2), h5py.ref_dtype)
        file.create_dataset("regions", (2, 2), h5py.regionref_dtype)
        file["records"] = np.zeros((2, 2), [("x", "f4"), ("y", "i4")])
        file["bytes"] = np.zeros((2, 2), "V3")
        file["nothing"] = h5py.Empty("f4")
        space = h5py.h5s.create_simple((2, 2))
        # a date in HDF5's own type, for which NumPy has none
        h5py.h5d.create(file.id, b"time", h5py.h5t.UNIX_D32LE, space)
    for name, kind in {
        "lists": "lists of different lengths",
        "links": "references",
        "regions": "references",
        "records": "records of x, y",
        "bytes": "no number",
        "nothing": "nothing",
        "time": "NumPy does not have",
    }.items():
        with pytest.raises(FeatureError, match=f'"{name}" holds .*{kind}.*NAME_lengths'):
            open_dataset(path, name)


@pytest.mark.parametrize("kept", [0, 5, 100, 0.5, 0.99])
@pytest.mark.parametrize("options", [{}, LAZY["gzip"]], ids=["contiguous", "gzip"])
def test_truncated_files_are_refused(tmp_path: Path, options: dict[str, Any], kept: float) -> None:
    path = write(tmp_path / "a.h5", **options)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept if kept >= 1 else kept * len(whole))])
    for open_it in (lambda: open_dataset(path, "text"), lambda: dataset_names(path)):
        with pytest.raises(FeatureError, match=r"a\.h5: cannot be read .*truncated"):
            open_it()


def test_damaged_chunks_are_told_when_they_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", chunks=(14, 5), compression="gzip")
    with h5py.File(path) as file:
        start, size = file["text"].id.get_chunk_info(0).byte_offset, 8
    content = bytearray(path.read_bytes())
    content[start : start + size] = b"\xff" * size
    path.write_bytes(bytes(content))
    with pytest.raises(FeatureError, match="damaged"):
        open_dataset(path, "text")[:]


WRITER = """
import sys, h5py
with h5py.File(sys.argv[1], "a", locking=True):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_file_that_is_being_written_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    command = [sys.executable, "-c", WRITER, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        with pytest.raises(FeatureError, match=r"lock.*open for writing"):
            open_dataset(path, "text")
        writer.communicate()
    assert writer.returncode == 0
    assert open_dataset(path, "text").shape == (14, 5)


def test_filters_that_are_not_there_are_named(tmp_path: Path) -> None:
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk((2, 5))
    # optional, so that the file can be written though nobody has the filter
    settings.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (1,))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        space = h5py.h5s.create_simple(VALUES.shape)
        h5py.h5d.create(file.id, b"text", h5py.h5t.NATIVE_FLOAT, space, settings)
    with pytest.raises(FeatureError, match=r'compressed with .*filter 32001.*compression="gzip"'):
        open_dataset(tmp_path / "a.h5", "text")


def test_a_file_written_anew_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", **LAZY["gzip"])
    found = open_dataset(path, "text")
    path.unlink()
    write(path, "text", VALUES[:5], chunks=(2, 5))
    with pytest.raises(FeatureError, match=r"written anew.*it is \(5, 5\).*was \(14, 5\)"):
        found[np.array([0])]
    path.unlink()
    with pytest.raises(FeatureError, match="cannot be read"):
        found[np.array([0])]


def test_a_dataset_goes_to_other_processes(tmp_path: Path) -> None:
    found = open_dataset(write(tmp_path / "a.h5", **LAZY["gzip"]), "text")
    rows = np.array([2, 9])
    np.testing.assert_array_equal(found[rows], VALUES[rows])  # the file is open here
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found))[rows], VALUES[rows])
    if hasattr(os, "fork"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other tests may have left threads
            pool = multiprocessing.get_context("fork").Pool(2)
        with pool:
            for read in pool.map(found.__getitem__, [rows] * 4):
                np.testing.assert_array_equal(read, VALUES[rows])


def test_many_threads_may_read(tmp_path: Path) -> None:
    found = open_dataset(write(tmp_path / "a.h5", **LAZY["gzip"]), "text")
    wrong: list[int] = []

    def read(seed: int) -> None:
        rows = np.random.default_rng(seed).integers(0, 14, size=(50, 3))
        wrong.extend(seed for some in rows if not np.array_equal(found[some], VALUES[some]))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.h5")
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "h5py":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "h5py")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"h5py.*bayesfuse\[hdf5\]"):
        open_dataset(path, "text")
