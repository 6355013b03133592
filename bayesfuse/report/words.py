"""How a report writes numbers, names of metrics and the sentences at its head."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bayesfuse.report.data import ReportData


WORDS = {"ap": "AP", "auc": "AUC", "brier": "Brier score", "ece": "ECE", "f1": "F1", "nll": "NLL"}
"""How a word of a metric's name is written."""

MEANINGS = {
    "ap": "average precision, from 0 to 1; higher is better",
    "f1": "harmonic mean of precision and recall, from 0 to 1; higher is better",
    "auc": "area under a curve, from 0 to 1; higher is better",
    "nll": "negative log likelihood, in nats a label; lower is better",
    "brier": "mean squared error of the probability; lower is better",
    "debiased": "the same in bins of equal count, less what chance adds; it may be below 0",
    "shown": "calibration error of the three likeliest labels of each item",
    "ece": "expected calibration error, in probability; lower is better",
    "sharpness": "mean of p (1 − p): the Brier score that the model itself promises",
}
"""What a metric is, by a word of its name."""


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


def format_fine(value: float) -> str:
    """Write a share as a percentage with one decimal, without the sign.

    Example:
        >>> format_fine(0.9961), format_fine(0.0004)
        ('99.6', '<0.1')
    """
    return "<0.1" if 0 < value < 0.0005 else f"{100 * value:.1f}"


def format_signed(value: float) -> str:
    """Write a difference with its sign.

    Example:
        >>> format_signed(0.0123), format_signed(-0.2), format_signed(float("nan"))
        ('+0.012', '−0.200', '–')
    """
    text = format_number(float(value))
    if text.startswith("-"):
        return f"−{text[1:]}"
    return text if text == "–" else f"+{text}"


class Ends(Protocol):
    """What has a lower and an upper end."""

    @property
    def low(self) -> float:
        """The lower end."""
        ...

    @property
    def high(self) -> float:
        """The upper end."""
        ...


def format_interval(value: Ends | None, signed: bool = False) -> str:
    """Write an interval as its two ends; nothing for none, and for one that is not defined.

    Example:
        >>> from bayesfuse.evaluation.resampling import Interval
        >>> format_interval(Interval(0.2, 0.1, 0.3)), format_interval(None)
        ('0.100 to 0.300', '')
        >>> format_interval(Interval(0.2, -0.1, 0.3), signed=True)
        '−0.100 to +0.300'
    """
    if value is None or math.isnan(value.low):
        return ""
    write = format_signed if signed else format_number
    ends = (write(value.low), write(value.high))
    return " to ".join(f"−{end[1:]}" if end.startswith("-") else end for end in ends)


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
    return next((MEANINGS[word] for word in reversed(key.split("_")) if word in MEANINGS), "")
