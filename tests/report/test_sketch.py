from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from bayesfuse.errors import MissingExtraError
from bayesfuse.report.sketch import Sketch, Span, draw_spans
from bayesfuse.report.svg import PAGE, PAPER, VARIABLES, Colours, canvas

SPANS = [
    Span("Horror & <more>", 0.1, 0.3, 0.2, value=0.5, note="p 0.010", marked=True),
    Span("Drama", 0.4, 0.6, 0.5, value=0.45),
    Span("a range alone", 0.2, 0.4, 0.3),
]


def draw(figure: Figure, colours: Colours) -> None:
    draw_spans(figure.subplots(), SPANS, colours)


SKETCH = Sketch("spans", 4, 2, draw, 'Alt "text" & more.', "A caption.")


def drawn() -> Axes:
    with canvas(4, 2) as figure:
        draw(figure, PAGE)
        return figure.axes[0]


def test_dots_are_where_the_values_are() -> None:
    dots = {
        line.get_marker(): (float(line.get_xdata()[0]), int(line.get_ydata()[0]))
        for line in drawn().lines
        if line.get_marker() in ("o", "D") and line.get_ydata()[0] < 2
    }
    assert dots == {"D": (0.5, 0), "o": (0.45, 1)}
    lone = [line for line in drawn().lines if line.get_ydata()[0] == 2]
    assert [float(line.get_xdata()[0]) for line in lone] == [0.3]  # its middle, and no second mark


def test_the_first_span_is_on_top_and_names_are_written() -> None:
    axes = drawn()
    low, high = axes.get_ylim()
    assert low > high
    assert [text.get_text() for text in axes.get_yticklabels()] == [span.name for span in SPANS]
    assert [text.get_text() for text in axes.texts] == ["p 0.010"]


def test_a_picture_is_in_the_pages_colours() -> None:
    picture = SKETCH.picture()
    assert (picture.name, picture.alt, picture.caption) == ("spans", SKETCH.alt, "A caption.")
    assert "var(--second)" in picture.svg
    assert not [colour for colour in PAPER if colour in picture.svg]


def test_files_are_on_white_with_the_words_in_them(tmp_path: Path) -> None:
    svg, png = SKETCH.write(tmp_path)
    assert (svg.name, png.name) == ("spans.svg", "spans.png")
    text = svg.read_text()
    root = ElementTree.fromstring(text[text.index("<svg") :])
    assert root.tag.endswith("svg")
    assert SKETCH.alt in "".join(root.itertext())
    assert not [colour for colour in VARIABLES if colour in text]
    assert PAPER.second in text
    with Image.open(png) as image:
        pixels = np.asarray(image.convert("RGB"))
        assert image.info["Title"] == SKETCH.alt
    assert (pixels[0] == 255).all()
    orange = [int(PAPER.second[i : i + 2], 16) for i in (1, 3, 5)]
    assert (pixels == orange).all(axis=2).any()
    before = svg.read_bytes(), png.read_bytes()
    SKETCH.write(tmp_path)
    assert (svg.read_bytes(), png.read_bytes()) == before


def test_without_matplotlib_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for make in (SKETCH.picture, lambda: SKETCH.write(tmp_path)):
        with pytest.raises(MissingExtraError, match="needs matplotlib"):
            make()
