"""Cells that should be texts: types, white space, and characters that nobody can read."""

from __future__ import annotations

import pytest

from bayesfuse.encoders.text_cells import read_texts, without_control_characters
from bayesfuse.errors import FeatureError


def test_cells_are_texts_or_nothing():
    assert read_texts(["  a plot\n", None, "", " \t\n"]) == ["a plot", "", "", ""]
    with pytest.raises(FeatureError, match="Row 2 is bytes, not a text"):
        read_texts(["a", None, b"b"])
    with pytest.raises(FeatureError, match="Row 0 is float"):
        read_texts([float("nan")])


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        ("plain text", "plain text"),
        ("two\nlines\tand a tab\r\n", "two\nlines\tand a tab"),
        ("no\u00a0break", "no\u00a0break"),
        ("Se\x00ven\x07", "Seven"),
        ("\ufeffbyte order", "byte order"),
        ("soft\u00adhyphen", "softhyphen"),
        ("left\u200eto\u202eright", "lefttoright"),
        ("lost \ufffd\ufffd bytes", "lost  bytes"),
        ("half a pair \ud83d", "half a pair"),
        ("\x00\x01\ufffd", ""),
        ("caf\u00e9 \u2026 \u201cquoted\u201d", "caf\u00e9 \u2026 \u201cquoted\u201d"),
        ("\u4f60\u597d", "\u4f60\u597d"),
    ],
)  # fmt: skip
def test_what_is_removed(text, readable):
    assert without_control_characters(text) == readable


@pytest.mark.parametrize(
    "text", ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\U0001f468\u200d\U0001f469"]
)
def test_joiners_are_part_of_the_spelling(text):
    """Persian writes a non-joiner within words, and a family is one emoji of several."""
    assert without_control_characters(text) == text
