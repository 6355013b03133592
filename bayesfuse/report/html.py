"""One HTML page that holds everything: no script, no network, light and dark, fit to print."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from bayesfuse.report import figures
from bayesfuse.report.data import ReportData
from bayesfuse.report.extras import missing_extra
from bayesfuse.report.words import (
    format_number,
    format_percent,
    metric_meaning,
    metric_name,
    summary,
)

MAX_ITEMS = 50
"""Rows of the table of uncertain items."""

MAX_PANELS = 40
"""Small reliability diagrams: one a label, as long as the page stays under a megabyte."""


def render(data: ReportData) -> str:
    """Return the report as one HTML page.

    Args:
        data: What to show; nothing is computed here, numbers are only rounded.

    Returns:
        The page. Every string of `data` is escaped in it.

    Raises:
        MissingExtraError: If jinja2 or matplotlib is not installed.
    """
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
    except ImportError as error:
        raise missing_extra("jinja2") from error
    environment = Environment(
        loader=FunctionLoader(_section),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(number=format_number, percent=format_percent, metric=metric_name)
    source = files("bayesfuse.report").joinpath("page.html.jinja").read_text(encoding="utf-8")
    panels = data.label_reliability[:MAX_PANELS]
    return environment.from_string(source).render(
        data=data,
        summary=summary(data),
        meaning=metric_meaning,
        items=data.items[:MAX_ITEMS],
        curves=figures.training_curves(data.history, data.best_epoch),
        reliability=figures.reliability_diagram(data.reliability),
        panels=figures.reliability_by_label(panels),
        num_hidden_panels=len(data.label_reliability) - len(panels),
        truth=figures.known_truth(data.truth) if data.truth is not None else None,
        precision=figures.average_precision_by_label(data.labels),
        epistemic=figures.epistemic_shares(data.epistemic_shares),
    )


def _section(name: str) -> str:
    """Read a part of the page: each section is a file of its own."""
    return files("bayesfuse.report").joinpath("sections", name).read_text(encoding="utf-8")


def write(data: ReportData, path: str | Path) -> Path:
    """Write the report to `path` and return it; a file that is there is replaced as a whole.

    Args:
        data: What to show.
        path: The HTML file.

    Returns:
        The path of the file.

    Raises:
        MissingExtraError: If jinja2 or matplotlib is not installed.
        OSError: If the file cannot be written.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.partial")
    try:
        partial.write_text(render(data), encoding="utf-8")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target
