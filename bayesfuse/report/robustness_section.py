"""How far scores fall when items are moved: what a report says of it, and its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesfuse.report.sketch import Sketch
from bayesfuse.report.svg import Colours
from bayesfuse.report.words import format_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bayesfuse.estimator.robustness import Robustness

MEANING = (
    "Scores of the items as they are, and moved: to where their loss rises most (one step along "
    "its gradient), and as far in a direction that was drawn at random. How far is told in lengths "
    "that standardised features of an item typically have. A curve that falls much faster than the "
    "dashed one hangs on a little that nobody would notice."
)
"""What the section says before its table."""

HEADER = ("Moved by", "NLL", "Macro AP", "NLL, at random", "Macro AP, at random")


def robustness_rows(found: Robustness) -> list[list[str]]:
    """Return the table under `HEADER`, a row for how far items were moved."""
    return [
        [
            f"{row.length:g}",
            *map(format_number, (row.nll, row.macro_ap)),
            *map(format_number, (row.nll_at_random, row.macro_ap_at_random)),
        ]
        for row in found.rows
    ]


def told(found: Robustness | None) -> dict[str, object]:
    """Return what the page's section reads; nothing where there is none."""
    if found is None:
        return {}
    return {"meaning": MEANING, "header": HEADER, "rows": robustness_rows(found)}


def robustness_sketch(found: Robustness) -> Sketch:
    """Return the figure of the macro AP: against the model, and at random."""
    lengths = [row.length for row in found.rows]
    against = [row.macro_ap for row in found.rows]
    at_random = [row.macro_ap_at_random for row in found.rows]

    def draw(figure: Figure, colours: Colours) -> None:
        axes = figure.subplots()
        axes.plot(lengths, at_random, "--", color=colours.muted, linewidth=1.2)
        axes.plot(lengths, against, "o-", color=colours.accent, linewidth=1.6, markersize=3.5)
        axes.set(xlim=(0, None), xlabel="how far items are moved", ylabel="macro AP")
        axes.locator_params(nbins=4)

    told = ", ".join(
        f"{score:.3f} at {length:g}" for length, score in zip(lengths, against, strict=True)
    )
    alt = f"Macro AP by how far items are moved to where the loss rises most: {told}. "
    alt += f"At random it is {at_random[-1]:.3f} at {lengths[-1]:g}."
    caption = "Macro AP of items that are moved to where their loss rises most; dashed, at random."
    return Sketch("robustness", 3.6, 2.6, draw, alt, caption)
