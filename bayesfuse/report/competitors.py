"""What `bayesfuse compare` found, for the report of a run on the same items."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesfuse.config.parsing import parse_json
from bayesfuse.errors import ConfigError
from bayesfuse.evaluation.resampling import Interval
from bayesfuse.report.sketch import Sketch, Span, draw_spans
from bayesfuse.report.svg import Colours

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCORES = {
    "macro_ap": "Macro AP",
    "nll": "NLL",
    "ece": "ECE",
    "brier": "Brier",
    "macro_f1": "Macro F1",
    "aurc": "AURC",
}
"""Scores of the table, by their names in the file."""

DRAWN = {"macro_ap": "higher is better", "nll": "lower is better", "ece": "lower is better"}
"""Scores whose differences are drawn."""

SETTINGS = ("elbo", "temperature", "class_weights", "loss", "graph")
"""Settings that the file tells."""

ADVICE = "Make one for this report with `bayesfuse compare CATALOG --on {split} -o compare.json`."


@dataclass(frozen=True)
class Competitor:
    """One method of a comparison.

    Args:
        name: The method.
        scores: Name in `SCORES` to its value, with its interval over items.
        differences: The same of the difference to the first method, paired over items.
        fit_seconds: Seconds to fit it once.
        predict_seconds: Seconds to predict the scored items.
        num_parameters: Fitted numbers.
        spreads: The score's standard deviation over seeds, where there were several.
        p_seeds: The difference's p in a paired t test over seeds, where there was one.
    """

    name: str
    scores: Mapping[str, Interval]
    differences: Mapping[str, Interval]
    fit_seconds: float
    predict_seconds: float
    num_parameters: int
    spreads: Mapping[str, float] = field(default_factory=dict)
    p_seeds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Competitors:
    """A comparison; the first row is what the others are held against.

    Args:
        rows: The methods.
        level: Of the intervals.
        seeds: How often each was fitted.
        notes: What the reader must know, one sentence each.
        models: Whether the rows are models (`compare --models`), and not ways to the same end.
    """

    rows: Sequence[Competitor]
    level: float
    seeds: int
    notes: Sequence[str] = ()
    models: bool = False

    @property
    def title(self) -> str:
        """What the section is called."""
        return "Models side by side" if self.models else "Against what one would use in its place"


def read_competitors(
    path: Path,
    *,
    split: str,
    label_names: Sequence[str],
    digest: str,
    settings: Mapping[str, Any],
) -> Competitors:
    """Read what `bayesfuse compare -o FILE.json` or `--json` wrote, if it is of these items.

    Args:
        path: The file.
        split: The split of the report.
        label_names: The labels of the run.
        digest: Of the items and labels of the report (`bayesfuse.estimator.comparison.digest_of`).
        settings: Of the run; those in `SETTINGS` are held against the file's.

    Raises:
        ConfigError: If the file cannot be read, is not such a file, or is of other items.
    """
    found = _read(path, split)
    labels = {record["label"] for record in found["scores"] if record["label"]}
    other = sorted(labels ^ set(label_names))
    if labels and other:
        lacks = sorted(set(label_names) - labels)
        more = sorted(labels - set(label_names))
        told = [
            f"{what} {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
            for what, names in (("it lacks", lacks), ("the run does not know", more))
            if names
        ]
        raise ConfigError(
            f"--compare {path} is of other labels than the run: {'; '.join(told)}. "
            f"{ADVICE.format(split=split)}"
        )
    if found["digest"] != digest:
        about = f"{found.get('catalog')}, {found.get('scored')}, {found.get('items')} items"
        raise ConfigError(
            f"--compare {path} is of other items ({about}) than the {split} split of this report, "
            f"or their labels have changed since. {ADVICE.format(split=split)}"
        )
    notes = [
        f"The comparison fitted its Bayesian network with {name.replace('_', ' ')} "
        f"{found[name]}; that of this run is {settings[name]}."
        for name in SETTINGS
        if name in found and name in settings and found[name] != settings[name]
    ]
    left_out = found.get("left_out", [])
    notes += [f"Not in the table: {one['method']}: {one['reason']}" for one in left_out]
    names = dict.fromkeys(record["method"] for record in found["scores"])
    rows = [_method(name, found["scores"]) for name in names]
    models = "left_out" in found
    return Competitors(rows, float(found["level"]), int(found["seeds"]), notes, models)


def _read(path: Path, split: str) -> dict[str, Any]:
    """Return the document if it is one of `bayesfuse compare`.

    Raises:
        ConfigError: If it is not, or cannot be read.
    """
    advice = ADVICE.format(split=split)
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"Cannot read --compare {path}: {reason}. {advice}") from None
    except ValueError:
        raise ConfigError(
            f"--compare {path} is not JSON; a CSV does not tell of which items it is. {advice}"
        ) from None
    wanted = {"scores", "level", "seeds", "digest"}
    lacking = wanted - set(found) if isinstance(found, dict) else wanted
    if lacking:
        raise ConfigError(
            f"--compare {path} is not what `bayesfuse compare` writes: it lacks "
            f"{', '.join(sorted(lacking))}. {advice}"
        )
    return dict(found)


def _method(name: str, records: Sequence[Mapping[str, Any]]) -> Competitor:
    own = {r["score"]: r for r in records if r["method"] == name and not r["label"]}

    def interval(score: str, *keys: str) -> Interval:
        values = (own.get(score, {}).get(key) for key in keys)
        return Interval(*(math.nan if value is None else float(value) for value in values))

    def number(score: str) -> float:
        return interval(score, "estimate", "estimate", "estimate").estimate

    def each(key: str) -> dict[str, float]:
        found = {score: interval(score, key, key, key).estimate for score in SCORES}
        return {score: value for score, value in found.items() if math.isfinite(value)}

    parameters = number("num_parameters")
    return Competitor(
        name,
        {score: interval(score, "estimate", "low", "high") for score in SCORES},
        {
            score: interval(score, "difference", "difference_low", "difference_high")
            for score in SCORES
        },
        number("fit_seconds"),
        number("predict_seconds"),
        0 if math.isnan(parameters) else int(parameters),
        each("seed_sd"),
        each("p_seeds"),
    )


def competitor_sketches(found: Competitors) -> list[Sketch]:
    """Return one figure a score of `DRAWN`: how much more of it each method has than the first."""
    if len(found.rows) < 2:
        return []
    return [_sketch(found, score, better) for score, better in DRAWN.items()]


def _sketch(found: Competitors, score: str, better: str) -> Sketch:
    first, *others = found.rows
    title = f"{SCORES[score]} minus that of {first.name}"
    spans = [
        Span(one.name, of.low, of.high, of.estimate, marked=of.excludes_zero)
        for one in others
        if math.isfinite((of := one.differences[score]).estimate)
    ]

    def draw(figure: Figure, colours: Colours) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=colours.muted, linestyle="--", linewidth=1)
        draw_spans(axes, spans, colours)
        axes.set(title=title, xlabel=better)

    told = "; ".join(f"{s.name} {s.middle:+.4f} ({s.low:+.4f} to {s.high:+.4f})" for s in spans)
    caption = (
        f"{title}, {better}, with {100 * found.level:g} % intervals over the same items; an orange "
        "diamond: 0 is outside."
    )
    height = 0.85 + 0.2 * len(spans)
    return Sketch(f"competitors-{score}", 3.6, height, draw, f"{title}: {told}.", caption)
