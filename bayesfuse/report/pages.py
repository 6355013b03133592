"""The files of a report: one page, and further ones for the items that it has no room for."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from pathlib import Path

PAGE_ITEMS = 1_000
"""Items of one file: with pictures, a page of them stays under 5 MB."""

MARK = '<meta name="generator" content="bayesfuse">'
"""What a page of ours has in its head."""

_HEAD = 2_000


def num_pages(num_items: int) -> int:
    """Return how many files a table of so many items takes.

    Example:
        >>> [num_pages(number) for number in (0, 1_000, 1_001)]
        [1, 1, 2]
    """
    return max(1, -(-num_items // PAGE_ITEMS))


def page_path(path: Path, number: int) -> Path:
    """Return the file of a page, from 1.

    Example:
        >>> page_path(Path("run/report.html"), 2).as_posix()
        'run/report-2.html'
    """
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def write_pages(pages: Iterable[str], path: Path) -> list[Path]:
    """Write the pages of a report, the first last, each as a whole.

    Further pages of an earlier report, which had more of them, are removed.

    Args:
        pages: The pages, the first one first.
        path: The file of the first.

    Returns:
        The files.

    Raises:
        OSError: If a file cannot be written; then the first page is as it was.
    """
    partials: list[tuple[Path, Path]] = []
    try:
        for number, page in enumerate(pages, start=1):
            target = page_path(path, number)
            partial = target.with_name(f".{target.name}.partial")
            partials.append((partial, target))
            partial.write_text(page, encoding="utf-8")
        for partial, target in reversed(partials):
            partial.replace(target)
    finally:
        for partial, _ in partials:
            partial.unlink(missing_ok=True)
    for number in count(len(partials) + 1):
        old = page_path(path, number)
        if not _is_ours(old):
            break
        old.unlink()
    return [target for _, target in partials]


def _is_ours(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open(encoding="utf-8", errors="replace") as opened:
        return MARK in opened.read(_HEAD)


__all__ = ["MARK", "PAGE_ITEMS", "num_pages", "page_path", "write_pages"]
