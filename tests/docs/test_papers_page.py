"""The page on the papers: its commands are commands, and what it says is what the program has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import typer

from bayesfuse.cli import app
from bayesfuse.estimator.reproducing.papers import PAPERS

PAGE = (Path(__file__).parents[2] / "docs" / "papers.md").read_text(encoding="utf-8")


def test_the_commands_have_these_options() -> None:
    found = typer.main.get_command(app).commands["reproduce"]  # type: ignore[attr-defined]
    known = {option for parameter in found.params for option in parameter.opts}
    lines = re.findall(r"^bayesfuse reproduce .*?(?=  #|$)", PAGE, re.M)
    assert len(lines) == 2
    for line in lines:
        words = shlex.split(line)
        assert words[2] in PAPERS
        assert {word for word in words if word.startswith("-")} <= known


def test_every_paper_has_its_section() -> None:
    headings = " ".join(re.findall(r"^## .*$", PAGE, re.M))
    for name, tables in PAPERS.items():
        assert f"`{name}`" in headings
        assert f"{tables.paper.authors} {tables.paper.year}" in PAGE
        assert tables.paper.title in " ".join(PAGE.split())
        assert tables.tables in PAGE


def test_numbers_of_the_text_are_those_of_the_tables() -> None:
    own = PAPERS["swiglu"].rows[0].scores
    assert f"micro {own['micro_f1']}, macro {own['macro_f1']}" in PAGE
    rows = {row.name: row for row in PAPERS["mult-gmu"].rows}
    row = rows["MulT-Concat, TVPM"]
    told = f"{100 * row.scores['micro_ap']:.1f} ± {100 * row.spreads['micro_ap']:.0f} µAP"
    assert told in PAGE
