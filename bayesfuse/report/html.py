"""One HTML page that holds everything: no network, light and dark, fit to print."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from bayesfuse.report import competitors, figures, risk, robustness_section
from bayesfuse.report.data import ReportData
from bayesfuse.report.extras import missing_extra
from bayesfuse.report.item_table import item_page, items_script
from bayesfuse.report.pages import num_pages, write_pages
from bayesfuse.report.statistics import pictures_of
from bayesfuse.report.words import (
    format_fine,
    format_interval,
    format_number,
    format_percent,
    format_signed,
    metric_meaning,
    metric_name,
    summary,
)

MAX_PANELS = 40
"""Small reliability diagrams: one a label, as long as the page stays under a megabyte."""


def render(data: ReportData, name: str = "report.html") -> str:
    """Return the report as one HTML page; what it has no room for is in `render_further`.

    Args:
        data: What to show; nothing is computed here, numbers are only rounded.
        name: The name of its file, from which those of further pages are made.

    Returns:
        The page. Every string of `data` is escaped in it.

    Raises:
        MissingExtraError: If jinja2 or matplotlib is not installed.
    """
    panels = data.label_reliability[:MAX_PANELS]
    return _render(
        "page.html.jinja",
        data=data,
        page=item_page(data, name=name),
        script=items_script(),
        summary=summary(data),
        meaning=metric_meaning,
        curves=figures.training_curves(data.history, data.best_epoch),
        reliability=figures.reliability_diagram(data.reliability),
        panels=figures.reliability_by_label(panels),
        num_hidden_panels=len(data.label_reliability) - len(panels),
        truth=figures.known_truth(data.truth) if data.truth is not None else None,
        precision=figures.average_precision_by_label(data.labels),
        epistemic=figures.epistemic_shares(data.epistemic_shares),
        statistics=data.statistics,
        pictures=pictures_of(data.statistics),
        score_names=competitors.SCORES,
        coverages=risk.COVERAGES,
        moved=robustness_section.told(data.statistics.robustness),
    )


def render_further(data: ReportData, number: int, name: str = "report.html") -> str:
    """Return a further page: items that the first one has no room for.

    Args:
        data: The report.
        number: Of the page, from 2.
        name: The name of the first page's file.

    Raises:
        MissingExtraError: If jinja2 is not installed.
    """
    page = item_page(data, number, name)
    return _render("further.html.jinja", data=data, page=page, script=items_script(), name=name)


def _render(template: str, **values: object) -> str:
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
    environment.filters.update(number=format_number, percent=format_percent, fine=format_fine)
    environment.filters.update(interval=format_interval, signed=format_signed, metric=metric_name)
    source = files("bayesfuse.report").joinpath(template).read_text(encoding="utf-8")
    return environment.from_string(source).render(**values)


def _section(name: str) -> str:
    """Read a part of the page: each section is a file of its own."""
    return files("bayesfuse.report").joinpath("sections", name).read_text(encoding="utf-8")


def write(data: ReportData, path: str | Path) -> Path:
    """Write the report to `path` and return it; a file that is there is replaced as a whole.

    Of more than a thousand items there are further pages beside it: `report-2.html` and so on.

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
    write_pages(_pages(data, target.name), target)
    return target


def _pages(data: ReportData, name: str) -> Iterator[str]:
    yield render(data, name)
    for number in range(2, num_pages(len(data.items)) + 1):
        yield render_further(data, number, name)
