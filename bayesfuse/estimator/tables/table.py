"""A table of models: mean and spread over seeds, and what differs from the first beyond chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesfuse.estimator.comparison import HEADLINES, Comparison, Row
from bayesfuse.estimator.tables.fitting import RowResult
from bayesfuse.evaluation.paired import paired_t
from bayesfuse.evaluation.resampling import Bootstrap, Interval
from bayesfuse.evaluation.text import aligned, json_safe

SURE = 0.05
"""The p over seeds below which a difference is marked."""


@dataclass(frozen=True)
class LeftOut:
    """A row that the table lacks.

    Attributes:
        name: Its name.
        reason: Why, in words.
    """

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class ModelTable:
    """Models fitted on the same items with the same seeds, and scored on the same others.

    Attributes:
        results: Name of a row to its results, one a seed; the first is what the others are held
            against.
        left_out: Rows that could not be fitted.
        about: What it is a table of, in words: catalogue, items, seeds, settings.
        level: Of the intervals.
    """

    results: Mapping[str, Sequence[RowResult]]
    left_out: Sequence[LeftOut]
    about: Mapping[str, Any]
    level: float = 0.95

    @property
    def first(self) -> str:
        """The row that the others are held against."""
        return next(iter(self.results))

    def seeds(self, name: str, score: str) -> list[float]:
        """Return a score of a row, one a seed."""
        return [float(result.scores[score].estimate) for result in self.results[name]]

    def mean(self, name: str, score: str) -> Bootstrap:
        """Return the mean of a score over seeds, on the items and on resamples of them."""
        return Bootstrap.mean([result.scores[score] for result in self.results[name]])

    def spread(self, name: str, score: str) -> float:
        """Return the standard deviation of a score over seeds; NaN of one seed."""
        values = self.seeds(name, score)
        return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan

    def difference(self, name: str, score: str) -> Interval:
        """Return how much more of a score a row has than the first, paired over items."""
        return (self.mean(name, score) - self.mean(self.first, score)).interval(self.level)

    def p_seeds(self, name: str, score: str) -> float:
        """Return the p of the paired t test over seeds against the first row (`paired_t`)."""
        return paired_t(self.seeds(name, score), self.seeds(self.first, score))

    def seconds(self, name: str) -> tuple[float, float]:
        """Return the mean seconds to fit a row, and to predict the scored items."""
        fits = [result.fit_seconds for result in self.results[name]]
        return float(np.mean(fits)), float(
            np.mean([result.predict_seconds for result in self.results[name]])
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row a (method, score).

        Columns: those of `Comparison.to_frame`, and `p_seeds`.
        """
        frame = self._comparison().to_frame()
        told = zip(frame["method"], frame["score"], strict=True)
        frame["p_seeds"] = [
            self.p_seeds(name, score)
            if name != self.first and score in self.results[name][0].scores
            else math.nan
            for name, score in told
        ]
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and numbers for JSON; what is not defined becomes None.

        It is what `bayesfuse report --compare` reads.
        """
        records = [
            {str(key): json_safe(value) for key, value in record.items()}
            for record in self.to_frame().to_dict(orient="records")
        ]
        left_out = [{"method": one.name, "reason": one.reason} for one in self.left_out]
        return {**self.about, "level": self.level, "scores": records, "left_out": left_out}

    def to_markdown(self) -> str:
        """Return the table as a Markdown page, with all p."""
        parts = [f"# Models on {self.about['catalog']}", self.headline(), piped(*self._scores())]
        if len(self.results) > 1:
            parts += [f"{self._held()}:", piped(*self._differences(full=True))]
        if self.left_out:
            rows = [[one.name, one.reason.replace("\n", " ")] for one in self.left_out]
            parts += ["Not in the table:", piped(["model", "reason"], rows)]
        return "\n\n".join(parts) + "\n"

    def headline(self) -> str:
        """Return what it is a table of, in a line."""
        about, seeds = self.about, self.about["seeds"]
        return (
            f"{about['catalog']}, {about['scored']}: {about['items']:,} items, {about['labels']} "
            f"labels, mean {'± standard deviation over ' if seeds > 1 else 'of '}"
            f"{seeds} seed{'s' if seeds > 1 else ''}"
        )

    def __str__(self) -> str:
        """Return aligned tables: the scores, the differences to the first row, what is left out."""
        parts = [aligned(*self._scores())]
        if len(self.results) > 1:
            parts.append(f"{self._held()}:\n{aligned(*self._differences(full=False))}")
        if self.left_out:
            told = "\n".join(f"  {one.name}: {one.reason}" for one in self.left_out)
            parts.append(f"Not in the table:\n{told}")
        return "\n\n".join(parts)

    def _held(self) -> str:
        seeds = "; † p < 0.05 in a paired t test over seeds" if self.about["seeds"] > 1 else ""
        return (
            f"More than {self.first}, with {self.level:.0%} intervals by a paired bootstrap over "
            f"items of the mean over seeds (* excludes 0{seeds}); less NLL and ECE is better"
        )

    def _scores(self) -> tuple[list[str], list[list[str]]]:
        rows = []
        for name, results in self.results.items():
            fit, predict = self.seconds(name)
            scores = [self._spelt(name, score) for score in HEADLINES]
            sizes = [f"{fit:.1f}", f"{predict:.2f}", f"{results[0].num_parameters:,}"]
            rows.append([name, *scores, *sizes])
        return ["", *HEADLINES.values(), "fit s", "predict s", "parameters"], rows

    def _spelt(self, name: str, score: str) -> str:
        value = f"{float(self.mean(name, score).estimate):.4f}"
        spread = self.spread(name, score)
        return value if math.isnan(spread) else f"{value} ± {spread:.4f}"

    def _differences(self, *, full: bool) -> tuple[list[str], list[list[str]]]:
        def told(name: str, score: str) -> str:
            one, p = self.difference(name, score), self.p_seeds(name, score)
            star = "*" if one.excludes_zero else " "
            mark = "†" if p < SURE else " "
            if full:
                mark += "" if math.isnan(p) else f" p={p:.3f}"
            return f"{one.estimate:+.4f} [{one.low:+.4f}, {one.high:+.4f}]{star}{mark}"

        rows = [
            [name, *(told(name, score) for score in HEADLINES)]
            for name in self.results
            if name != self.first
        ]
        return ["", *HEADLINES.values()], rows

    def _comparison(self) -> Comparison:
        rows = []
        for name, results in self.results.items():
            fit, predict = self.seconds(name)
            scores = {score: self.mean(name, score) for score in results[0].scores}
            spread = {score: self.spread(name, score) for score in scores}
            rows.append(Row(name, scores, {}, spread, fit, predict, results[0].num_parameters))
        return Comparison(rows, (), self.about, self.level)


def piped(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table of Markdown: the first column to the left, the others to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )
