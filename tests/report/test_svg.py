from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest

from bayesfuse.errors import MissingExtraError
from bayesfuse.report.svg import ACCENT, VARIABLES, Picture, canvas, to_picture


def draw(name: str = "test", alt: str = "A line.") -> Picture:
    with canvas(2, 2) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=ACCENT)
        axes.set_title("price in $ and $")
        return to_picture(figure, name, alt, "caption")


def test_the_picture_is_one_element_with_its_words() -> None:
    root = ElementTree.fromstring(draw(alt='Line "a" < b & c.').svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'Line "a" < b & c.'
    assert root.get("viewBox")
    assert root.get("width") is None


def test_text_stays_text_even_with_dollar_signs() -> None:
    assert "price in $ and $" in "".join(ElementTree.fromstring(draw().svg).itertext())


def test_colours_are_the_pages_and_fonts_too() -> None:
    svg = draw().svg
    assert "var(--accent)" in svg
    assert not [colour for colour in VARIABLES if colour in svg]
    assert "DejaVu" not in svg


def test_two_pictures_share_no_id() -> None:
    def ids(svg: str) -> set[str]:
        return {e.attrib["id"] for e in ElementTree.fromstring(svg).iter() if "id" in e.attrib}

    one, two = ids(draw("one").svg), ids(draw("two").svg)
    assert one
    assert not one & two


def test_every_reference_points_into_the_picture() -> None:
    root = ElementTree.fromstring(draw().svg)
    ids = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
    links = [e.get("{http://www.w3.org/1999/xlink}href") for e in root.iter()]
    clips = [e.get("clip-path") for e in root.iter()]
    references = {link[1:] for link in links if link} | {clip[5:-1] for clip in clips if clip}
    assert references
    assert references <= ids


def test_the_same_drawing_gives_the_same_bytes() -> None:
    assert draw().svg == draw().svg


def test_nobody_elses_settings_change() -> None:
    with matplotlib.rc_context():
        matplotlib.rcParams["font.size"] = 31.0
        before = dict(matplotlib.rcParams)
        modules = "matplotlib.pyplot" in sys.modules
        draw()
        assert dict(matplotlib.rcParams) == before
        assert ("matplotlib.pyplot" in sys.modules) == modules


def test_a_users_own_style_has_no_say() -> None:
    plain = draw().svg
    with matplotlib.rc_context({"lines.linewidth": 17.0, "axes.facecolor": "red"}):
        assert draw().svg == plain


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with (
        pytest.raises(MissingExtraError, match=r"needs matplotlib.*bayesfuse\[report\]"),
        canvas(2, 2),
    ):
        pass
