"""The posters of the embedded catalogue, drawn with Pillow from a palette, a motif and a layout.

The three indices are drawn by `bayesfuse.data.demo_process`; positions, shades and the title are
jitter that says nothing about the labels. A poster is drawn at twice its size and then halved, so
that edges are smooth.
"""

from __future__ import annotations

import colorsys
import io
import math
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

POSTER_SIZE = (96, 144)  # width, height, pixels
_SCALE = 2
_WIDTH, _HEIGHT = POSTER_SIZE[0] * _SCALE, POSTER_SIZE[1] * _SCALE

Colour = tuple[int, int, int]
Point = tuple[float, float]

# palette -> upper background, lower background, motif, accent
PALETTES: tuple[tuple[str, str, str, str], ...] = (
    ("#2b1408", "#c8391b", "#ffb000", "#fff1d0"),  # embers
    ("#ffd447", "#ff9f1c", "#e71d5b", "#ffffff"),  # carnival
    ("#e9e6dc", "#c9c8bd", "#3d4a4a", "#a23b2a"),  # newsprint
    ("#1d3a4f", "#53748a", "#e8d9b5", "#a65e3a"),  # dusk
    ("#050506", "#2a0510", "#b0101f", "#d9d3c7"),  # blood and night
    ("#f7c6d0", "#d9738f", "#fff4ee", "#8c1c4a"),  # rose
    ("#060a2b", "#2b1a6b", "#35e0e6", "#d05cff"),  # neon
    ("#f0c27b", "#a4511f", "#4b2510", "#f7e7c1"),  # dust
)


def _star(points: int, inner: float) -> list[Point]:
    angles = [math.pi * step / points - math.pi / 2 for step in range(2 * points)]
    return [
        (math.cos(angle) * radius, math.sin(angle) * radius)
        for angle, radius in zip(angles, [1.0, inner] * points, strict=True)
    ]


def _heart() -> list[Point]:
    turns = [2 * math.pi * step / 40 for step in range(40)]
    return [
        (
            math.sin(t) ** 3,
            -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16,
        )
        for t in turns
    ]


def _drop() -> list[Point]:
    turns = [2 * math.pi * step / 40 for step in range(40)]
    return [(0.75 * math.sin(t) * math.sin(t / 2), -math.cos(t)) for t in turns]


_CACTUS: list[list[Point]] = [
    [(-0.18, -1), (0.18, -1), (0.18, 1), (-0.18, 1)],
    [(-0.75, -0.4), (-0.47, -0.4), (-0.47, 0.12), (-0.1, 0.12), (-0.1, 0.4), (-0.75, 0.4)],
    [(0.75, -0.65), (0.47, -0.65), (0.47, -0.1), (0.1, -0.1), (0.1, 0.18), (0.75, 0.18)],
]


class _Canvas:
    """A drawing board whose motifs are given in units of their own size around their own centre."""

    def __init__(self, image: Image.Image, colour: Colour, accent: Colour) -> None:
        self.draw = ImageDraw.Draw(image)
        self.colour = colour
        self.accent = accent

    def polygon(self, points: list[Point], at: Point, size: float, colour: Colour) -> None:
        self.draw.polygon([(at[0] + size * x, at[1] + size * y) for x, y in points], fill=colour)

    def disc(self, at: Point, radius: float, colour: Colour, stretch: float = 1.0) -> None:
        x, y = at
        box = (x - radius, y - radius * stretch, x + radius, y + radius * stretch)
        self.draw.ellipse(box, fill=colour)

    def box(self, at: Point, width: float, height: float, colour: Colour) -> None:
        x, y = at
        self.draw.rectangle((x - width, y - height, x + width, y + height), fill=colour)


def _burst(canvas: _Canvas, at: Point, size: float) -> None:
    canvas.polygon(_star(11, 0.5), at, size, canvas.colour)
    canvas.polygon(_star(11, 0.5), at, size * 0.45, canvas.accent)


def _balloon(canvas: _Canvas, at: Point, size: float) -> None:
    x, y = at
    canvas.draw.line([(x, y), (x, y + 1.5 * size)], fill=canvas.accent, width=3)
    canvas.disc(at, size * 0.8, canvas.colour, stretch=1.15)
    canvas.disc((x - 0.3 * size, y - 0.4 * size), size * 0.17, canvas.accent)


def _frame(canvas: _Canvas, at: Point, size: float) -> None:
    x, y = at
    canvas.box(at, size, size * 0.75, canvas.colour)
    canvas.box(at, size * 0.72, size * 0.6, canvas.accent)
    for step in (-0.6, -0.2, 0.2, 0.6):
        for side in (-0.86, 0.86):
            canvas.box((x + side * size, y + step * size), size * 0.07, size * 0.07, canvas.accent)


def _teardrop(canvas: _Canvas, at: Point, size: float) -> None:
    canvas.polygon(_drop(), at, size, canvas.colour)
    canvas.polygon(_drop(), (at[0], at[1] + 0.45 * size), size * 0.35, canvas.accent)


def _fangs(canvas: _Canvas, at: Point, size: float) -> None:
    x, y = at
    canvas.box((x, y - 0.8 * size), size, size * 0.2, canvas.colour)
    for step, (offset, length) in enumerate(((-0.75, 1.5), (-0.25, 1.0), (0.25, 1.0), (0.75, 1.5))):
        tooth = [(offset - 0.24, -0.65), (offset + 0.24, -0.65), (offset, length - 0.65)]
        canvas.polygon(tooth, at, size, canvas.accent if step in (1, 2) else canvas.colour)


