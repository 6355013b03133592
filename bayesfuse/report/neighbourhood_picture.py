"""The drawing of a neighbourhood as a PNG, on white."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from bayesfuse.report.neighbourhood import HEIGHT, LINES, WIDTH, Drawing
from bayesfuse.report.svg import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

FONTS = ("Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei")
"""Tried, where they are installed, for characters that the picture's own font lacks."""

_INK = "#1b1f27"
_NODES = ("#b4480f", "#1f5fa8", "#59616f")  # the page's colours, by steps from the centre
_MISSING = "missing from"  # what matplotlib says of a character that no font has


def write_picture(drawing: Drawing, path: str | Path) -> tuple[str, ...]:
    """Draw the neighbourhood into a PNG.

    Args:
        drawing: What `arrange` made.
        path: The file; one that is there is replaced as a whole.

    Returns:
        Warnings: that characters are in no font here.

    Raises:
        MissingExtraError: If matplotlib is not installed.
        OSError: If the file cannot be written.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.partial")
    with canvas(WIDTH / 100, HEIGHT / 100 + 0.8) as figure:
        import matplotlib
        from matplotlib.font_manager import fontManager

        here = {font.name for font in fontManager.ttflist}
        more = [name for name in FONTS if name in here]
        matplotlib.rcParams["font.family"] = ["DejaVu Sans", *more]
        axes = figure.subplots()
        axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0), aspect="equal")
        axes.axis("off")
        axes.set_title(drawing.caption, fontsize=9, color=_INK, wrap=True)
        _draw(axes, drawing)
        lines = [_line(axes, [], [], number, name=name) for name, number in drawing.legend]
        if lines:
            figure.legend(loc="outside lower center", ncols=min(len(lines), 4))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                figure.savefig(
                    partial, format="png", dpi=150, facecolor="white", metadata={"Software": None}
                )
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
    for other in caught:
        if _MISSING not in str(other.message):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    missing = {str(other.message) for other in caught if _MISSING in str(other.message)}
    if not missing:
        return ()
    return (
        f"{target}: {len(missing)} characters are in no font here and are drawn as boxes; a page "
        "(.html) shows them in the browser's fonts.",
    )


def _draw(axes: Axes, drawing: Drawing) -> None:
    from matplotlib.patheffects import withStroke

    for edge in drawing.edges:
        ends = drawing.nodes[edge.first], drawing.nodes[edge.second]
        x, y = [node.x for node in ends], [node.y for node in ends]
        _line(axes, x, y, edge.line, edge.width, 0.8 if edge.first == 0 else 0.4)
    halo = [withStroke(linewidth=2.5, foreground="white")]
    for node in drawing.nodes:
        area = (1.44 * node.radius) ** 2  # points of an inch, from hundredths
        axes.scatter(
            [node.x], [node.y], s=area, color=_NODES[node.hop], edgecolors="white", zorder=3
        )
        axes.text(
            node.x,
            node.y + node.radius + 3,
            node.short,
            ha="center",
            va="top",
            fontsize=7.5,
            color=_INK,
            weight="bold" if node.hop == 0 else "normal",
            path_effects=halo,
            zorder=4,
        )


def _line(
    axes: Axes,
    x: list[float],
    y: list[float],
    number: int,
    width: float = 1.6,
    alpha: float = 1.0,
    name: str | None = None,
) -> Line2D:
    colour, _, dashes = LINES[number]
    # The page's dashes are in hundredths of an inch, matplotlib's in widths of the line.
    pattern = tuple(float(length) / width for length in dashes.split())
    (line,) = axes.plot(x, y, color=colour, linewidth=width, alpha=alpha, zorder=1, label=name)
    line.set_linestyle((0, pattern) if pattern else "solid")
    return line
