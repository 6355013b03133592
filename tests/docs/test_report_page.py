"""The page on the report says what the report does."""

from __future__ import annotations

import re
from pathlib import Path

from bayesfuse.estimator.checking import MAX_ITEMS
from bayesfuse.estimator.missing import SHARES
from bayesfuse.report.collect import LEFT_SHARE
from bayesfuse.report.collect_items import MAX_RANKINGS, NUM_RANKED, NUM_SURPRISES
from bayesfuse.report.collect_statistics import MAX_HIDDEN
from bayesfuse.report.item_rows import SHOWN
from bayesfuse.report.item_table import TABLE_ROWS
from bayesfuse.report.markdown import NUM_ITEMS
from bayesfuse.report.pages import PAGE_ITEMS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = " ".join((DOCS / "report.md").read_text(encoding="utf-8").split())


def test_its_numbers_are_those_of_the_program() -> None:
    assert f"first {TABLE_ROWS} items" in PAGE
    assert f"{TABLE_ROWS} items at a time" in PAGE
    assert f"Of more than {PAGE_ITEMS:,} items" in PAGE
    assert f"the {MAX_RANKINGS} commonest" in PAGE
    assert f"The {NUM_SURPRISES} pairs" in PAGE
    assert f"check is of {MAX_ITEMS:,} items and modalities are hidden of {MAX_HIDDEN:,}" in PAGE
    assert f"It has the {NUM_ITEMS} most uncertain items" in PAGE
    for share in SHARES:
        assert re.search(rf"\b{100 * share:.0f}\b[^.]*% of the items", PAGE)
    assert (NUM_RANKED, LEFT_SHARE, SHOWN) == (10, 0.1, 0.1)
    for words in ("the ten items", "the tenth of the items", "whose interval reaches 10 %"):
        assert words in PAGE


def test_every_option_is_there() -> None:
    reference = (DOCS / "cli.md").read_text(encoding="utf-8")
    report = reference.partition("## `bayesfuse report`")[2]
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - {"--body-file"}
    assert {"--items", "--split", "--compare", "--format"} <= named
    assert [flag for flag in sorted(named) if not re.search(rf"{flag}\b", report)] == []
