"""A figure before it is drawn: for the page, or for a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bayesfuse.report.svg import PAGE, PAPER, Colours, Picture, canvas, to_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("svg", "png")


@dataclass(frozen=True, eq=False)
class Sketch:
    """What is needed to draw a figure.

    Args:
        name: A word for ids and names of files.
        width: Inches.
        height: Inches.
        draw: Draws on an empty figure in the colours that it is given.
        alt: What a reader who cannot see it must know.
        caption: What every reader sees below it.
    """

    name: str
    width: float
    height: float
    draw: Callable[[Figure, Colours], None]
    alt: str
    caption: str

    def picture(self) -> Picture:
        """Return it for the page, in the page's colours.

        Raises:
            MissingExtraError: If matplotlib is not installed.
        """
        with canvas(self.width, self.height) as figure:
            self.draw(figure, PAGE)
            return to_picture(figure, self.name, self.alt, self.caption)

    def write(self, folder: Path) -> list[Path]:
        """Write it on white into a folder that is there, as SVG and as PNG, and return the files.

        Raises:
            MissingExtraError: If matplotlib is not installed.
            OSError: If a file cannot be written.
        """
        files = [folder / f"{self.name}.{ending}" for ending in FORMATS]
        with canvas(self.width, self.height, PAPER) as figure:
            import matplotlib

            matplotlib.rcParams["svg.hashsalt"] = self.name
            self.draw(figure, PAPER)
            for file in files:
                told: dict[str, str | None] = {"Title": self.alt}
                told |= {"Date": None} if file.suffix == ".svg" else {"Software": None}
                figure.savefig(file, dpi=160, facecolor="white", metadata=told)
        return files


@dataclass(frozen=True)
class Span:
    """A line of `draw_spans`: a range, its middle, and a value that is held against it.

    Args:
        name: What is written before it.
        low: Where the range starts.
        high: Where it ends.
        middle: Its mean or estimate.
        value: The dot; None for a range alone, whose middle is then the dot.
        note: What is written behind it.
        marked: Whether it is to be noticed.
    """

    name: str
    low: float
    high: float
    middle: float
    value: float | None = None
    note: str = ""
    marked: bool = False


def draw_spans(axes: Axes, spans: Sequence[Span], colours: Colours) -> None:
    """Draw one line a span, the first on top; dots that are marked in the second colour."""
    for place, span in enumerate(spans):
        lone = span.value is None
        axes.hlines(
            place,
            span.low,
            span.high,
            color=colours.accent if lone else colours.muted,
            linewidth=2.2 if lone else 4.5,
            alpha=None if lone else 0.45,
        )
        if not lone:
            axes.plot([span.middle], [place], "|", color=colours.ink, markersize=7)
        axes.plot(
            span.middle if span.value is None else span.value,
            place,
            "D" if span.marked else "o",
            color=colours.second if span.marked else colours.accent,
            markersize=4.5,
        )
        if span.note:
            axes.annotate(
                span.note,
                (1.015, place),
                xycoords=axes.get_yaxis_transform(),
                va="center",
                fontsize=7.5,
                color=colours.second if span.marked else colours.muted,
            )
    axes.set_yticks(range(len(spans)), [shortened(span.name) for span in spans])
    axes.set_ylim(len(spans) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.4g}")
    axes.locator_params(axis="x", nbins=5)


def shortened(name: str, width: int = 26) -> str:
    """Cut a long name, so that its figure keeps some room.

    Example:
        >>> shortened("Science fiction and fantasy", 16)
        'Science fiction…'
    """
    return name if len(name) <= width else name[: width - 1] + "…"
