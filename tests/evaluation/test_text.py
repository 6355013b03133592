"""Aligned columns, and what JSON can hold."""

from __future__ import annotations

import json

import pytest

from bayesfuse.evaluation.text import aligned, json_safe


def test_texts_stand_to_the_left_and_numbers_to_the_right() -> None:
    told = aligned(["a", "of", "n"], [["long", "x", "1"], ["s", "yy", "100"]], left=2)
    assert told.splitlines() == ["a     of    n", "long  x     1", "s     yy  100"]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        aligned(["a", "b"], [["1"]])


def test_json_holds_it() -> None:
    told = json_safe({"a": [1.0, float("inf")], 2: (None, "x")})
    assert json.loads(json.dumps(told, allow_nan=False)) == {"a": [1.0, None], "2": [None, "x"]}
