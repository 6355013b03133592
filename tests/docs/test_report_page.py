"""The page on the report says what the report does."""

from __future__ import annotations

import re
from pathlib import Path

from bayesfuse.report.collect import LEFT_SHARE
from bayesfuse.report.collect_items import MAX_RANKINGS, NUM_RANKED, NUM_SURPRISES
from bayesfuse.report.item_rows import SHOWN
from bayesfuse.report.item_table import TABLE_ROWS
from bayesfuse.report.pages import PAGE_ITEMS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = " ".join((DOCS / "report.md").read_text(encoding="utf-8").split())


def test_its_numbers_are_those_of_the_program() -> None:
    assert f"first {TABLE_ROWS} items" in PAGE
    assert f"{TABLE_ROWS} items at a time" in PAGE
    assert f"Of more than {PAGE_ITEMS:,} items" in PAGE
    assert f"the {MAX_RANKINGS} commonest" in PAGE
    assert f"The {NUM_SURPRISES} pairs" in PAGE
    assert (NUM_RANKED, LEFT_SHARE, SHOWN) == (10, 0.1, 0.1)
    for words in ("the ten items", "the tenth of the items", "whose interval reaches 10 %"):
        assert words in PAGE


def test_every_option_is_there() -> None:
    reference = (DOCS / "cli.md").read_text(encoding="utf-8")
    report = reference.partition("## `bayesfuse report`")[2]
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert {"--items", "--split"} <= named
    assert [flag for flag in sorted(named) if not re.search(rf"{flag}\b", report)] == []
