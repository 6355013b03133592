"""The table of items, the rankings and the errors as a reader uses them, in a real browser."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bayesfuse.report import ReportData, TagRow, write
from bayesfuse.report.item_rows import ItemRow, SurpriseRow

pytestmark = pytest.mark.slow

EVIL = "<img src=x onerror=document.title='hacked'><script>document.title='hacked'</script>\"'&amp;"
ROWS = "[...document.querySelectorAll('#items-table tbody tr')]"
TITLES = f"{ROWS}.map((row) => row.querySelector('.title').textContent)"
COUNT = "document.getElementById('count').textContent"


@pytest.fixture(scope="module")
def page(small_report_data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report of 120 items, of which one is called Élan and one has an evil title."""
    items = [
        dataclasses.replace(
            small_report_data.items[index % 60],
            id=f"tt{index:07d}",
            title=f"The film number {index}",
            uncertainty=5 - 0.03 * index,
            left_to_person=index < 12,
        )
        for index in range(120)
    ]
    items[7] = dataclasses.replace(items[7], title="Élan vital")
    items[3] = dataclasses.replace(
        items[3], id=EVIL, title=EVIL, tags=[TagRow(EVIL, 0.9, 0.8, 1.0, True, True)]
    )
    items[100] = dataclasses.replace(items[100], title=None)
    first = small_report_data.surprises[0]
    surprises = [SurpriseRow(EVIL, EVIL, first.tag, 3.0, [EVIL]), *small_report_data.surprises]
    data = dataclasses.replace(small_report_data, items=items, num_items=120, surprises=surprises)
    return write(data, tmp_path_factory.mktemp("page") / "report.html")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 760, 1200])
def test_it_loads_without_a_complaint_a_request_or_scrolling_sideways(
    browser: Any, page: Path, theme: str, width: int
) -> None:
    browser.open(page, theme=theme, width=width)
    assert browser.requests == [page.as_uri()]
    assert browser.complaints == []
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("document.title") == "demo-run: genres of a catalogue"


def test_the_browser_would_notice(browser: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<title>x</title><img src='http://192.0.2.1/x.png'><div style='width:2000px'>x</div>"
        "<script>nothing.there()</script>"
    )
    browser.open(bad)
    assert browser.requests == [bad.as_uri(), "http://192.0.2.1/x.png"]
    assert any("nothing is not defined" in words for words in browser.complaints)
    assert browser.run("document.documentElement.scrollWidth") > 1200


def test_names_are_words_and_never_markup(browser: Any, page: Path) -> None:
    browser.open(page)
    evil = f"{ROWS}[3]"
    for part in (".title", ".id", ".label"):
        assert browser.run(f"{evil}.querySelector('{part}').textContent") == EVIL
    assert browser.run(f"{evil}.querySelector('img').alt") == f"Picture of {EVIL}"
    assert browser.run("document.querySelectorAll('script').length") == 2
    assert browser.run("document.querySelectorAll('img[src=x]').length") == 0
    assert browser.run("document.title") != "hacked"
    assert (
        browser.run("[...document.querySelectorAll('#surprises ~ table .title')][0].textContent")
        == EVIL
    )


def test_search_by_typing(browser: Any, page: Path) -> None:
    browser.open(page)
    assert browser.run(COUNT) == "Items 1 to 50 of 120"
    browser.click("#search")
    browser.type("elan VITAL")  # accents and case do not matter
    assert browser.run(TITLES) == ["Élan vital"]
    assert browser.run(COUNT) == "Items 1 to 1 of 1 (of 120)"
    browser.run("document.activeElement.select()")
    browser.type("tt0000042")
    assert browser.run(TITLES) == ["The film number 42"]
    browser.run("document.activeElement.select()")
    browser.type("no such item")
    assert browser.run(TITLES) == []
    assert browser.run(COUNT) == "No item matches (of 120)."


def test_search_finds_tags_that_are_given(browser: Any, page: Path) -> None:
    browser.open(page)
    browser.click("#search")
    browser.type("horror")
    given = browser.run(
        f"{ROWS}.map((row) => [...row.querySelectorAll('.given .label')].map((e) => e.textContent))"
    )
    assert given
    assert all("Horror" in labels for labels in given)


