from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bayesfuse.errors import ConfigError, MissingExtraError, UserError
from bayesfuse.graph.statistics import degree_histogram
from bayesfuse.report.degree_picture import write_degrees

BLUE = (0x1F, 0x5F, 0xA8)


def tops_of_bars(path: Path) -> list[int]:
    """Return how high each bar is, in pixels, from left to right."""
    with Image.open(path) as image:
        blue = (np.asarray(image.convert("RGB")) == BLUE).all(axis=2)
    heights = blue.sum(axis=0)
    edges = np.flatnonzero(np.diff((heights > 0).astype(int), prepend=0, append=0))
    return [int(heights[a:b].max()) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def test_bars_are_as_high_as_their_counts(tmp_path: Path) -> None:
    write_degrees(degree_histogram(np.array([0] * 40 + [1] * 20 + [2] * 10)), tmp_path / "d.png")
    heights = tops_of_bars(tmp_path / "d.png")
    assert len(heights) == 3
    assert heights[1] / heights[0] == pytest.approx(0.5, abs=0.02)
    assert heights[2] / heights[0] == pytest.approx(0.25, abs=0.02)


def test_the_same_degrees_give_the_same_bytes_in_a_new_folder(tmp_path: Path) -> None:
    bins = degree_histogram(np.array([1, 5]))
    for name in ("one", "two"):
        write_degrees(bins, tmp_path / name / "degrees.PNG")
    one, two = (tmp_path / name / "degrees.PNG" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert list((tmp_path / "one").iterdir()) == [one]


def test_no_nodes_are_no_bars(tmp_path: Path) -> None:
    write_degrees((), tmp_path / "d.png")
    assert tops_of_bars(tmp_path / "d.png") == []


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"d\.svg: expected a name that ends in \.png\."):
        write_degrees((), tmp_path / "d.svg")


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "d.png").mkdir()
    with pytest.raises(UserError, match="choose another --histogram"):
        write_degrees((), tmp_path / "d.png")
    assert [path.name for path in tmp_path.iterdir()] == ["d.png"]


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"bayesfuse\[report\]"):
        write_degrees((), tmp_path / "d.png")
