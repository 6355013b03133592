"""The table of items as its script reads it, and what the page needs to run that script alone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bayesfuse.report.data import ReportData
from bayesfuse.report.item_rows import SHOWN, ItemRow, LabelRanking, RankedRow, TagRow
from bayesfuse.report.pages import PAGE_ITEMS, num_pages, page_path

TABLE_ROWS = 50
"""Rows of the table that are seen at once; without scripts, the only ones."""

BLANK = ItemRow("", "", [TagRow("", 0.0, 0.0, 0.0, True, True)], 0.0, 0.0, True, "data:,")
"""An item that has everything: the script fills copies of its row, and drops what is too much."""

Json = dict[str, list[object]]


@dataclass(frozen=True)
class Script:
    """A script of a page.

    Attributes:
        source: The script.
        digest: Its SHA-256 in base64, as a content security policy names it: nothing else runs,
            whatever a title may hold.
    """

    source: str
    digest: str


def items_script() -> Script:
    """Return the script of the table of items and of the rankings."""
    folder = files("bayesfuse.report").joinpath("sections")
    source = folder.joinpath("items.js").read_text(encoding="utf-8")
    return Script(source, base64.b64encode(hashlib.sha256(source.encode()).digest()).decode())


class Pictures:
    """The pictures of a page, each once.

    Attributes:
        uris: `data:` URIs.

    Example:
        >>> pictures = Pictures()
        >>> [pictures.number(uri) for uri in ("data:,a", None, "data:,b", "data:,a")]
        [0, -1, 1, 0]
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, uri: str | None) -> int:
        """Return the place of a picture among `uris`, where it is now; -1 for no picture."""
        return -1 if uri is None else self._numbers.setdefault(uri, len(self._numbers))

    @property
    def uris(self) -> list[object]:
        """The pictures, in the order of their numbers."""
        return list(self._numbers)


def table_data(
    items: Sequence[ItemRow],
    label_names: Sequence[str],
    pictures: Pictures,
    rankings: Sequence[LabelRanking] = (),
) -> Json:
    """Return what the script reads: items, labels and pictures.

    Args:
        items: The items of the page, in their order.
        label_names: All labels.
        pictures: Where to put the pictures of the items and the rankings.
        rankings: The rankings of the page.

    Returns:
        `labels`, names; `pictures`, URIs; and `items`, each a list of id, title or None, number of
        its picture, uncertainty, epistemic share, 1 if left to a person else 0, and tags, each a
        list of number of the label, mean, 5 % and 95 % quantile, 1 if given else 0, and 1 if the
        item has it else 0. Numbers are rounded: probabilities have six decimals.
    """
    named = [tag.label for item in items for tag in item.tags]
    numbers = {name: n for n, name in enumerate(dict.fromkeys([*label_names, *named]))}
    rows: list[object] = [
        [
            item.id,
            item.title,
            pictures.number(item.picture),
            round(item.uncertainty, 6),
            round(item.epistemic_share, 6),
            int(item.left_to_person),
            [_tag(tag, numbers[tag.label]) for tag in item.tags],
        ]
        for item in items
    ]
    for ranking in rankings:
        for group in ranking.groups:
            for row in group.rows:
                pictures.number(row.picture)
    return {"labels": list(numbers), "pictures": pictures.uris, "items": rows}


def _tag(tag: TagRow, label: int) -> list[object]:
    numbers = (round(value, 6) for value in (tag.mean, tag.q05, tag.q95))
    return [label, *numbers, int(tag.decision), int(bool(tag.truth))]


@dataclass(frozen=True)
class ItemPage:
    """The items of one file of a report, as its template shows them.

    Attributes:
        number: Of the file, from 1.
        items: Its items.
        label_names: All labels.
        words: Which items these are.
        others: Name and words of each other file.
        table: What the script reads; see `table_data`.
        pictures: The pictures of the file.
    """

    number: int
    items: Sequence[ItemRow]
    label_names: Sequence[str]
    words: str
    others: Sequence[tuple[str, str]]
    table: Json
    pictures: Pictures

    @property
    def first_rows(self) -> Sequence[ItemRow]:
        """What is in the table before the script comes."""
        return self.items[:TABLE_ROWS]

    @property
    def blank(self) -> ItemRow:
        """An item that has everything."""
        return BLANK

    @property
    def shown(self) -> float:
        """The probability that a tag's interval reaches if it is there."""
        return SHOWN

    @property
    def pictured(self) -> bool:
        """Whether any item has a picture."""
        return bool(self.pictures.uris)

    @property
    def has_truth(self) -> bool:
        """Whether the labels of the items are known."""
        return any(tag.truth is not None for item in self.items for tag in item.tags)

    def picture_of(self, row: RankedRow) -> int:
        """Return the number of the picture of an item of a ranking; -1 if it has none."""
        return self.pictures.number(row.picture)


def item_page(data: ReportData, number: int = 1, name: str = "report.html") -> ItemPage:
    """Return the items of one file of a report; the rankings are in the first.

    Args:
        data: The report.
        number: Of the file, from 1.
        name: The name of the first file.
    """
    count, start = len(data.items), PAGE_ITEMS * (number - 1)
    items = data.items[start : start + PAGE_ITEMS]
    of = f"items of the {data.split} split"
    words = f"All {count:,} {of}, the most uncertain first."
    if count < data.num_items:
        words = f"The {count:,} most uncertain of the {data.num_items:,} {of}."
    others = []
    if num_pages(count) > 1:
        words += f" In this file: {start + 1:,} to {start + len(items):,}."
    for other in range(1, num_pages(count) + 1):
        if other != number:
            first, last = PAGE_ITEMS * (other - 1) + 1, min(PAGE_ITEMS * other, count)
            others.append((page_path(Path(name), other).name, f"{first:,} to {last:,}"))
    label_names = [row.name for row in data.labels]
    pictures = Pictures()
    rankings = data.rankings if number == 1 else ()
    table = table_data(items, label_names, pictures, rankings)
    return ItemPage(number, items, label_names, words, others, table, pictures)


__all__ = [
    "BLANK",
    "TABLE_ROWS",
    "ItemPage",
    "Pictures",
    "Script",
    "item_page",
    "items_script",
    "table_data",
]