def test_sorting_by_clicks_and_by_keys(browser: Any, page: Path) -> None:
    browser.open(page)
    sorts = (
        "[...document.querySelectorAll('th[data-sort]')].map((e) => e.getAttribute('aria-sort'))"
    )
    numbers = f"{ROWS}.map((row) => Number(row.cells[2].textContent))"
    assert browser.run(sorts) == [None, None, "descending", None, None]
    first = browser.run(numbers)
    assert first == sorted(first, reverse=True)
    browser.click("th[data-sort=uncertainty] button")
    assert browser.run(sorts) == [None, None, "ascending", None, None]
    last = browser.run(numbers)
    assert last == sorted(last)
    assert last[0] < first[-1]  # all items are sorted, not those that were seen
    browser.run("document.querySelector('th[data-sort=share] button').focus()")
    browser.press("Enter")
    assert browser.run(sorts) == [None, None, None, "descending", None]
    shares = browser.run(f"{ROWS}.map((row) => parseFloat(row.cells[3].textContent))")
    assert shares == sorted(shares, reverse=True)
    browser.press(" ")
    assert browser.run(sorts) == [None, None, None, "ascending", None]
    browser.click("th[data-sort=title] button")
    titles = browser.run(TITLES)
    numbered = [title for title in titles if title.startswith("The film")]
    assert numbered[:3] == ["The film number 0", "The film number 1", "The film number 2"]
    browser.click("th[data-sort=tags] button")
    means = browser.run(f"{ROWS}.map((row) => parseFloat(row.querySelector('.value').textContent))")
    assert means == sorted(means, reverse=True)
    browser.click("th[data-sort=person] button")
    assert browser.run(f"{ROWS}.filter((row) => row.querySelector('.person')).length") == 12


def test_leafing_by_clicks_and_keys(browser: Any, page: Path) -> None:
    browser.open(page)
    first = browser.run(TITLES)
    browser.click("button.next")
    assert browser.run(COUNT) == "Items 51 to 100 of 120"
    assert not set(browser.run(TITLES)) & set(first)
    browser.run("document.querySelector('button.next').focus()")
    browser.press("Enter")
    assert browser.run(COUNT) == "Items 101 to 120 of 120"
    assert "tt0000100" in browser.run(TITLES)  # it has no title
    assert browser.run("document.querySelector('button.next').disabled")
    # the focus does not get lost with a button that is of no use any more
    assert browser.run("document.activeElement.textContent") == "Previous"
    browser.press(" ")
    browser.press(" ")
    assert browser.run(TITLES) == first
    browser.click("button.next")
    browser.click("#search")
    browser.type("film")
    assert browser.run(COUNT).startswith("Items 1 to 50 of ")  # a search begins at its first page


def choose(browser: Any, selector: str, value: str) -> None:
    """Choose from a list as the keyboard does: its menu is not part of the page."""
    browser.run(f"document.querySelector('{selector}').focus()")
    names = browser.run(f"[...document.querySelector('{selector}').options].map((o) => o.text)")
    now = browser.run(f"document.querySelector('{selector}').selectedIndex")
    for _ in range(names.index(value) - now):
        browser.press("ArrowDown")
    assert browser.run(f"document.querySelector('{selector}').selectedOptions[0].text") == value


def test_filters_by_the_keyboard(browser: Any, page: Path) -> None:
    browser.open(page)
    choose(browser, "#decision", "left to a person")
    assert browser.run(COUNT) == "Items 1 to 12 of 12 (of 120)"
    assert browser.run(f"{ROWS}.every((row) => row.querySelector('.person'))")
    choose(browser, "#decision", "tagged")
    assert browser.run(COUNT) == "Items 1 to 50 of 108 (of 120)"
    browser.open(page)
    choose(browser, "#tagged", "Comedy")
    given = browser.run(
        f"{ROWS}.map((row) => [...row.querySelectorAll('.given .label')].map((e) => e.textContent))"
    )
    assert given
    assert all("Comedy" in labels for labels in given)
    # sorted by tags, it is the one that was chosen that counts
    browser.click("th[data-sort=tags] button")
    means = browser.run(
        f"{ROWS}.map((row) => [...row.querySelectorAll('.tag')].find((tag) => "
        "tag.querySelector('.label').textContent === 'Comedy'))"
        ".map((tag) => parseFloat(tag.querySelector('.value').textContent))"
    )
    assert means == sorted(means, reverse=True)
    assert len(set(means)) > 1


def test_the_ranking_of_one_label_is_shown(browser: Any, page: Path) -> None:
    browser.open(page)
    shown = (
        "[...document.querySelectorAll('table.ranked')].filter((e) => e.offsetParent)"
        ".map((e) => e.caption.textContent.split(':')[0])"
    )
    assert browser.run(shown) == ["Drama"]
    choose(browser, "#rank-by", "Crime")
    assert browser.run(shown) == ["Crime"]
    assert (
        browser.run(
            "[...document.querySelectorAll('table.ranked')].find((e) => e.offsetParent)"
            ".querySelectorAll('tbody.tied').length"
        )
        == 2
    )
    text = browser.run(
        "[...document.querySelectorAll('table.ranked')].find((e) => e.offsetParent).innerText"
    )
    assert "places 2 to 3" in text
    assert "places 4 to 40" in text


