"""From a matplotlib figure to an SVG that belongs to the page: its colours, its fonts, its ids.

The figure is drawn in stand-in colours; here they become the page's CSS variables, so that one
picture serves the light and the dark page. Text stays text, so that it can be read and searched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, NamedTuple

from bayesfuse.report.extras import missing_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

INK = "#010203"
MUTED = "#040506"
GRID = "#070809"
ACCENT = "#0a0b0c"
SECOND = "#0d0e0f"
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", ACCENT: "accent", SECOND: "second"}


class Colours(NamedTuple):
    """What a figure is drawn in."""

    ink: str
    muted: str
    grid: str
    accent: str
    second: str


PAGE = Colours(INK, MUTED, GRID, ACCENT, SECOND)
"""Stand-ins, for the page's own."""

PAPER = Colours("#1b1f27", "#59616f", "#dfe3ea", "#1f5fa8", "#b4480f")
"""On white, for files."""


def _style(colours: Colours) -> dict[RcKeyType, str | float | bool]:
    return {
        "axes.edgecolor": colours.muted,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.labelcolor": colours.ink,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "font.size": 8.5,
        "grid.color": colours.grid,
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "svg.fonttype": "none",
        "text.color": colours.ink,
        "text.usetex": False,
        "text.parse_math": False,  # a label may hold a dollar sign
        "xtick.color": colours.muted,
        "xtick.labelcolor": colours.ink,
        "ytick.color": colours.muted,
        "ytick.labelcolor": colours.ink,
    }


@dataclass(frozen=True)
class Picture:
    """One figure of the page.

    Args:
        name: A word for ids, unique on the page.
        svg: The drawing, an `<svg>` element.
        alt: What a reader who cannot see it must know.
        caption: What every reader sees below it.
    """

    name: str
    svg: str
    alt: str
    caption: str


@contextmanager
def canvas(width: float, height: float, colours: Colours = PAGE) -> Iterator[Figure]:
    """Yield an empty figure of `width` x `height` inches in the page's style.

    Neither matplotlib's settings nor its backend are changed for anyone else.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_extra("matplotlib") from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's matplotlibrc has no say in a report
        matplotlib.rcParams.update(_style(colours))
        yield Figure(figsize=(width, height), layout="constrained")


def to_picture(figure: Figure, name: str, alt: str, caption: str) -> Picture:
    """Return the figure as a picture; call it inside the `canvas` that made the figure."""
    import matplotlib

    # A fixed salt and no date: the same numbers give the same bytes.
    matplotlib.rcParams["svg.hashsalt"] = name
    buffer = StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, dpi=150, metadata=nothing)
    return Picture(name, _clean(buffer.getvalue(), name, alt), alt, caption)


def _clean(svg: str, name: str, alt: str) -> str:
    """Make a file into an element: no prolog, own ids, the page's colours and fonts."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.S)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    # matplotlib writes a style with its own fonts, as one property or as two.
    svg = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", svg)
    svg = re.sub(r"font-family: [^;\"]+;? ?", "", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    head, rest = svg.split(">", 1)
    view = re.search(r'viewBox="[^"]+"', head)
    assert view is not None, "matplotlib writes a viewBox"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'{view.group()} role="img" aria-label="{escape(alt)}">{rest.strip()}\n'
    )
