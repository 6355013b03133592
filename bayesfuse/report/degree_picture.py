"""How many nodes of a graph have how many neighbours, as a PNG on white."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bayesfuse.errors import ConfigError
from bayesfuse.graph.statistics import DegreeBin
from bayesfuse.report.figure_file import write_figure
from bayesfuse.report.svg import canvas

_INK, _MUTED, _GRID, _BARS = "#1b1f27", "#59616f", "#dfe3ea", "#1f5fa8"


def check_png(path: Path) -> None:
    """Raise unless a file of degrees is to be a PNG.

    Raises:
        ConfigError: If its name does not end so.
    """
    if path.suffix.lower() != ".png":
        raise ConfigError(f"--histogram {path}: expected a name that ends in .png.")


def write_degrees(bins: Sequence[DegreeBin], path: Path) -> None:
    """Draw a bar for each bin of degrees, with its count above it.

    Args:
        bins: What `degree_histogram` returns.
        path: The file; one that is there is replaced as a whole, and folders are made.

    Raises:
        ConfigError: If the name of the file does not end in `.png`.
        MissingExtraError: If matplotlib is not installed.
        BayesfuseError: If the file cannot be written.
    """
    check_png(path)
    names = [f"{b.low:,}" if b.low == b.high else f"{b.low:,}–{b.high:,}" for b in bins]
    with canvas(max(4.0, 0.75 * len(bins) + 0.8), 3.0) as figure:
        axes = figure.subplots()
        drawn = axes.bar(range(len(bins)), [b.count for b in bins], color=_BARS, width=0.8)
        axes.bar_label(drawn, [f"{b.count:,}" for b in bins], fontsize=7.5, color=_INK, padding=2)
        axes.set_xticks(range(len(bins)), names)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
        axes.grid(visible=False, axis="x")
        axes.grid(color=_GRID, axis="y")
        axes.tick_params(colors=_MUTED, labelcolor=_INK)
        axes.spines[["left", "bottom"]].set_color(_MUTED)
        axes.set_xlabel("neighbours", color=_INK)
        axes.set_ylabel("items", color=_INK)
        write_figure(figure, path, "--histogram")
