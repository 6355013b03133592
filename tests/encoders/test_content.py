"""The same content has the same key; different content and kinds have different ones."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from bayesfuse.encoders.content import content_key


def test_a_file_and_its_bytes_are_the_same_picture(tmp_path):
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_bytes(b"pixels" * 500_000)
    keys = {content_key(tmp_path / "a.png"), content_key(tmp_path / "b.jpg")}
    assert keys == {content_key(b"pixels" * 500_000)}


def test_different_contents_differ():
    cells = ["a", "b", b"a", "", b"", {"a": 1}, {"a": "1"}, {"a": None}, {"b": 1}, "\ud800"]
    keys = [content_key(cell) for cell in cells]
    assert all(key is not None and len(key) == 16 for key in keys)
    assert all(one != other for one, other in combinations(keys, 2))


def test_the_order_of_columns_does_not_matter():
    assert content_key({"a": 1, "b": "x"}) == content_key({"b": "x", "a": 1})


def test_a_file_that_cannot_be_read_has_no_key(tmp_path):
    assert content_key(tmp_path / "none.png") is None
    assert content_key(tmp_path) is None
    assert content_key(Path("null\0byte")) is None


def test_nothing_is_no_cell():
    with pytest.raises(TypeError):
        content_key(None)
