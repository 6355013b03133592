"""The items of a run from the first to the last: as an object, as text and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bayesfuse.errors import ConfigError
from bayesfuse.estimator.table_file import write_tables
from bayesfuse.estimator.workflow import Run
from bayesfuse.evaluation.criterion import Criterion
from bayesfuse.evaluation.draw_file import DrawFile
from bayesfuse.evaluation.informative import Batch, most_informative
from bayesfuse.evaluation.ranking import Ranking, near_ties, rank_draws
from bayesfuse.evaluation.uncertainty import DrawSummary

ROWS = 2**16
"""Rows of the table that are made at once."""

SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("id", pa.string()),
        ("title", pa.string()),
        ("mean", pa.float32()),
        ("sd", pa.float32()),
        ("lower", pa.float32()),
        ("upper", pa.float32()),
        ("rank_mean", pa.float64()),
        ("rank_lower", pa.int64()),
        ("rank_upper", pa.int64()),
        ("top", pa.float32()),
        ("sample", pa.float32()),
        ("total_uncertainty", pa.float32()),
        ("mutual_information", pa.float32()),
        ("near_tie", pa.int64()),
        ("to_person", pa.bool_()),
        ("label_next", pa.int64()),
    ]
)
"""The columns of a ranking; uncertainties in nats. `sample` is the score of the one draw of
Thompson sampling, `near_tie` the number of the group, `label_next` the place among the items to
label next; empty where there is none."""


@dataclass(frozen=True)
class RankedItems:
    """The items of a run, ranked by draws of a score; arrays are `items`, as in the run.

    Attributes:
        criterion: By what.
        by: `mean`, `lower`, `rank`, `top` or `thompson` (see `Ranking.order`).
        ids: Ids.
        titles: Titles, if there are any.
        ranking: Scores and ranks with their intervals.
        order: The items from the first to the last.
        groups: The group of each place in the order (see `near_ties`).
        sample: Scores of the draw of Thompson sampling, if that was asked for.
        total: Total uncertainty, nats: that of each label of the criterion, by its weight.
        mutual_information: Epistemic uncertainty, nats, likewise.
        person: Items to hand to a person, the most uncertain first; None if not asked for.
        batch: Items to label next; None if not asked for.
        num_candidates: Among how many those were looked for.
    """

    criterion: Criterion
    by: str
    ids: NDArray[np.str_]
    titles: list[str] | None
    ranking: Ranking
    order: NDArray[np.int64]
    groups: NDArray[np.int64]
    sample: NDArray[np.float32] | None
    total: NDArray[np.float64]
    mutual_information: NDArray[np.float64]
    person: NDArray[np.int64] | None
    batch: Batch | None
    num_candidates: int

    def ties(self) -> list[tuple[int, int]]:
        """Return the first and the last place of each group of two items or more."""
        starts = np.flatnonzero(np.diff(self.groups, prepend=0)) + 1
        ends = np.append(starts[1:] - 1, len(self.groups))
        return [(int(a), int(b)) for a, b in zip(starts, ends, strict=True) if b > a]

    def tables(self) -> Iterator[pa.Table]:
        """Yield the ranking in the schema `SCHEMA`, some rows at a time."""
        for start in range(0, len(self.order), ROWS):
            yield self._table(start, start + ROWS)

    def write(self, path: Path, metadata: dict[str, Any]) -> int:
        """Write the ranking to a CSV or Parquet file that does not exist yet.

        Returns:
            The number of rows.

        Raises:
            UserError: If it exists, or its folder cannot be written into.
            StorageError: If the disk is full.
        """
        return write_tables(self.tables(), path, SCHEMA, metadata)

    def to_dict(self, limit: int) -> dict[str, Any]:
        """Return the first items, near-ties and what was asked for besides, for JSON."""
        first = self._table(0, limit).to_pylist()
        ids = self.ids
        found = {
            "criterion": str(self.criterion),
            "by": self.by,
            "level": self.ranking.level,
            "top": self.ranking.num_top,
            "num_items": len(self.order),
            "items": first,
            "near_ties": [list(places) for places in self.ties() if places[0] <= limit],
            "to_person": None if self.person is None else ids[self.person].tolist(),
            "label_next": None,
        }
        if self.batch is not None:
            found["label_next"] = {
                "ids": ids[self.batch.items].tolist(),
                "gains": self.batch.gains.tolist(),
                "among": self.num_candidates,
            }
        return found

    def _table(self, start: int, stop: int) -> pa.Table:
        rows, found = self.order[start:stop], self.ranking
        person = np.zeros(len(self.ids), np.bool_)
        person[[] if self.person is None else self.person] = True
        chosen = [] if self.batch is None else self.batch.items.tolist()
        places = {row: place for place, row in enumerate(chosen, start=1)}
        columns: dict[str, Any] = {
            "position": np.arange(start, start + len(rows)) + 1,
            "id": self.ids[rows],
            "title": [None if self.titles is None else self.titles[row] for row in rows],
            "mean": found.mean[rows],
            "sd": found.sd[rows],
            "lower": found.lower[rows],
            "upper": found.upper[rows],
            "rank_mean": found.rank_mean[rows],
            "rank_lower": found.rank_lower[rows],
            "rank_upper": found.rank_upper[rows],
            "top": found.top[rows],
            "sample": [None] * len(rows) if self.sample is None else self.sample[rows],
            "total_uncertainty": self.total[rows],
            "mutual_information": self.mutual_information[rows],
            "near_tie": self.groups[start:stop],
            "to_person": [None] * len(rows) if self.person is None else person[rows],
            "label_next": [places.get(int(row)) for row in rows],
        }
        arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
        return pa.Table.from_arrays(arrays, schema=SCHEMA)


def rank_items(
    run: Run,
    criterion: Criterion,
    *,
    by: str = "mean",
    level: float = 0.9,
    top: int = 20,
    abstain: float | None = None,
    label_next: int | None = None,
    draws: int | None = None,
    seed: int | None = None,
) -> RankedItems:
    """Rank the items of a run, in memory that does not grow with the number of draws.

    Args:
        run: A run, a catalogue and rows of it.
        criterion: By what.
        by: See `Ranking.order`.
        level: Probability of the intervals, and that from which two items are told apart.
        top: How many places are the first ones.
        abstain: Share of the items to hand to a person, rounded up: those with the highest total
            uncertainty, where the more likely of the two answers is least likely (Chow 1970).
        label_next: Items to label next (see `most_informative`), from those without labels if
            there are any, else from all.
        draws: Posterior draws; the classifier's if None.
        seed: Seed of the draws, of Thompson sampling and of `label_next`; the classifier's if None.

    Raises:
        ConfigError: If `label_next` is asked of a run without a posterior.
        StorageError: If there is no room for the draws where temporary files go.
    """
    classifier, rows = run.classifier, run.rows
    if label_next is not None and classifier.elbo == "none":
        raise ConfigError(
            "--most-informative asks what labels would teach, and this run has no posterior "
            "(--elbo none). Fit with another --elbo."
        )
    features = run.catalog.features.take(rows)
    drawn = classifier.draws if draws is None else draws
    num_draws = 1 if classifier.elbo == "none" else drawn
    seed = classifier.seed if seed is None else seed
    total, epistemic, bounds = np.zeros((3, len(rows)))
    with ExitStack() as files:
        scores = files.enter_context(DrawFile(num_draws, len(rows)))
        labels = [
            files.enter_context(DrawFile(num_draws, len(rows)))
            for _ in (criterion.names if label_next is not None else ())
        ]
        start = 0
        for chunk in classifier.iter_proba(features, num_draws, seed):
            chosen, stop = criterion.of(chunk), start + chunk.shape[1]
            scores.write(criterion.scores(chunk), start)
            for column, file in enumerate(labels):
                file.write(chosen[:, :, column], start)
            summary = DrawSummary().update(chosen)
            total[start:stop] = summary.total @ criterion.shares
            epistemic[start:stop] = summary.epistemic @ criterion.shares
            bounds[start:stop] = summary.epistemic.sum(axis=1)
            start = stop
        found = rank_draws(scores, level=level, top=top)
        sample = None
        if by == "thompson":
            sample = scores.draw(int(np.random.default_rng(seed).integers(num_draws)))
        order = found.order(by, sample)
        groups = near_ties(scores, order, level=level)
        batch, candidates = None, np.flatnonzero(~run.catalog.labelled[rows])
        if label_next is not None:
            candidates = candidates if len(candidates) else np.arange(len(rows))
            batch = most_informative(
                lambda items: np.stack([file.take(items) for file in labels], axis=2),
                bounds,
                label_next,
                candidates=candidates,
                seed=seed,
            )
    person = None
    if abstain is not None:
        doubtful = np.argsort(-total, kind="stable")
        person = doubtful[: math.ceil(abstain * len(rows) - 1e-9)].astype(np.int64)
    titles = run.catalog.titles
    return RankedItems(
        criterion=criterion,
        by=by,
        ids=run.catalog.ids[rows],
        titles=None if titles is None else [titles[row] for row in rows],
        ranking=found,
        order=order,
        groups=groups,
        sample=sample,
        total=total,
        mutual_information=epistemic,
        person=person,
        batch=batch,
        num_candidates=len(candidates),
    )
