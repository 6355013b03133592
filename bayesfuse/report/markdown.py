"""A report as Markdown, for terminals and pull requests: tables only, no HTML and no pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from bayesfuse.evaluation.resampling import Interval
from bayesfuse.report.competitors import SCORES, Competitor
from bayesfuse.report.data import ReportData
from bayesfuse.report.risk import COVERAGES
from bayesfuse.report.robustness_section import HEADER, MEANING, robustness_rows
from bayesfuse.report.strata import MissingRow, Stratum
from bayesfuse.report.words import (
    format_interval,
    format_number,
    format_percent,
    format_signed,
    metric_meaning,
    metric_name,
    summary,
)

NUM_ITEMS = 10
"""Uncertain items that are listed unless more are asked for."""

NUM_SURPRISES = 10
"""Rows of the table of surprising errors."""

MAX_ODD = 12
"""Statistics that do not fit."""


def render_markdown(data: ReportData) -> str:
    """Return the report as GitHub-flavoured Markdown.

    Args:
        data: What to show; nothing is computed here, numbers are only rounded.

    Returns:
        Text whose tables are aligned, to be read as it is, too. Every string of `data` is escaped:
        none of it becomes a heading, a link, a tag or a column.
    """
    parts = [f"# {escape(data.title)}", summary_line(data)]
    notes = list(data.warnings)
    if data.temperature != 1:
        notes.insert(
            0,
            f"The KL term was weighted by {format_number(data.temperature)} at the end of "
            "training: a tempered posterior, not the posterior of the model.",
        )
    if notes:
        parts.append("\n".join(f"> - {escape(note)}" for note in notes))
    scores = (_metrics, _competitors, _risk, _robustness, _labels, _check, _strata)
    for section in (*scores, _items, _surprises):
        parts += section(data)
    return "\n\n".join([*parts, *_settings(data)]) + "\n"


def summary_line(data: ReportData) -> str:
    """Return the sentences at the head, escaped."""
    return escape(summary(data))


def escape(text: object) -> str:
    r"""Return a text that Markdown shows as it is, in one line.

    Example:
        >>> print(escape("a|b *c* <d>\n[e](f)"))
        a\|b \*c\* \<d\> \[e\](f)
    """
    one = " ".join(str(text).split())
    one = re.sub(r"([\\`*_\[\]<>|~#&$])", r"\\\1", one)
    # what a line may start with: lists and rules
    return re.sub(r"^(\d*)([-+.)])(?=\s|$)", r"\1\\\2", one)


def code(text: str) -> str:
    """Return a line as a block of code, whatever it holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}console\n{' '.join(text.splitlines())}\n{fence}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a table whose columns are aligned; the first `left` are texts, the others numbers.

    Args:
        header: What stands above the columns.
        rows: As many texts as `header` has, escaped already.
        left: How many columns are texts.

    Example:
        >>> print(table(["label", "AP"], [["Horror", "0.61"], ["War", "0.5"]]))
        | label  |   AP |
        | ------ | ---: |
        | Horror | 0.61 |
        | War    |  0.5 |
    """
    whole = [list(header), *map(list, rows)]
    widths = [max(3, *map(len, column)) for column in zip(*whole, strict=True)]
    lines = [
        "| "
        + " | ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in whole
    ]
    rule = [
        "-" * width if column < left else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    lines.insert(1, f"| {' | '.join(rule)} |")
    return "\n".join(lines)


def _with_ends(one: Interval, write: Callable[[float], str] = format_number) -> str:
    ends = format_interval(one, signed=write is format_signed)
    return f"{write(one.estimate)} ({ends})" if ends else write(one.estimate)


def _metrics(data: ReportData) -> list[str]:
    found = data.statistics.intervals
    rows = [
        [
            escape(metric_name(key)),
            format_number(value),
            format_interval(found.get(key)),
            metric_meaning(key),
        ]
        for key, value in data.metrics.items()
    ]
    header = ["Metric", "Value", "95 % interval", "What it is"]
    if not found:
        header.pop(2)
        rows = [[*row[:2], row[3]] for row in rows]
    rows = [[row[0], row[-1], *row[1:-1]] for row in rows]
    return ["## Metrics", table([header[0], header[-1], *header[1:-1]], rows, left=2)]


def _competitors(data: ReportData) -> list[str]:
    found = data.statistics.competitors
    if found is None:
        return []
    rows = [
        [
            escape(row.name),
            *(_with_spread(row, key) for key in SCORES),
            f"{row.fit_seconds:.3g}",
            f"{row.predict_seconds:.3g}",
            f"{row.num_parameters:,}",
        ]
        for row in found.rows
    ]
    header = ["Method", *SCORES.values(), "Fit, s", "Predict, s", "Parameters"]
    parts = [f"## {found.title}"]
    parts += [escape(note) for note in found.notes]
    parts.append(table(header, rows))
    if len(found.rows) > 1:
        first, *others = found.rows
        rows = [[escape(row.name), *(_difference(row, key) for key in SCORES)] for row in others]
        parts.append(
            f"More than {escape(first.name)}, with {100 * found.level:g} % intervals over the same "
            "items; in bold where 0 is outside:"
        )
        parts.append(table(["Method", *SCORES.values()], rows))
    return parts


def _with_spread(row: Competitor, key: str) -> str:
    text = _with_ends(row.scores[key])
    return f"{text} ± {format_number(row.spreads[key])}" if key in row.spreads else text


def _difference(row: Competitor, key: str) -> str:
    one, p = row.differences[key], row.p_seeds.get(key)
    text = _with_ends(one, format_signed)
    text = f"**{text}**" if one.excludes_zero else text
    return text if p is None else f"{text}, p = {p:.3f}"


def _risk(data: ReportData) -> list[str]:
    risks = data.statistics.risks
    if risks is None:
        return []
    curves = [("all decisions", risks.decisions), ("whole items", risks.items)]
    curves += [(escape(curve.name), curve) for curve in risks.labels]
    rows = [
        [name, *map(_with_ends, curve.at), _with_ends(curve.aurc), format_number(curve.excess)]
        for name, curve in curves
    ]
    header = ["Of", *(f"{format_percent(share)} kept" for share in COVERAGES), "AURC", "Excess"]
    return [
        "## Risk and coverage",
        "Share that is wrong of the decisions, or items, that are kept, the surest first, with "
        "95 % intervals over items.",
        table(header, rows),
    ]


def _robustness(data: ReportData) -> list[str]:
    found = data.statistics.robustness
    return (
        [] if found is None else ["## Robustness", MEANING, table(HEADER, robustness_rows(found))]
    )


def _labels(data: ReportData) -> list[str]:
    rows = [
        [
            escape(row.name),
            f"{row.num_positives:,}",
            *(
                format_number(value)
                for value in (
                    *(row.base_rate, row.average_precision, row.f1, row.threshold),
                    *(row.brier, row.ece),
                )
            ),
        ]
        for row in data.labels
    ]
    header = ["Label", "Items", "Base rate", "AP", "F1", "Threshold", "Brier", "ECE"]
    return ["## Labels", table(header, rows)]


def _check(data: ReportData) -> list[str]:
    check = data.statistics.check
    if check is None:
        return []
    families = [
        [
            one.family,
            escape(one.stratum or "all"),
            f"{one.num_items:,}",
            f"{one.num_outside} of {one.num_statistics:,}",
            format_number(one.p),
        ]
        for one in check.families
    ]
    parts = [
        "## Predictive checks",
        f"Labels beside {check.num_replicates:,} data sets that the model draws for the same "
        f"{check.num_items:,} items. p counts how many statistics were looked at: a right model "
        "has it below 0.05 in one of twenty.",
        table(["Statistics", "Of", "Items", "Outside 95 %", "p"], families, left=2),
    ]
    odd = check.surprising()
    if not odd:
        return [*parts, "No statistic is further out than chance has it."]
    rows = [
        [
            f"{one.family}: {escape(one.name)}",
            escape(one.stratum or "all"),
            format_number(one.observed),
            f"{format_number(one.mean)} ({format_interval(one)})",
            format_number(one.adjusted),
        ]
        for one in odd[:MAX_ODD]
    ]
    header = ["What does not fit", "Of", "Observed", "Predicted", "p, adjusted"]
    return [*parts, table(header, rows, left=2)]


def _strata(data: ReportData) -> list[str]:
    strata, missing = data.statistics.strata, data.statistics.missing
    parts = []
    if strata or missing:
        parts.append("## Strata")
    if strata:
        header = ["Items", "Number", "Macro AP", "NLL", "ECE, debiased", "Epistemic share"]
        parts.append(table(header, [_stratum(row) for row in strata]))
    if missing:
        header = ["Hidden", "Of items", "Macro AP", "NLL", "ECE", "Confidence", "Epistemic, nats"]
        parts.append("With a modality hidden of some items, drawn at random:")
        parts.append(table(header, [_missing(row) for row in missing]))
    return [*parts, *map(escape, data.statistics.notes)]


def _stratum(row: Stratum) -> list[str]:
    scores = (row.macro_ap, row.nll, row.ece, row.epistemic)
    return [escape(row.name), f"{row.num_items:,}", *map(_with_ends, scores)]


def _missing(row: MissingRow) -> list[str]:
    scores = (row.macro_ap, row.nll, row.ece, row.confidence, row.epistemic)
    name = escape(row.name or "nothing")
    return [name, format_percent(row.share), *map(format_number, scores)]


def _items(data: ReportData) -> list[str]:
    rows = []
    for item in data.items:
        tags = [
            f"{'**' * tag.decision}{escape(tag.label)}{'**' * tag.decision} "
            f"{format_percent(tag.mean)} ({format_percent(tag.q05)} to {format_percent(tag.q95)})"
            for tag in item.tags
        ]
        rows.append(
            [
                escape(item.id if item.title is None else f"{item.title} ({item.id})"),
                ", ".join(tags),
                "left to a person" if item.left_to_person else "tagged",
                format_number(item.uncertainty),
                format_percent(item.epistemic_share),
            ]
        )
    if not rows:
        return []
    header = ["Item", "Tags (90 % interval)", "Decision", "Uncertainty, nats", "Epistemic share"]
    return [
        "## Uncertain items",
        f"The {len(rows)} most uncertain items; a tag in bold is given.",
        table(header, rows, left=3),
    ]


def _surprises(data: ReportData) -> list[str]:
    rows = [
        [
            escape(row.id if row.title is None else f"{row.title} ({row.id})"),
            f"{escape(row.tag.label)}: {'yes' if row.tag.truth else 'no'}",
            f"{format_percent(row.tag.mean)} ({format_percent(row.tag.q05)} to "
            f"{format_percent(row.tag.q95)})",
        ]
        for row in data.surprises[:NUM_SURPRISES]
    ]
    if not rows:
        return []
    header = ["Item", "Truth", "Probability (90 % interval)"]
    return ["## Most surprising errors", table(header, rows, left=2)]


def _settings(data: ReportData) -> list[str]:
    lines = (
        ("To fit this run again:", data.command),
        ("The fit as it was typed:", data.typed),
        ("This report as it was typed:", data.report_command),
    )
    parts = ["## Settings"]
    for words, line in lines:
        if line:
            parts += [words, code(line)]
    versions = [[escape(name), escape(value)] for name, value in data.versions.items()]
    return [*parts, table(["Package", "Version"], versions, left=2)] if versions else parts
