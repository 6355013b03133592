"""A figure is written as a whole or not at all, and the same numbers give the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bayesfuse.errors import BayesfuseError
from bayesfuse.report.figure_file import write_figure
from bayesfuse.report.svg import canvas


def draw(path: Path) -> None:
    with canvas(2, 1) as figure:
        figure.subplots().plot([0, 1], [1, 0])
        write_figure(figure, path, "--figure")


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_same_figure_is_the_same_file(tmp_path: Path, kind: str) -> None:
    first, second = tmp_path / "new" / f"a.{kind}", tmp_path / f"b.{kind}"
    draw(first)
    draw(second)
    if kind != "svg":  # ids in an SVG are drawn at random
        assert first.read_bytes() == second.read_bytes()
    second.write_text("old")
    draw(second)
    assert second.read_bytes() != b"old"
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_what_is_there_stays_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(BayesfuseError, match="choose another --figure"):
        draw(tmp_path / "file" / "a.png")
    assert (tmp_path / "file").read_text() == "kept"
