"""What a paper published: its rows, their scores, and what makes each of them here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bayesfuse.models.papers import Paper

SCORE_NAMES = {
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "samples_f1": "samples F1",
    "micro_ap": "micro AP",
    "macro_ap": "macro AP",
    "samples_ap": "samples AP",
}
"""Scores of papers, by the names they have here."""


@dataclass(frozen=True)
class PaperRow:
    """A row of a paper's tables.

    Attributes:
        name: As the paper calls it.
        table: Number of the table (or tables) that it is in.
        scores: Name in `SCORE_NAMES` to what was published, in [0, 1].
        spreads: The same of standard deviations, as far as they were published.
        model: What makes it here, a name in `bayesfuse.estimator.named_models`; None if nothing.
        settings: Of the fit, beside those of the model; flags override them.
        fixed: Settings without which it were another row; no flag overrides them.
        modalities: What it joins; None for all that the catalogue has.
        labelled: Share of the training items whose labels it knows.
        absent: Why nothing makes it here.
    """

    name: str
    table: str
    scores: Mapping[str, float]
    spreads: Mapping[str, float] = field(default_factory=dict)
    model: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    modalities: tuple[str, ...] | None = None
    labelled: float = 1.0
    absent: str = ""


@dataclass(frozen=True)
class PaperTables:
    """The tables of a paper that are made again.

    Attributes:
        paper: The paper.
        tables: Which tables, in words.
        data: The data set of the published numbers.
        split: The split of it that they are of.
        scores: Names in `SCORE_NAMES`, in the order of the columns.
        rows: The rows.
        notes: What differs in any case, a sentence each.
    """

    paper: Paper
    tables: str
    data: str
    split: str
    scores: tuple[str, ...]
    rows: tuple[PaperRow, ...]
    notes: tuple[str, ...]


def scores_of(names: tuple[str, ...], *values: float | None) -> dict[str, float]:
    """Return the published values by name; None is what was not published.

    Example:
        >>> scores_of(("micro_f1", "macro_f1"), 0.5, None)
        {'micro_f1': 0.5}
    """
    pairs = zip(names, values, strict=True)
    return {name: value for name, value in pairs if value is not None}