def test_pictures_are_there(browser: Any, page: Path) -> None:
    browser.open(page)
    for head in ("items", "ranking", "surprises"):
        browser.run(f"document.getElementById('{head}').scrollIntoView()")
        seen = (
            f"[...document.querySelectorAll('section[aria-labelledby={head}] img')]"
            ".filter((e) => e.offsetParent && e.getBoundingClientRect().top < innerHeight"
            " && e.getBoundingClientRect().bottom > 0)"
        )
        browser.until(f"{seen}.every((e) => e.complete)")
        assert browser.run(f"{seen}.length") > 1
        assert browser.run(f"{seen}.every((e) => e.naturalWidth > 0 && e.alt)")
    # a page of the table holds the pictures of its own rows only
    assert browser.run("document.querySelectorAll('#items-table img').length") == 45


def test_what_is_drawn_by_the_script_is_what_the_page_came_with(browser: Any, page: Path) -> None:
    words = f"{ROWS}.map((row) => row.innerText)"
    browser.open(page, script=False)
    before = browser.run(words)
    browser.open(page)
    assert browser.run(words) == before
    assert len(before) == 50


def test_without_scripts_the_first_items_and_all_rankings_are_there(
    browser: Any, page: Path
) -> None:
    browser.open(page, script=False)
    assert browser.complaints == []
    assert len(browser.run(TITLES)) == 50
    assert not browser.run("document.getElementById('controls').offsetParent")
    assert "Without scripts, the first 50 are listed." in browser.run("document.body.innerText")
    shown = "[...document.querySelectorAll('table.ranked')].filter((e) => e.offsetParent).length"
    assert browser.run(shown) == 21


def test_everything_can_be_reached_by_tab_and_the_focus_is_seen(browser: Any, page: Path) -> None:
    browser.open(page)
    browser.run("document.getElementById('search').focus()")
    reached = []
    for _ in range(10):
        reached.append(browser.run("document.activeElement.id || document.activeElement.innerText"))
        outline = browser.run("getComputedStyle(document.activeElement).outlineWidth")
        assert outline == "3px", reached
        browser.press("Tab")
    assert reached[:4] == ["search", "tagged", "decision", "Next"]
    assert [name.strip() for name in reached[4:9]] == [
        *("Item", "Tags", "Uncertainty (nats)", "Epistemic share", "Decision")
    ]


def test_every_control_has_a_name(browser: Any, page: Path) -> None:
    browser.open(page)
    assert browser.run(
        "[...document.querySelectorAll('input, select')].every((e) => e.labels.length === 1)"
    )
    assert browser.run("[...document.querySelectorAll('button')].every((e) => e.textContent)")


def test_an_item_row_has_no_tags(
    browser: Any, small_report_data: ReportData, tmp_path: Path
) -> None:
    items = [ItemRow("bare", None, [], 0.0, 0.0, False)]
    data = dataclasses.replace(
        small_report_data, items=items, num_items=1, rankings=[], surprises=[]
    )
    browser.open(write(data, tmp_path / "bare.html"))
    assert browser.complaints == []
    assert browser.run(TITLES) == ["bare"]
    assert browser.run("document.querySelectorAll('#items-table .picture').length") == 0


def test_printed_the_table_keeps_its_words_and_drops_its_controls(browser: Any, page: Path) -> None:
    browser.open(page, width=718)  # A4 with its margins
    browser.media("print")
    assert browser.run("document.documentElement.scrollWidth") <= 718
    for selector in ("#controls", ".buttons", "#rank-controls"):
        assert browser.run(f"document.querySelector('{selector}').offsetParent") is None
    assert browser.run("document.querySelector('#items-table img').offsetParent !== null")
    lines = browser.run(
        "[...document.querySelectorAll('#items-table .tag')].filter((e) => "
        "e.querySelector('.label').textContent.length < 12).map((e) => e.offsetHeight)"
    )
    assert len(lines) > 100
    assert max(lines) < 30  # one line each, no word is broken
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_further_pages_are_led_to_and_back(
    browser: Any, small_report_data: ReportData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("item_table", "pages"):
        monkeypatch.setattr(f"bayesfuse.report.{module}.PAGE_ITEMS", 25)
    first = write(small_report_data, tmp_path / "report.html")
    browser.open(first)
    browser.click("a[href='report-2.html']")
    browser.until("document.title.endsWith(', page 2') && document.readyState === 'complete'")
    assert browser.complaints == []
    assert browser.requests == [first.as_uri(), (tmp_path / "report-2.html").as_uri()]
    assert browser.run(COUNT) == "Items 1 to 25 of 25"
    assert browser.run(TITLES)[0] == "The film number 25"
    browser.click("#search")
    browser.type("number 40")
    assert browser.run(TITLES) == ["The film number 40"]
    browser.click("a[href='report.html']")
    browser.until("document.querySelector('#ranking') && document.readyState === 'complete'")
    assert browser.run(TITLES)[0] == "The film number 0"
