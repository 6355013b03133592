"""The figures of a predictive check: what was observed beside what the model draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bayesfuse.evaluation.checks import (
    COUNTS,
    PAIRS,
    RATES,
    SETS,
    FamilyCheck,
    PredictiveCheck,
    StatisticCheck,
)
from bayesfuse.report.sketch import Sketch, Span, draw_spans
from bayesfuse.report.svg import Colours

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS = 24
"""Lines of a figure; of more statistics, the most surprising ones are drawn."""

MOST_PAIRS = 12
"""Pairs of labels in a figure."""

SURPRISING = 0.05
"""Adjusted p-values below this are marked."""


def check_sketches(check: PredictiveCheck, stratum: str = "") -> list[Sketch]:
    """Return the figures of a check in one stratum, one a family of statistics.

    Args:
        check: The check.
        stratum: Of which items; empty for all.

    Returns:
        Those of the families that were looked at there.

    Example:
        >>> import numpy as np
        >>> from bayesfuse.evaluation.checks import predictive_check
        >>> rng = np.random.default_rng(0)
        >>> labels = rng.random((50, 2)) < 0.3
        >>> found = predictive_check(np.full((4, 50, 2), 0.3), labels, ["Drama", "War"])
        >>> [sketch.name for sketch in check_sketches(found)]
        ['posterior-label-rate', 'posterior-labels-an-item', 'posterior-label-pair', \
'posterior-label-sets']
    """
    makers = {RATES: _rates, COUNTS: _counts, PAIRS: _pairs, SETS: _sets}
    found = []
    for family in check.families:
        if family.stratum == stratum:
            rows = [
                one
                for one in check.statistics
                if one.family == family.family and one.stratum == stratum
            ]
            found.append(makers[family.family](_name(check, family), family, rows))
    return found


def strata_of_check(check: PredictiveCheck) -> list[str]:
    """Return the strata that were looked at, all items (an empty name) first."""
    return list(dict.fromkeys(family.stratum for family in check.families))


def _name(check: PredictiveCheck, family: FamilyCheck) -> str:
    parts = [check.kind, family.family, family.stratum]
    return "-".join("".join(c if c.isalnum() else "-" for c in p) for p in parts if p)


def _rates(name: str, family: FamilyCheck, rows: Sequence[StatisticCheck]) -> Sketch:
    shown = _most_surprising(rows, MOST_ROWS)
    shown = sorted(shown, key=lambda one: -one.observed)
    return _lines(name, "Rate of each label", "share of the items", family, shown)


def _pairs(name: str, family: FamilyCheck, rows: Sequence[StatisticCheck]) -> Sketch:
    shown = _most_surprising(rows, MOST_PAIRS)
    return _lines(name, "Labels that come together", "share of the items", family, shown)


def _lines(
    name: str, title: str, unit: str, family: FamilyCheck, rows: Sequence[StatisticCheck]
) -> Sketch:
    def draw(figure: Figure, colours: Colours) -> None:
        axes = figure.subplots()
        draw_spans(axes, [_span(one) for one in rows], colours)
        axes.set(title=_title(name, title, family), xlabel=unit)

    caption = f"{title}{_of(family)}. {_verdict(family)}"
    if len(rows) < family.num_statistics:
        caption += f" Here are the {len(rows)} most surprising of {family.num_statistics:,}."
    return Sketch(name, 4.2, 0.85 + 0.2 * len(rows), draw, _alt(title, family, rows), caption)


def _counts(name: str, family: FamilyCheck, rows: Sequence[StatisticCheck]) -> Sketch:
    classes = [one for one in rows if one.name not in ("mean", "standard deviation")]
    title = "Number of labels an item"

    def draw(figure: Figure, colours: Colours) -> None:
        axes = figure.subplots()
        places = range(len(classes))
        axes.bar(places, [one.observed for one in classes], color=colours.accent, width=0.7)
        axes.vlines(
            places,
            [one.low for one in classes],
            [one.high for one in classes],
            color=colours.ink,
            linewidth=1.6,
        )
        axes.plot(places, [one.mean for one in classes], "_", color=colours.ink, markersize=9)
        odd = [(n, one.observed) for n, one in enumerate(classes) if one.adjusted < SURPRISING]
        for point in odd:
            axes.plot(*point, "D", color=colours.second, markersize=5)
        short = [one.name.split()[0] + ("+" if "more" in one.name else "") for one in classes]
        axes.set_xticks(places, short)
        axes.grid(visible=False, axis="x")
        axes.set(
            title=_title(name, title, family),
            xlabel="labels of an item",
            ylabel="share of the items",
        )

    caption = f"{title}{_of(family)}; bars are what was observed. {_verdict(family)}"
    return Sketch(name, 4.2, 2.6, draw, _alt(title, family, rows), caption)


def _sets(name: str, family: FamilyCheck, rows: Sequence[StatisticCheck]) -> Sketch:
    title = "Combinations of labels"

    def draw(figure: Figure, colours: Colours) -> None:
        every = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
        for axes, one in zip(every, rows, strict=True):  # each in a unit of its own
            draw_spans(axes, [_span(one)], colours)
            axes.margins(x=0.12)
        every[0].set_title(_title(name, title, family))

    caption = (
        f"{title}{_of(family)}: how many different ones there are, the largest, the share of items "
        f"that are alone with theirs, and the share of the commonest. {_verdict(family)}"
    )
    return Sketch(name, 4.2, 0.5 + 0.55 * len(rows), draw, _alt(title, family, rows), caption)


def _most_surprising(rows: Sequence[StatisticCheck], most: int) -> list[StatisticCheck]:
    return sorted(rows, key=lambda one: (one.adjusted, one.p))[:most]


def _span(one: StatisticCheck) -> Span:
    return Span(
        one.name,
        one.low,
        one.high,
        one.mean,
        value=one.observed,
        note=f"p {one.p:.3f}",
        marked=one.adjusted < SURPRISING,
    )


def _title(name: str, title: str, family: FamilyCheck) -> str:
    """Say of what it is, where a file lies beside others."""
    return f"{title}{_of(family)}{' (prior)' if name.startswith('prior') else ''}"


def _of(family: FamilyCheck) -> str:
    return f", {family.num_items:,} items {family.stratum}" if family.stratum else ""


def _verdict(family: FamilyCheck) -> str:
    return (
        f"{family.num_outside} of {family.num_statistics:,} are outside; a right model is as far "
        f"out with probability {family.p:.3f}."
    )


def _alt(title: str, family: FamilyCheck, rows: Sequence[StatisticCheck]) -> str:
    """Say which statistic is furthest out."""
    head = f"{title}{_of(family)}, observed and predicted, {len(rows)} statistics"
    known = [one for one in rows if math.isfinite(one.p)]
    if not known:
        return f"{head}."
    worst = min(known, key=lambda one: (one.adjusted, one.p))
    return (
        f"{head}. Least likely: {worst.name}, observed {worst.observed:.3g}, predicted "
        f"{worst.low:.3g} to {worst.high:.3g}, p {worst.p:.3f}."
    )
