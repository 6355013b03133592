from __future__ import annotations

import pytest

from bayesfuse.data.aligned import aligned


def test_a_table_without_rows_is_its_head() -> None:
    assert aligned(("a", "b"), []) == "a  b"


def test_wide_heads_and_wide_cells() -> None:
    assert aligned(("name", "n"), [("a", "1,000"), ("longer", "2")]) == (
        "name        n\na       1,000\nlonger      2"
    )


def test_a_row_that_is_too_short_is_a_mistake() -> None:
    with pytest.raises(IndexError):
        aligned(("a", "b"), [("only",)])


def test_a_name_cannot_break_the_table() -> None:
    rows = [("two\nlines", "1"), ("\x1b[31mred", "2")]
    assert aligned(("name", "n"), rows).splitlines() == [
        "name       n",
        "two lines  1",
        " [31mred   2",
    ]
