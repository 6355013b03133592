"""What is read of cells, and what is said of those that are odd."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from bayesfuse.encoders.base import CellProblem
from bayesfuse.encoders.text_folder import read_text_folder
from bayesfuse.encoders.text_reading import (
    NO_CHARACTERS,
    NO_TOKENS,
    OTHER_LANGUAGE,
    UNKNOWN_SCRIPT,
    TextReader,
)
from bayesfuse.encoders.text_source import load_model
from bayesfuse.errors import FeatureError

SCRIPTS = tomllib.loads((Path(__file__).parent / "scripts.toml").read_text(encoding="utf-8"))
ENGLISH, RUSSIAN = SCRIPTS["read"]["English"]["text"], SCRIPTS["unread"]["Russian"]["text"]
GERMAN = SCRIPTS["read"]["German"]["text"]


@pytest.fixture(scope="module")
def tokenizer(minilm_folder):
    return load_model(read_text_folder(minilm_folder), pooler=False)[1]


@pytest.fixture(scope="module")
def reader(tokenizer):
    return TextReader(tokenizer, lower_case=False, languages=())


def _read(reader, cells, max_length=64, *, cut=False):
    return reader.read(cells, max_length, max_length // 4, cut=cut)


def test_empty_cells_are_left_out_without_a_word(reader):
    reading = _read(reader, [None, "", " \n\t", "a plot", None])
    assert reading.rows.tolist() == [3]
    assert reading.problems == reading.remarks == ()
    assert _read(reader, []).rows.tolist() == []
    assert _read(reader, [None]).windows.tokens == []


def test_what_cannot_be_read_is_named_and_the_rest_is_read(reader):
    cells = [ENGLISH, "\x00\x01", RUSSIAN, None, "\u0301", GERMAN]
    reading = _read(reader, cells)
    assert reading.rows.tolist() == [0, 5]
    assert reading.problems == (
        CellProblem(1, NO_CHARACTERS),
        CellProblem(2, UNKNOWN_SCRIPT),
        CellProblem(4, NO_TOKENS),
    )
    alone = _read(reader, [GERMAN])
    np.testing.assert_array_equal(reading.windows.tokens[1], alone.windows.tokens[0])


def test_other_languages_are_named_where_they_are_asked_for(tokenizer):
    reader = TextReader(tokenizer, lower_case=False, languages=("en",))
    reading = _read(reader, [ENGLISH, GERMAN, "Das Boot"])
    assert reading.rows.tolist() == [0, 2]
    assert reading.problems == (CellProblem(1, OTHER_LANGUAGE),)


def test_remarks_are_constant_so_that_cases_can_be_counted(reader):
    long = "word " * 100
    cells = ["a\x00 plot", long, long * 2, "a\ufffd " + long, ENGLISH]
    windows = "longer than 64 tokens; read in windows"
    assert _read(reader, cells).remarks == (
        CellProblem(0, "control characters removed"),
        CellProblem(1, windows),
        CellProblem(2, windows),
        CellProblem(3, f"control characters removed; {windows}"),
    )
    cut = _read(reader, cells, cut=True)
    assert cut.remarks[1] == CellProblem(1, "longer than 64 tokens; cut")
    assert cut.windows.counts().tolist() == [1] * 5
    assert _read(reader, cells).windows.counts().tolist() == [1, 2, 4, 2, 1]
    assert all(len(remark.reason.encode()) <= 80 for remark in _read(reader, cells).remarks)


def test_what_was_removed_changes_no_token(reader):
    odd, plain = _read(reader, ["Se\x00ven \ufeffSamurai\x07", "Seven Samurai"]).windows.tokens
    np.testing.assert_array_equal(odd, plain)


def test_lower_case(tokenizer):
    """Under a tokenizer that tells capitals apart, which this one is made to do."""
    import dataclasses
    import json

    cased = json.loads(tokenizer.json)
    cased["normalizer"]["lowercase"] = False
    parts = dataclasses.replace(tokenizer, json=json.dumps(cased))
    tokens = [
        _read(
            TextReader(parts, lower_case=lower, languages=()),
            ["the Plot of a film", "the plot of a film"],
        ).windows.tokens
        for lower in (False, True)
    ]
    assert not np.array_equal(*tokens[0])
    np.testing.assert_array_equal(*tokens[1])


def test_cells_that_are_no_texts(reader):
    with pytest.raises(FeatureError, match="Row 1 is int, not a text"):
        _read(reader, ["a", 3])


def test_a_text_of_no_words_has_tokens(reader):
    assert reader.empty_text().tolist() == [101, 102]
