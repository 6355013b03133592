"""A paper's tables made again: each row's scores here beside those that were published."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesfuse.estimator.reproducing.published import SCORE_NAMES, PaperRow, PaperTables
from bayesfuse.estimator.tables.fitting import RowResult
from bayesfuse.estimator.tables.table import LeftOut, piped
from bayesfuse.evaluation.metrics import average_precision, f1
from bayesfuse.evaluation.text import aligned, json_safe


@dataclass(frozen=True)
class MadeRow:
    """A row that was fitted here.

    Attributes:
        row: What the paper has.
        means: Score to its mean over seeds.
        spreads: Score to its standard deviation over seeds; NaN of one seed.
        fit_seconds: Mean seconds of a fit.
    """

    row: PaperRow
    means: Mapping[str, float]
    spreads: Mapping[str, float]
    fit_seconds: float


@dataclass(frozen=True)
class Reproduction:
    """A paper's tables, made again.

    Attributes:
        tables: The paper's.
        made: The rows fitted here, in the paper's order.
        left_out: The other rows, and why.
        about: Catalogue, split, numbers of items, labels and seeds.
        same_data: Whether the catalogue is the paper's data set.
    """

    tables: PaperTables
    made: Sequence[MadeRow]
    left_out: Sequence[LeftOut]
    about: Mapping[str, Any]
    same_data: bool

    @property
    def comparable(self) -> bool:
        """Whether the numbers are of the same split of the same data set."""
        return self.same_data and self.about["scored"] == self.tables.split

    @property
    def verdict(self) -> str:
        """What the two kinds of numbers have to do with each other, in a sentence or two."""
        tables, about = self.tables, self.about
        theirs = f"{tables.data}, {tables.split}"
        if self.comparable:
            return f"Both are of {theirs}, as its authors split it; the notes tell what differs."
        return (
            f"NOT COMPARABLE: the published numbers are of {theirs}; those made here are of "
            f"{about['catalog']}, {about['scored']}. At most the order of the rows can be held "
            "against the paper's."
        )

    def headline(self) -> str:
        """Return what it is, in a few lines."""
        about = self.about
        seeds = about["seeds"]
        over = f"± standard deviation over {seeds} seeds" if seeds > 1 else "of 1 seed"
        return (
            f"{self.tables.paper}: {self.tables.tables}\n"
            f"{about['catalog']}, {about['scored']}: {about['items']:,} items, {about['labels']} "
            f"labels, mean {over}; F1 of tags at 0.5\n{self.verdict}"
        )

    def __str__(self) -> str:
        """Return the headline, the table, what it lacks, and notes."""
        parts = [self.headline(), aligned(*self._table())]
        if self.left_out:
            told = "\n".join(f"  {one.name}: {one.reason}" for one in self.left_out)
            parts.append(f"Not made here:\n{told}")
        parts.append("\n".join(["Notes:", *(f"  {note}" for note in self.tables.notes)]))
        return "\n\n".join(parts)

    def to_markdown(self) -> str:
        """Return the same as a Markdown page."""
        parts = [f"# {self.tables.paper}, {self.tables.tables}"]
        parts += self.headline().splitlines()[1:]
        parts.append(piped(*self._table()))
        if self.left_out:
            rows = [[one.name, " ".join(one.reason.split())] for one in self.left_out]
            parts += ["Not made here:", piped(["row", "reason"], rows)]
        parts.append("\n".join(f"- {note}" for note in self.tables.notes))
        return "\n\n".join(parts) + "\n"

    def to_frame(self) -> pd.DataFrame:
        """Return one row a (row, score).

        Columns: `row`, `table`, `score`, `here`, `here_sd`, `published`, `published_sd`.
        """
        found = []
        made = {one.row.name: one for one in self.made}
        for row in self.tables.rows:
            one = made.get(row.name)
            for score in self.tables.scores:
                found.append(
                    {
                        "row": row.name,
                        "table": row.table,
                        "score": score,
                        "here": math.nan if one is None else one.means[score],
                        "here_sd": math.nan if one is None else one.spreads[score],
                        "published": row.scores.get(score, math.nan),
                        "published_sd": row.spreads.get(score, math.nan),
                    }
                )
        return pd.DataFrame(found)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and numbers for JSON; what is not defined becomes None."""
        records = [
            {str(key): json_safe(value) for key, value in record.items()}
            for record in self.to_frame().to_dict(orient="records")
        ]
        return {
            "paper": str(self.tables.paper),
            "tables": self.tables.tables,
            "data": self.tables.data,
            **self.about,
            "comparable": self.comparable,
            "scores": records,
            "left_out": [{"row": one.name, "reason": one.reason} for one in self.left_out],
            "notes": list(self.tables.notes),
        }

    def _table(self) -> tuple[list[str], list[list[str]]]:
        scores = self.tables.scores
        header = ["", "table"]
        for score in scores:
            header += [SCORE_NAMES[score], "paper"]
        rows = []
        made = {one.row.name: one for one in self.made}
        for row in self.tables.rows:
            one = made.get(row.name)
            cells = [row.name, row.table]
            for score in scores:
                cells += [
                    "" if one is None else _spelt(one.means[score], one.spreads[score]),
                    _spelt(row.scores.get(score), row.spreads.get(score)),
                ]
            rows.append([*cells, "" if one is None else f"{one.fit_seconds:.1f}"])
        return [*header, "fit s"], rows


def made_row(row: PaperRow, results: Sequence[RowResult], labels: NDArray[np.float32]) -> MadeRow:
    """Return a row's means and spreads over seeds.

    Args:
        row: What the paper has.
        results: What was fitted, one a seed.
        labels: Of the scored items, `items x labels`.
    """
    each = [paper_scores(result.probability, labels) for result in results]
    spread = len(each) > 1
    return MadeRow(
        row,
        {name: float(np.mean([one[name] for one in each])) for name in SCORE_NAMES},
        {
            name: float(np.std([one[name] for one in each], ddof=1)) if spread else math.nan
            for name in SCORE_NAMES
        },
        float(np.mean([result.fit_seconds for result in results])),
    )


def paper_scores(probability: NDArray[np.float32], labels: NDArray[np.float32]) -> dict[str, float]:
    """Return the scores of papers, F1 of tags at 0.5; each in [0, 1].

    Args:
        probability: `items x labels`.
        labels: `items x labels`, 0 or 1.
    """
    tags, ranking = f1(probability, labels), average_precision(probability, labels)
    return {
        "micro_f1": tags.micro,
        "macro_f1": tags.macro,
        "weighted_f1": tags.weighted,
        "samples_f1": tags.samples,
        "micro_ap": ranking.micro,
        "macro_ap": ranking.macro,
        "samples_ap": ranking.samples,
    }


def _spelt(mean: float | None, spread: float | None) -> str:
    """Return a score with three decimals, as papers have it; nothing if there is none."""
    if mean is None:
        return "–"
    if spread is None or math.isnan(spread):
        return f"{mean:.3f}"
    return f"{mean:.3f} ± {spread:.3f}"
