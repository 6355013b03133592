"""How hypothesis breaks a good file: bytes, values of JSON, and arrays of other types."""

from __future__ import annotations

import copy
import io
import json
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

TOKENS = (
    *(b"", b"\x00", b"\xff", b'"', b"'", b"[", b"]", b"{", b"}", b",", b";", b"|", b"=", b":"),
    *(b"\n", b"\r", b"\r\n", b"\t", b" ", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc2\xa0", b"\xc3"),
    *(b"../", b"/", b"NaN", b"-Infinity", b"1e999", b"-1", b"0", b"null", b"true", b"\\ud800"),
    *(b"1" * 5000, b"a" * 5000, b"[" * 3000, b'{"a":' * 3000, b"a = [" * 500, b"\xff" * 8),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 7, 2**31, 2**70, -(2**70), 0.5, 1e308, float("nan")),
    *(float("inf"), "", ".", "../x", "/dev/null", "\x00", "\ud800", "=1+1", "text", "none"),
    *([], {}, [[]], {"a": {}}, [None], ["x", "x"], [1.5, "a"], "a" * 5000),
)


def _one_of(options: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Draw one of these, a copy; by its number, since hypothesis would print them all."""
    return st.integers(0, len(options) - 1).map(lambda number: copy.deepcopy(options[number]))


# where, how much goes, and what comes in its place
_byte_edits = st.lists(
    st.tuples(
        st.integers(0, 2**16),
        st.sampled_from([0, 0, 1, 1, 2, 8, 100]),
        _one_of(TOKENS) | st.binary(max_size=8),
    ),
    min_size=1,
    max_size=5,
)
_value_edits = st.lists(
    st.tuples(
        st.integers(0, 2**10),
        st.sampled_from(["set", "set", "delete", "rename", "insert"]),
        _one_of(VALUES),
    ),
    min_size=1,
    max_size=3,
)


def edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Return a file with bytes taken out and put in."""
    for place, gone, token in edits:
        start = place % (len(data) + 1)
        data = data[:start] + token + data[start + gone :]
    return data


def edited_json(value: Any, edits: list[tuple[int, str, Any]]) -> Any:
    """Return a value of JSON with some of its parts changed."""
    value = json.loads(json.dumps(value))
    for place, action, new in edits:
        parts: list[tuple[Any, Any]] = []
        _collect(value, parts)
        if not parts:
            return new
        owner, key = parts[place % len(parts)]
        if action == "delete":
            del owner[key]
        elif isinstance(owner, list) and action != "set":
            owner.insert(key, new)
        elif action == "rename":
            owner[str(new)] = owner.pop(key)
        elif action == "insert":
            owner[f"{key}{new}"] = new
        else:
            owner[key] = new
    return value


def _collect(value: Any, parts: list[tuple[Any, Any]]) -> None:
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    for key in keys:
        parts.append((value, key))
        _collect(value[key], parts)


def files(name: str, good: list[bytes], kept: list[bytes]) -> st.SearchStrategy[bytes]:
    """Return broken files of a kind.

    Args:
        name: The file's name, whose end says of which kind it is.
        good: Good files.
        kept: Some that were found to be trouble.
    """
    found = st.builds(edited, _one_of([*good, *kept]), _byte_edits)
    kind = name.rpartition(".")[2]
    structured = _STRUCTURED.get(kind)
    return found if structured is None else found | structured(_one_of(good))


def _json_files(start: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    def build(data: bytes, edits: list[tuple[int, str, Any]]) -> bytes:
        return json.dumps(edited_json(json.loads(data), edits)).encode()

    return st.builds(build, start, _value_edits)


def _json_line_files(start: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    def build(data: bytes, edits: list[tuple[int, str, Any]]) -> bytes:
        rows = edited_json([json.loads(line) for line in data.splitlines()], edits)
        rows = rows if isinstance(rows, list) else [rows]
        return b"\n".join(json.dumps(row).encode() for row in rows)

    return st.builds(build, start, _value_edits)


def _safetensors_files(start: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    def build(data: bytes, edits: list[tuple[int, str, Any]], inside: bool) -> bytes:
        length = struct.unpack("<Q", data[:8])[0]
        header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
        told = header.get("__metadata__")
        if inside and told:  # what a run says of itself is JSON again
            key = next(iter(told))
            told[key] = json.dumps(edited_json(json.loads(told[key]), edits))
        else:
            header = edited_json(header, edits)
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + body

    return st.builds(build, start, _value_edits, st.booleans())


_ARRAYS: tuple[Callable[[], Any], ...] = (
    lambda: np.ones((4, 3), np.float16),
    lambda: np.full((4, 3), np.nan),
    lambda: np.full((4, 3), 1e300),
    lambda: np.ones((4, 2, 3), np.float32),
    lambda: np.ones((4, 0)),
    lambda: np.ones((0, 3)),
    lambda: np.ones(4),
    lambda: np.float64(3),
    lambda: np.ones((4, 3), np.complex64),
    lambda: np.ones((4, 3), np.bool_),
    lambda: np.arange(12, dtype=">i8").reshape(4, 3),
    lambda: np.arange(4),
    lambda: np.array([0, 2, -1, 2**40]),
    lambda: np.array([True, False, True, True]),
    lambda: np.array(["a", "b", "c", "d"]),
    lambda: np.array([b"a", b"b", b"c", b"\xff"]),
    lambda: np.array(["a", "b"]),
    lambda: np.zeros(4, "M8[s]"),
    lambda: np.zeros(4, [("x", "f4"), ("y", "i4")]),
    lambda: np.zeros((4, 3), "V5"),
    lambda: np.asfortranarray(np.ones((4, 3))),
)
_MEMBERS = ("text", "text_observed", "text_lengths", "text_starts", "text_encoder", "id")
_members = st.dictionaries(
    st.sampled_from(_MEMBERS), st.sampled_from(range(len(_ARRAYS))), min_size=1, max_size=4
)


def _npz_files(start: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    def build(members: dict[str, int], packed: bool) -> bytes:
        file = io.BytesIO()
        arrays = {name: _ARRAYS[number]() for name, number in members.items()}
        (np.savez_compressed if packed else np.savez)(file, **arrays)
        return file.getvalue()

    return st.builds(build, _members, st.booleans())


def _hdf5_files(start: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    def build(members: dict[str, int], packed: bool) -> bytes:
        import h5py

        content = io.BytesIO()
        with h5py.File(content, "w") as file:
            for name, number in members.items():
                array = np.asarray(_ARRAYS[number]())
                if array.dtype.kind in "UM":
                    array = array.astype("S")
                chunked = packed and array.ndim > 0 and array.size > 0
                file.create_dataset(name, data=array, compression=1 if chunked else None)
        return content.getvalue()

    return st.builds(build, _members, st.booleans())


def _parquet_files(start: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def days(unit: str) -> Any:
        return pa.array([2**62, -(2**62), 0, None], pa.timestamp(unit))

    columns = (
        pa.array(["a", "b", "c", "d"]),
        pa.array(["a", "a", None, ""]),
        pa.array([1, 2, 3, 4]),
        pa.array([1.5, float("nan"), float("inf"), None]),
        pa.array([b"\xff\x00", b"", None, b"a"]),
        pa.array([["Drama"], [], None, [None, "War"]]),
        pa.array([[1, 2], [3], [], None]),
        pa.array([[[1.0]], [[2.0, 3.0]], [], None]),
        pa.array([{"a": 1}, {"a": None}, None, {"a": 3}]),
        pa.array([[("k", 1)], [], None, []], pa.map_(pa.string(), pa.int64())),
        pa.array([True, False, None, True]),
        pa.nulls(4),
        days("us"),
        days("ns"),
        pa.array([2**31 - 1, -(2**31), 0, None], pa.date32()),
        pa.array([2**62, 0, 1, None], pa.duration("s")),
        pa.array(["a", "b", "a", None]).dictionary_encode(),
        pa.array(["x\x00y", "=1+1", "\u202e", "z" * 5000]),
        pa.array([1, 2**100, None, -5], pa.decimal128(38)),
    )
    names = st.sampled_from(["id", "plot", "genres", "people", "split", "year", "title", "a.b", ""])

    def build(chosen: dict[str, int]) -> bytes:
        table = pa.table({name: columns[number] for name, number in chosen.items()})
        file = io.BytesIO()
        pq.write_table(table, file)
        return file.getvalue()

    chosen = st.dictionaries(names, st.sampled_from(range(len(columns))), max_size=5)
    return st.builds(build, chosen.map(lambda found: {"id": 0, **found}))


_STRUCTURED: dict[str, Callable[[st.SearchStrategy[bytes]], st.SearchStrategy[bytes]]] = {
    "json": _json_files,
    "jsonl": _json_line_files,
    "safetensors": _safetensors_files,
    "npz": _npz_files,
    "h5": _hdf5_files,
    "parquet": _parquet_files,
}