def _heart_motif(canvas: _Canvas, at: Point, size: float) -> None:
    canvas.polygon(_heart(), at, size, canvas.colour)
    canvas.polygon(_heart(), at, size * 0.5, canvas.accent)


def _planet(canvas: _Canvas, at: Point, size: float) -> None:
    x, y = at
    canvas.disc(at, size * 0.62, canvas.colour)
    ring = (x - size, y - 0.28 * size, x + size, y + 0.28 * size)
    canvas.draw.arc(ring, start=-25, end=205, fill=canvas.accent, width=max(2, round(size / 9)))
    canvas.disc((x + 0.8 * size, y - 0.7 * size), size * 0.13, canvas.accent)


def _cactus(canvas: _Canvas, at: Point, size: float) -> None:
    x, y = at
    canvas.disc((x + 0.45 * size, y - 0.75 * size), size * 0.32, canvas.accent)
    for part in _CACTUS:
        canvas.polygon(part, at, size, canvas.colour)


# in the order of the motif's index
MOTIFS: tuple[Callable[[_Canvas, Point, float], None], ...] = (
    _burst,
    _balloon,
    _frame,
    _teardrop,
    _fangs,
    _heart_motif,
    _planet,
    _cactus,
)


def _centred(rng: np.random.Generator) -> list[tuple[float, float, float]]:
    return [(rng.normal(0.5, 0.03), rng.normal(0.4, 0.03), rng.uniform(0.3, 0.38))]


def _scattered(rng: np.random.Generator) -> list[tuple[float, float, float]]:
    cells = rng.permutation(12)[: rng.integers(8, 11)]
    columns, rows = cells % 3, cells // 3
    return [
        (
            (column + 0.5) / 3 + rng.normal(0, 0.03),
            0.11 + 0.18 * row + rng.normal(0, 0.015),
            rng.uniform(0.08, 0.13),
        )
        for column, row in zip(columns, rows, strict=True)
    ]


def _diagonal(rng: np.random.Generator) -> list[tuple[float, float, float]]:
    jitter = rng.normal(0, 0.025, size=(3, 2))
    steps = ((0.2, 0.16, 0.13), (0.42, 0.34, 0.18), (0.7, 0.57, 0.24))
    return [(x + dx, y + dy, size) for (x, y, size), (dx, dy) in zip(steps, jitter, strict=True)]


def _bottom_row(rng: np.random.Generator) -> list[tuple[float, float, float]]:
    height = rng.normal(0.57, 0.015)
    return [(x, height + rng.normal(0, 0.012), 0.155) for x in (0.17, 0.5, 0.83)]


def _facing(rng: np.random.Generator) -> list[tuple[float, float, float]]:
    lift = rng.normal(0, 0.025)
    return [(0.27, 0.22 + lift, 0.2), (0.73, 0.52 - lift, 0.2)]


# in the order of the layout's index: each gives (x, y, size) of its motifs in parts of the poster
LAYOUTS: tuple[Callable[[np.random.Generator], list[tuple[float, float, float]]], ...] = (
    _centred,
    _scattered,
    _diagonal,
    _bottom_row,
    _facing,
)
_FACING = LAYOUTS.index(_facing)


def _shade(code: str, rng: np.random.Generator) -> Colour:
    """Return a colour near the one that `code` (such as "#2b1408") names."""
    red, green, blue = (int(code[start : start + 2], 16) / 255 for start in (1, 3, 5))
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    jittered = (
        (hue + rng.normal(0, 0.012)) % 1.0,
        min(1.0, max(0.0, saturation + rng.normal(0, 0.04))),
        min(1.0, max(0.0, value + rng.normal(0, 0.04))),
    )
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(*jittered))
    return red, green, blue


def _gradient(upper: Colour, lower: Colour) -> Image.Image:
    mix = np.linspace(0, 1, _HEIGHT)[:, None, None]
    column = (1 - mix) * np.array(upper) + mix * np.array(lower)
    return Image.fromarray(np.broadcast_to(column, (_HEIGHT, _WIDTH, 3)).round().astype(np.uint8))


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(11 * _SCALE)


def draw_poster(styles: tuple[int, int, int], title: str, rng: np.random.Generator) -> Image.Image:
    """Draw a poster.

    Args:
        styles: The indices of the palette, the motif and the layout.
        title: Words to set below the picture; a line each.
        rng: Where the jitter of shades and positions comes from.

    Returns:
        An RGB picture of `POSTER_SIZE`.

    Example:
        >>> draw_poster((6, 6, 0), "Silver Echo", np.random.default_rng(0)).size
        (96, 144)
    """
    palette, motif, layout = styles
    upper, lower, colour, accent = (_shade(code, rng) for code in PALETTES[palette])
    image = _gradient(upper, lower)
    canvas = _Canvas(image, colour, accent)
    if layout == _FACING:  # two panels, so that the layout shows in the colours too
        edge = _HEIGHT * rng.normal(0.37, 0.01)
        canvas.draw.rectangle((0, 0, _WIDTH, edge), fill=lower)
        canvas.draw.rectangle((0, edge, _WIDTH, 0.74 * _HEIGHT), fill=upper)
    for x, y, size in LAYOUTS[layout](rng):
        MOTIFS[motif](canvas, (x * _WIDTH, y * _HEIGHT), size * _WIDTH)
    ink = max(colour, accent, key=lambda tone: math.dist(tone, lower))
    for line, word in enumerate(title.upper().split()):
        at = (_WIDTH / 2, _HEIGHT * (0.84 + 0.09 * line))
        canvas.draw.text(at, word, fill=ink, font=_font(), anchor="mm")
    return image.reduce(_SCALE)


def encode_poster(image: Image.Image) -> bytes:
    """Return the PNG file of a picture; the same picture gives the same bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
