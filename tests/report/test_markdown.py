from __future__ import annotations

import dataclasses
import re
import sys
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from bayesfuse.report import ItemRow, ReportData, TagRow
from bayesfuse.report.markdown import NUM_SURPRISES, code, escape, render_markdown, table
from bayesfuse.report.words import summary
from tests.report.conftest import of_models

ATTACK = "<script>alert(1)</script> | *x* `y` [z](http://q) _u_ \\ # $a$ @b\n\n## Head"


def as_html(text: str) -> ElementTree.Element:
    """Return what a Markdown reader makes of it."""
    html = MarkdownIt("commonmark", {"xhtmlOut": True}).enable("table").render(text)
    return ElementTree.fromstring(f"<div>{html}</div>")


def words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


@pytest.fixture(scope="module")
def text(report_data: ReportData) -> str:
    return render_markdown(report_data)


def test_every_section_is_there(text: str, report_data: ReportData) -> None:
    assert re.findall(r"^## (.*)$", text, re.M) == [
        "Metrics",
        "Against what one would use in its place",
        "Risk and coverage",
        "Robustness",
        "Labels",
        "Predictive checks",
        "Strata",
        "Uncertain items",
        "Most surprising errors",
        "Settings",
    ]
    page = as_html(text)
    assert summary(report_data) in words(page)
    assert len(page.findall("h1")) == 1
    assert report_data.command in words(page)


def test_a_table_of_models_has_spreads_and_both_tests(report_data: ReportData) -> None:
    data = dataclasses.replace(report_data, statistics=of_models(report_data.statistics))
    page = words(as_html(render_markdown(data)))
    assert "Models side by side" in page
    assert "± 0.004" in page
    assert ", p = 0.012" in page
    assert "p = " not in words(as_html(render_markdown(report_data)))


def test_tables_are_tables_and_hold_the_numbers(text: str, report_data: ReportData) -> None:
    page = as_html(text)
    tables = page.findall("table")
    statistics = report_data.statistics
    assert statistics.check is not None
    assert statistics.robustness is not None
    odd = min(12, len(statistics.check.surprising()))
    assert [len(one.findall("tbody/tr")) for one in tables] == [
        len(report_data.metrics),
        *(2, 1),  # competitors, and their differences
        2 + len(report_data.labels),
        len(statistics.robustness.rows),
        len(report_data.labels),
        len(statistics.check.families),
        *([odd] if odd else []),
        len(statistics.strata),
        len(statistics.missing),
        len(report_data.items),
        min(NUM_SURPRISES, len(report_data.surprises)),
        len(report_data.versions),
    ]
    for one in tables:
        widths = {len(row.findall("*")) for row in one.iter("tr")}
        assert len(widths) == 1
    assert "0.520 | 0.500 to 0.540" in text
    assert "| 0.234 |" in text
    assert "**+0.020 (+0.010 to +0.030)**" in text


def test_nothing_is_html_and_columns_are_aligned(text: str) -> None:
    assert not re.search(r"(?<!\\)<[A-Za-z/!?]", text)
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({len(line) for line in block.splitlines()}) == 1


def test_strings_of_the_user_stay_strings(small_report_data: ReportData) -> None:
    tag = TagRow(ATTACK, 0.5, 0.4, 0.6, True)
    data = dataclasses.replace(
        small_report_data,
        title=ATTACK,
        split=ATTACK,
        command=f"``` {ATTACK}",
        labels=[dataclasses.replace(small_report_data.labels[0], name=ATTACK)],
        items=[ItemRow(ATTACK, ATTACK, [tag], 1.0, 0.1, True)],
        warnings=[ATTACK],
        versions={ATTACK: ATTACK},
    )
    clean, attacked = (as_html(render_markdown(one)) for one in (small_report_data, data))
    kinds = {element.tag for element in clean.iter()} | {"strong"}
    assert {element.tag for element in attacked.iter()} <= kinds
    assert "a" not in kinds
    headings = [words(h) for h in attacked.iter("h2")]
    assert "Head" not in headings
    plain = " ".join(ATTACK.split())
    assert words(attacked.find("h1")) == plain
    assert words(attacked).count("<script>alert(1)</script>") >= 7


def test_a_bare_run_is_short(small_report_data: ReportData) -> None:
    bare = dataclasses.replace(
        small_report_data, items=[], versions={}, command="", warnings=[], temperature=0.3
    )
    found = render_markdown(bare)
    assert "Uncertain items" not in found
    assert "Predictive checks" not in found
    assert "```" not in found
    assert "95 % interval" not in found
    assert "> - The KL term was weighted by 0.300" in found


def test_it_needs_no_extra(small_report_data: ReportData, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("jinja2", "matplotlib"):
        monkeypatch.setitem(sys.modules, package, None)
    assert render_markdown(small_report_data).startswith("# ")


@pytest.mark.parametrize(
    "text", ["- a", "1. a", "+ a", "# a", "> a", "a|b", "*a*", "__a__", "`a`", "![a](b)", "<a>"]
)
def test_a_cell_reads_as_it_was_written(text: str) -> None:
    page = as_html(f"{escape(text)}\n\n{table(['x'], [[escape(text)]])}")
    assert [element.tag for element in page] == ["p", "table"]
    assert words(page.find("p")) == text
    assert words(page.find("table/tbody/tr/td")) == text


def test_code_cannot_be_left() -> None:
    assert words(as_html(code("echo ``` <b>"))) == "echo ``` <b>"
