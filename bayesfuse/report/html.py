"""One HTML page that holds everything: no script, no network, light and dark, fit to print."""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path

from bayesfuse.report import figures
from bayesfuse.report.data import ReportData
from bayesfuse.report.extras import missing_extra

MAX_ITEMS = 50
"""Rows of the table of uncertain items."""

MAX_PANELS = 40
"""Small reliability diagrams: one a label, as long as the page stays under a megabyte."""

WORDS = {"ap": "AP", "auc": "AUC", "brier": "Brier score", "ece": "ECE", "f1": "F1", "nll": "NLL"}
"""How a word of a metric's name is written."""

MEANINGS = {
    "ap": "average precision, from 0 to 1; higher is better",
    "f1": "harmonic mean of precision and recall, from 0 to 1; higher is better",
    "auc": "area under a curve, from 0 to 1; higher is better",
    "nll": "negative log likelihood, in nats a label; lower is better",
    "brier": "mean squared error of the probability; lower is better",
    "ece": "expected calibration error, in probability; lower is better",
}
"""What a metric is, by a word of its name."""


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
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise missing_extra("jinja2") from error
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
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


def summary(data: ReportData) -> str:
    """Return the sentences at the head of the page, made of the numbers that there are."""
    text = (
        f"{data.num_items:,} items of the {data.split} split and {len(data.labels):,} labels; each "
        f"probability is the mean over {data.num_draws:,} posterior draws."
    )
    if math.isfinite(data.metrics.get("macro_ap", math.nan)):
        text += f" Macro average precision is {data.metrics['macro_ap']:.3f}."
    if math.isfinite(data.reliability.ece):
        text += f" Probabilities are off by {data.reliability.ece:.3f} on average."
    if data.num_left_to_person is not None:
        text += (
            f" {data.num_left_to_person:,} items are too unsure to tag without a look and are left "
            "to a person."
        )
    return text


def format_number(value: object) -> str:
    """Write a number with three decimals, a tiny one with its magnitude, and NaN as a dash.

    Example:
        >>> [format_number(value) for value in (0.17849, 64, 3e-7, float("nan"), "gmu")]
        ['0.178', '64', '3e-07', '–', 'gmu']
    """
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value):
        return "–" if math.isnan(value) else str(value)
    return f"{value:.3f}" if value == 0 or abs(value) >= 5e-4 else f"{value:.0e}"


def format_percent(value: float) -> str:
    """Write a share as a whole percentage.

    Example:
        >>> format_percent(0.628), format_percent(0.004), format_percent(float("nan"))
        ('63 %', '<1 %', '–')
    """
    if math.isnan(value):
        return "–"
    return "<1 %" if 0 < value < 0.005 else f"{100 * value:.0f} %"


def metric_name(key: str) -> str:
    """Write the key of a metric as a reader would.

    Example:
        >>> metric_name("macro_ap"), metric_name("ece_equal_mass")
        ('Macro AP', 'ECE equal mass')
    """
    text = " ".join(WORDS.get(word, word) for word in key.split("_"))
    return text[:1].upper() + text[1:]


def metric_meaning(key: str) -> str:
    """Return what a metric measures, or an empty string for one that the page does not know.

    Example:
        >>> metric_meaning("val_brier")
        'mean squared error of the probability; lower is better'
    """
    return next((MEANINGS[word] for word in key.split("_") if word in MEANINGS), "")
