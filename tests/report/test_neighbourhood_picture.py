from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bayesfuse.errors import MissingExtraError
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.neighbourhood import ego
from bayesfuse.report.neighbourhood import Drawing, arrange
from bayesfuse.report.neighbourhood_picture import write_picture


def draw(titles: list[str] | None = None) -> Drawing:
    people = {"director": [["A"], ["A"], ["B"]], "writer": [["C"], [], ["C"]]}
    return arrange(ego(EntityGraph.from_people(people), 0), ["x", "y", "z"], titles)


@pytest.mark.slow
def test_a_picture_shows_nodes_and_lines(tmp_path: Path) -> None:
    assert write_picture(draw(), tmp_path / "around.png") == ()
    with Image.open(tmp_path / "around.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
        assert image.width > 1000
    colours = {tuple(colour) for colour in np.unique(pixels, axis=0).tolist()}
    assert (255, 255, 255) in colours
    assert (0xB4, 0x48, 0x0F) in colours  # the centre
    assert (0x1F, 0x5F, 0xA8) in colours  # its neighbours
    assert [path.name for path in tmp_path.iterdir()] == ["around.png"]


def test_the_same_neighbourhood_gives_the_same_bytes(tmp_path: Path) -> None:
    write_picture(draw(), tmp_path / "one.png")
    write_picture(draw(), tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_title_may_hold_anything(tmp_path: Path) -> None:
    write_picture(draw(["$100 & <b>", "50% _x^ $", "\\alpha"]), tmp_path / "around.png")


def test_characters_without_a_font_are_told(tmp_path: Path) -> None:
    # Cuneiform, and a character that nobody has.
    told = write_picture(draw(["\U00012000\U00012001", "y", "\U000e0fff"]), tmp_path / "around.png")
    assert len(told) == 1
    assert "in no font here" in told[0]
    assert (tmp_path / "around.png").is_file()


def test_a_folder_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_picture(draw(), tmp_path / "no" / "around.png")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = draw()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"needs matplotlib.*bayesfuse\[report\]"):
        write_picture(drawing, tmp_path / "around.png")
