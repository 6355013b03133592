from __future__ import annotations

from pathlib import Path

import pytest

from bayesfuse.report.pages import MARK, PAGE_ITEMS, num_pages, page_path, write_pages


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_page_holds_a_thousand_items() -> None:
    assert PAGE_ITEMS == 1_000
    assert [num_pages(n) for n in (0, 1, 1_000, 1_001, 2_590)] == [1, 1, 1, 2, 3]
    assert page_path(Path("a.b/x.y.html"), 1) == Path("a.b/x.y.html")
    assert page_path(Path("a.b/x.y.html"), 12) == Path("a.b/x.y-12.html")


def test_pages_of_an_earlier_and_longer_report_go(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    ours = f"<head>{MARK}</head>"
    assert write_pages([ours] * 4, target) == [page_path(target, n) for n in (1, 2, 3, 4)]
    assert names(tmp_path) == ["report-2.html", "report-3.html", "report-4.html", "report.html"]
    write_pages([ours + "new", ours], target)
    assert names(tmp_path) == ["report-2.html", "report.html"]
    assert target.read_text().endswith("new")


def test_a_file_of_somebody_else_stays(tmp_path: Path) -> None:
    (tmp_path / "report-2.html").write_text("my notes")
    (tmp_path / "report-3.html").write_text(MARK)  # not reached: the row of ours ends before it
    write_pages([MARK], tmp_path / "report.html")
    assert names(tmp_path) == ["report-2.html", "report-3.html", "report.html"]


def test_a_full_disk_leaves_all_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "report.html"
    write_pages([f"{MARK} old", f"{MARK} old 2"], target)
    write_text, calls = Path.write_text, 0

    def full_at_the_third(path: Path, *given: str, **named: str) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(28, "No space left on device")
        return write_text(path, *given, **named)

    monkeypatch.setattr(Path, "write_text", full_at_the_third)
    with pytest.raises(OSError, match="No space left"):
        write_pages(["new", "new 2", "new 3"], target)
    assert names(tmp_path) == ["report-2.html", "report.html"]
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == [
        f"{MARK} old 2",
        f"{MARK} old",
    ]
