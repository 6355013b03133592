"""The page on missing modalities names what there is, and its tables are as they are printed."""

from __future__ import annotations

import re
from pathlib import Path

from bayesfuse.estimator.missing import MissingTable

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "missing.md").read_text(encoding="utf-8")


def test_every_option_and_name_is_there() -> None:
    reference = (DOCS / "cli.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert len(named) > 4
    assert [flag for flag in sorted(named) if not re.search(rf"{flag}\b", reference)] == []
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    imports = [line for line in code.splitlines() if line.startswith("from ")]
    exec("\n".join(imports), {})
    compile(code, "missing.md", "exec")


def test_the_tables_have_the_columns_that_are_printed() -> None:
    head = str(MissingTable(())).splitlines()[0]
    assert PAGE.count(head) == 2
    assert len(re.findall(r"^\| (nothing|text|image) \|", PAGE, re.M)) == 14
