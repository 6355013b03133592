"""A table of methods: how good, how calibrated, how dear, and what differs beyond chance."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesfuse.evaluation.intervals import score_ends
from bayesfuse.evaluation.resampling import Bootstrap, Interval

HEADLINES = {"macro_ap": "macro AP", "nll": "NLL", "ece": "ECE", "macro_f1": "macro F1"}
"""Scores of the printed table; a fuller set is in the file and in the JSON."""


@dataclass(frozen=True, eq=False)
class Row:
    """What one method came to, means over seeds.

    Attributes:
        name: The method.
        scores: Name to pooled score.
        label_scores: Name to scores, `labels`.
        seed_spread: Name of a pooled score to its standard deviation over seeds; NaN of one seed.
        fit_seconds: Seconds to fit it once, from the features on.
        predict_seconds: Seconds to predict the scored items.
        num_parameters: Fitted numbers.
    """

    name: str
    scores: Mapping[str, Bootstrap]
    label_scores: Mapping[str, Bootstrap]
    seed_spread: Mapping[str, float]
    fit_seconds: float
    predict_seconds: float
    num_parameters: int


@dataclass(frozen=True, eq=False)
class Comparison:
    """Methods fitted on the same items and scored on the same others; prints as a table.

    Attributes:
        rows: The methods; the first is what the others are held against.
        label_names: The labels.
        about: What it is a comparison of, in words: catalogue, items, seeds, settings.
        level: Of the intervals.
    """

    rows: Sequence[Row]
    label_names: Sequence[str]
    about: Mapping[str, Any]
    level: float = 0.95

    def difference(self, row: Row, score: str) -> Interval:
        """Return how much more of a score a method has than the first, paired over items."""
        return (row.scores[score] - self.rows[0].scores[score]).interval(self.level)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a (method, label, score), the label empty for pooled scores.

        Columns: `method`, `label`, `score`, `estimate`, `low`, `high`, `seed_sd`, and
        `difference`, `difference_low`, `difference_high` to the first method.
        """
        found = []
        for row in self.rows:
            for name, seconds in (
                ("fit_seconds", row.fit_seconds),
                ("predict_seconds", row.predict_seconds),
                ("num_parameters", float(row.num_parameters)),
            ):
                found.append({"method": row.name, "label": "", "score": name, "estimate": seconds})
            for name, score in row.scores.items():
                ends = self._ends(name, score, self.rows[0].scores[name])
                spread = {"seed_sd": row.seed_spread[name]}
                found.append({"method": row.name, "label": "", "score": name, **ends, **spread})
            for name, scores in row.label_scores.items():
                ends = self._ends(name, scores, self.rows[0].label_scores[name])
                for column, label in enumerate(self.label_names):
                    one = {key: values[column] for key, values in ends.items()}
                    found.append({"method": row.name, "label": label, "score": name, **one})
        columns = ["method", "label", "score", "estimate", "low", "high", "seed_sd"]
        columns += ["difference", "difference_low", "difference_high"]
        return pd.DataFrame(found).reindex(columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and numbers for JSON; what is not defined becomes None."""
        frame = self.to_frame()
        records = [
            {key: _plain(value) for key, value in record.items()}
            for record in frame.to_dict(orient="records")
        ]
        return {**self.about, "level": self.level, "scores": records}

    def __str__(self) -> str:
        """Return two aligned tables: the scores, and the differences to the first row."""
        header = ["", *HEADLINES.values(), "fit s", "predict s", "parameters"]
        table = [
            [
                row.name,
                *(f"{float(row.scores[score].estimate):.4f}" for score in HEADLINES),
                f"{row.fit_seconds:.1f}",
                f"{row.predict_seconds:.2f}",
                f"{row.num_parameters:,}",
            ]
            for row in self.rows
        ]
        if len(self.rows) == 1:
            return _aligned([header, *table])
        differences = [
            [row.name, *(_spelt(self.difference(row, score)) for score in HEADLINES)]
            for row in self.rows[1:]
        ]
        return (
            f"{_aligned([header, *table])}\n\n"
            f"More than {self.rows[0].name}, with {self.level:.0%} intervals over items "
            "(* excludes 0); less NLL and ECE is better, more AP and F1:\n"
            f"{_aligned([['', *HEADLINES.values()], *differences])}"
        )

    def _ends(self, name: str, score: Bootstrap, first: Bootstrap) -> dict[str, Any]:
        """Return a score, its interval, and that of its difference to the first method's."""
        low, high = score_ends(name, score, self.level)
        difference = score - first
        below, above = difference.ends(self.level)
        return {
            "estimate": score.estimate,
            "low": low,
            "high": high,
            "difference": difference.estimate,
            "difference_low": below,
            "difference_high": above,
        }


def digest_of(
    ids: Sequence[object], label_names: Sequence[str], labels: NDArray[np.float32]
) -> str:
    """Return a word that only the same items with the same labels have, in whatever order.

    Args:
        ids: Of the items.
        label_names: Of the columns.
        labels: `items x labels`, 0 or 1.

    Example:
        >>> one = digest_of(["a", "b"], ["Drama", "War"], np.array([[1, 0], [0, 1]], np.float32))
        >>> one == digest_of(["b", "a"], ["Drama", "War"], np.array([[0, 1], [1, 0]], np.float32))
        True
    """
    names = np.array([str(name) for name in label_names], object)
    known = [[str(item), sorted(names[row > 0])] for item, row in zip(ids, labels, strict=True)]
    content = json.dumps([sorted(known), sorted(names)])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _spelt(interval: Interval) -> str:
    star = "*" if interval.excludes_zero else " "
    return f"{interval.estimate:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]{star}"


def _plain(value: Any) -> Any:
    """Return what JSON can hold."""
    if isinstance(value, str):
        return value
    return float(value) if math.isfinite(value) else None


def _aligned(rows: list[list[str]]) -> str:
    """Lay out a table: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
