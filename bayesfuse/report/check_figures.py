"""The figures of `bayesfuse check` as files of their own."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bayesfuse.errors import write_error
from bayesfuse.estimator.checking import RunCheck
from bayesfuse.evaluation.isotonic import IsotonicReliability
from bayesfuse.report.predictive import check_sketches, strata_of_check
from bayesfuse.report.sketch import Sketch, shortened
from bayesfuse.report.svg import Colours

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 4
MAX_LABELS = 40
"""Labels whose reliability is drawn: the most doubtful ones."""


def write_check_figures(found: RunCheck, folder: Path) -> list[Path]:
    """Write every figure of a check into a new folder, as SVG and as PNG on white.

    They are named by what they show: `posterior-label-rate.svg`,
    `prior-labels-an-item-without-text.png`, `reliability.svg`.

    Args:
        found: The check.
        folder: The folder to make; it must not exist.

    Returns:
        The files, in the order of the check.

    Raises:
        MissingExtraError: If matplotlib is not installed; nothing is written then.
        BayesfuseError: If the folder is there already or cannot be written.
    """
    checks = [check for check in (found.posterior, found.prior) if check is not None]
    sketches = [
        sketch
        for check in checks
        for stratum in strata_of_check(check)
        for sketch in check_sketches(check, stratum)
    ]
    sketches.append(reliability_sketch(found.reliability.labels))
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.mkdir(parents=True)
        files = [file for sketch in sketches for file in sketch.write(partial)]
        os.rename(partial, folder)  # fails where something is in the folder
    except OSError as error:
        raise write_error(folder, error, "Make room or choose another --figures.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return [folder / file.name for file in files]


def reliability_sketch(labels: Sequence[IsotonicReliability]) -> Sketch:
    """Return a small diagram a label: its isotonic regression in the band of consistency.

    Args:
        labels: At least one label; of more than `MAX_LABELS` the most doubtful are drawn.
    """
    shown = list(labels)
    if len(shown) > MAX_LABELS:
        shown = sorted(shown, key=lambda one: one.p)[:MAX_LABELS]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)

    def draw(figure: Figure, colours: Colours) -> None:
        every = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in every[len(shown) :]:
            axes.set_axis_off()
        for axes, one in zip(every, shown, strict=False):
            axes.plot([0, 1], [0, 1], color=colours.muted, linestyle="--", linewidth=0.8)
            axes.fill_between(
                one.predicted, one.low, one.high, color=colours.muted, alpha=0.25, linewidth=0
            )
            colour = colours.second if one.p < 0.05 else colours.accent
            axes.plot(one.predicted, one.observed, color=colour, linewidth=1.4)
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
            axes.set_title(f"{shortened(one.name, 20)}  p {one.p:.3f}", fontsize=8)
            axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
            axes.set_yticks([0, 0.5, 1], ["0", "½", "1"])
        figure.supxlabel("predicted probability", fontsize=8.5)
        figure.supylabel("observed frequency", fontsize=8.5)

    told = ", ".join(f"{one.name} p {one.p:.3f}" for one in sorted(shown, key=lambda one: one.p))
    alt = (
        "Reliability of each label by isotonic regression, the shaded band holds 95 % of what "
        f"reliable probabilities would give; p of its miscalibration: {told}."
    )
    caption = "Reliability of each label by isotonic regression, in its band of consistency."
    return Sketch("reliability", 1.75 * columns + 0.3, 1.85 * rows + 0.3, draw, alt, caption)
