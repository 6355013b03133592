"""Which modality tells which label, as a picture on white."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bayesfuse.errors import ConfigError
from bayesfuse.estimator.explained_labels import ExplainedLabels
from bayesfuse.report.figure_file import write_figure
from bayesfuse.report.svg import canvas

SUFFIXES = (".png", ".svg", ".pdf")


def check_picture(path: Path) -> None:
    """Raise unless a picture of this name can be made.

    Raises:
        ConfigError: If its name ends in something else than `SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"--figure {path}: expected a name that ends in {', '.join(SUFFIXES)}.")


def write_label_picture(found: ExplainedLabels, path: Path) -> None:
    """Draw a square for each label and modality: contributions and, if there are any, gates.

    Args:
        found: What `explain_labels` returns.
        path: The file; one that is there is replaced as a whole, and folders are made.

    Raises:
        ConfigError: If the name of the file ends in something else than `SUFFIXES`.
        MissingExtraError: If matplotlib is not installed.
        BayesfuseError: If the file cannot be written.

    Reference: Rodríguez-Bribiesca et al. 2021 (MulT-GMU), the figure of mean gates by genre.
    """
    check_picture(path)
    largest = float(np.nanmax(np.abs(found.contributions.mean), initial=1e-9))
    panels = [("adds to the log-odds", found.contributions, "RdBu", (-largest, largest), "+.2f")]
    if found.gates is not None:
        panels.append(("mean gate", found.gates, "Blues", (0.0, 1.0), ".2f"))
    columns = sum(len(part.modalities) for _, part, *_ in panels)
    with canvas(2.2 + 0.85 * columns, 1.2 + 0.27 * len(found.labels)) as figure:
        ratios = [len(part.modalities) for _, part, *_ in panels]
        drawn = figure.subplots(1, len(panels), squeeze=False, sharey=True, width_ratios=ratios)[0]
        for axes, (title, part, colours, ends, digits) in zip(drawn, panels, strict=True):
            axes.imshow(part.mean, cmap=colours, vmin=ends[0], vmax=ends[1], aspect="auto")
            axes.set_title(title, loc="left")
            axes.set_xticks(range(len(part.modalities)), part.modalities)
            axes.set_yticks(range(len(found.labels)), found.labels)
            axes.grid(visible=False)
            for row, column in np.argwhere(np.isfinite(part.mean)).tolist():
                value = part.mean[row, column]
                dark = abs(value) > 0.62 * ends[1]
                axes.text(
                    column,
                    row,
                    f"{value:{digits}}",
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="white" if dark else "black",
                )
        write_figure(figure, path, "--figure")
