from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import time

import pytest

from bayesfuse.report import ReportData, TagRow, render
from bayesfuse.report.collect_items import MAX_RANKINGS, NUM_RANKED, PICTURE_BYTES
from bayesfuse.report.item_rows import ItemRow, LabelRanking, RankedGroup, RankedRow
from bayesfuse.report.item_table import (
    TABLE_ROWS,
    Pictures,
    item_page,
    items_script,
    table_data,
)
from bayesfuse.report.pages import PAGE_ITEMS


def row(index: int, picture: str | None = None) -> ItemRow:
    tags = [
        TagRow("Horror", 0.612345678, 0.5, 0.7, decision=True, truth=True),
        TagRow("Comedy", 0.1, 0.05, 0.2, decision=False, truth=False),
    ]
    return ItemRow(f"id-{index}", f"Title {index}", tags, 1.23456789, 0.1, index == 0, picture)


def test_what_the_script_reads_is_what_the_items_say() -> None:
    pictures = Pictures()
    data = table_data(
        [row(0, "data:,a"), row(1), row(2, "data:,a")], ["Comedy", "Horror"], pictures
    )
    assert data["labels"] == ["Comedy", "Horror"]
    assert data["pictures"] == pictures.uris == ["data:,a"]
    tags = [[1, 0.612346, 0.5, 0.7, 1, 1], [0, 0.1, 0.05, 0.2, 0, 0]]
    assert data["items"] == [
        ["id-0", "Title 0", 0, 1.234568, 0.1, 1, tags],
        ["id-1", "Title 1", -1, 1.234568, 0.1, 0, tags],
        ["id-2", "Title 2", 0, 1.234568, 0.1, 0, tags],
    ]


def test_a_picture_of_the_rankings_is_there_once() -> None:
    tag = TagRow("Horror", 0.9, 0.8, 0.95, decision=True, truth=True)
    rows = [RankedRow(1, "id-0", None, tag, 1, 2, "data:,a"), RankedRow(2, "x", None, tag, 1, 2)]
    ranking = LabelRanking("Horror", [RankedGroup(1, 2, [*rows, RankedRow(3, "y", "", tag, 1, 2)])])
    other = LabelRanking("Comedy", [RankedGroup(1, 1, [dataclasses.replace(rows[0], id="z")])])
    pictures = Pictures()
    data = table_data([row(0, "data:,a")], ["Horror"], pictures, [ranking, other])
    assert data["pictures"] == ["data:,a"]
    assert data["labels"] == ["Horror", "Comedy"]  # a tag names it
    assert [pictures.number(one.picture) for one in rows] == [0, -1]


def test_which_items_these_are_is_said(report_data: ReportData) -> None:
    def words(count: int, of: int, number: int = 1) -> tuple[str, list[tuple[str, str]]]:
        items = [row(index) for index in range(count)]
        data = dataclasses.replace(report_data, items=items, num_items=of)
        page = item_page(data, number, "my.html")
        assert len(page.first_rows) == min(count - PAGE_ITEMS * (number - 1), TABLE_ROWS)
        return page.words, list(page.others)

    assert words(400, 400) == ("All 400 items of the val split, the most uncertain first.", [])
    assert words(400, 855) == ("The 400 most uncertain of the 855 items of the val split.", [])
    text, others = words(2_590, 2_590, 2)
    assert text.endswith("most uncertain first. In this file: 1,001 to 2,000.")
    assert others == [("my.html", "1 to 1,000"), ("my-3.html", "2,001 to 2,590")]


def test_the_script_makes_no_markup_of_names_and_asks_for_nothing() -> None:
    script = items_script()
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "fetch("):
        assert word not in script.source
    assert "</script" not in script.source
    digest = hashlib.sha256(script.source.encode()).digest()
    assert script.digest == base64.b64encode(digest).decode()
    assert f"const ROWS = {TABLE_ROWS};" in script.source


@pytest.mark.slow
def test_a_page_of_a_thousand_items_with_pictures_is_below_5_mb(report_data: ReportData) -> None:
    num_ranked = MAX_RANKINGS * NUM_RANKED
    size = PICTURE_BYTES // (PAGE_ITEMS + num_ranked)  # no two pictures alike, all at the limit

    def picture(index: int) -> str:
        data = base64.b64encode(index.to_bytes(4) * (size // 4)).decode()
        return f"data:image/webp;base64,{data}"

    def ranked(index: int) -> RankedGroup:
        return RankedGroup(1, 1, [RankedRow(1, "id", title, tags[0], 1, 999, picture(index))])

    title = "A long title of a film, and its second part"
    labels = [f"a rather long label {index}" for index in range(MAX_RANKINGS)]
    tags = [TagRow(name, 0.5123456, 0.4012345, 0.6123456, True, True) for name in labels[:10]]
    items = [
        ItemRow(f"item-{n:08}", title, tags, 4.1234567, 0.1123456, True, picture(n))
        for n in range(PAGE_ITEMS)
    ]
    rankings = [
        LabelRanking(
            name, [ranked(PAGE_ITEMS + NUM_RANKED * k + place) for place in range(NUM_RANKED)]
        )
        for k, name in enumerate(labels)
    ]
    rows = [dataclasses.replace(report_data.labels[0], name=name) for name in labels]
    curves = [dataclasses.replace(report_data.label_reliability[0], name=name) for name in labels]
    data = dataclasses.replace(
        report_data,
        items=items,
        rankings=rankings,
        labels=rows,
        label_reliability=curves,
        num_items=PAGE_ITEMS,
    )
    started = time.perf_counter()
    page = render(data)
    assert time.perf_counter() - started < 30
    assert 3_000_000 < len(page.encode()) < 5_000_000
    found = re.search(r'<script id="items-data" type="application/json">(.*?)</script>', page)
    assert found is not None
    assert len(json.loads(found.group(1))["pictures"]) == PAGE_ITEMS + num_ranked


@pytest.mark.parametrize("pictured", [True, False])
def test_a_place_for_a_picture_is_kept_where_others_have_one(
    small_report_data: ReportData, pictured: bool
) -> None:
    items = [row(0, "data:,a" if pictured else None), row(1)]
    data = dataclasses.replace(small_report_data, items=items, rankings=[], surprises=[])
    body = next(part for part in render(data).split("</tbody") if "id-1" in part)
    assert body.count("<img") == int(pictured)
    assert body.count('<span class="picture"></span>') == int(pictured)


def test_the_items_of_a_page_leave_room_for_all_else(report_data: ReportData) -> None:
    uri = "data:image/webp;base64,"
    size = PICTURE_BYTES // (PAGE_ITEMS + MAX_RANKINGS * NUM_RANKED) * 4 // 3
    items = [row(index, f"{uri}{index:0{size}}") for index in range(PAGE_ITEMS)]
    data = table_data(items, ["Horror", "Comedy"], Pictures())
    assert 1_900_000 < len(json.dumps(data)) < 3_500_000
