"""Gathers what a report shows of single items: all of them, surprising labels, and rankings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesfuse.estimator.workflow import Run
from bayesfuse.evaluation.draw_file import DrawFile
from bayesfuse.evaluation.metrics import nll_terms
from bayesfuse.evaluation.ranking import near_ties, rank_draws
from bayesfuse.evaluation.uncertainty import Predictive
from bayesfuse.report.item_rows import (
    SHOWN,
    ItemRow,
    LabelRanking,
    RankedGroup,
    RankedRow,
    SurpriseRow,
    TagRow,
)
from bayesfuse.report.pages import PAGE_ITEMS
from bayesfuse.report.thumbnails import MOST_BYTES, Thumbnails, make_thumbnails

NUM_SURPRISES = 20
"""How many labels the table of surprising ones shows."""

NUM_RANKED = 10
"""How many items a ranking shows."""

MAX_RANKINGS = 40
"""Labels that are ranked by, the commonest: a page of a thousand labels would be too heavy."""

PICTURE_BYTES = 2_000_000
"""Bytes of all pictures of a page; as text they take a third more."""


@dataclass(frozen=True)
class Gathered:
    """What there is to show of items; see `bayesfuse.report.data.ReportData`."""

    items: list[ItemRow]
    surprises: list[SurpriseRow]
    rankings: list[LabelRanking]
    num_unreadable: int


@dataclass(frozen=True)
class _Places:
    """The first items of a label, before anything is said of them; arrays are `places`."""

    label: int
    items: NDArray[np.int64]
    groups: list[tuple[int, int]]
    rank_lower: NDArray[np.int64]
    rank_upper: NDArray[np.int64]


def gather_items(
    run: Run,
    draws: NDArray[np.float32],
    found: Predictive,
    labels: NDArray[np.float32],
    decisions: NDArray[np.bool_],
    num_left: int,
    limit: int | None = None,
) -> Gathered:
    """Gather the items of a run, the most uncertain first, with small pictures of them.

    Args:
        run: The run, its catalogue and the rows.
        draws: Posterior draws of the rows, `draws x items x labels`, joint over items.
        found: Their summary.
        labels: 0 or 1, `items x labels`.
        decisions: Which labels are given, `items x labels`.
        num_left: How many items, the most uncertain, are left to a person.
        limit: How many items are shown; all if None.
    """
    total = found.total.sum(axis=1)
    order = np.argsort(-total, kind="stable")[:limit]
    surprise = nll_terms(found.mean, labels)
    worst = np.argsort(-surprise, axis=None, kind="stable")[:NUM_SURPRISES]
    pairs = np.stack(np.unravel_index(worst, surprise.shape), axis=1)
    by_count = np.argsort(-labels.sum(axis=0), kind="stable")
    places = [_first_places(draws[:, :, c], int(c)) for c in by_count[:MAX_RANKINGS]]
    ranked = [one.items for one in places]
    first_page = np.concatenate([order[:PAGE_ITEMS], pairs[:, 0], *ranked])
    pictures = make_thumbnails(
        run.catalog.raw,
        run.rows[np.unique(np.concatenate([order, first_page]))],
        min(MOST_BYTES, PICTURE_BYTES // len(np.unique(first_page))),
    )
    shown = _Shown(run, found, labels, decisions, pictures)
    shares = epistemic_shares(found)
    return Gathered(
        items=[
            ItemRow(
                *shown.name(i),
                tags=shown.tags(i),
                uncertainty=float(total[i]),
                epistemic_share=float(shares[i]),
                left_to_person=rank < num_left,
                picture=shown.picture(i),
            )
            for rank, i in enumerate(order.tolist())
        ],
        surprises=[
            SurpriseRow(
                *shown.name(i),
                tag=shown.tag(i, c),
                surprise=float(surprise[i, c]),
                labels=shown.labels_of(i),
                picture=shown.picture(i),
            )
            for i, c in pairs.tolist()
        ],
        rankings=[shown.ranking(one) for one in places],
        num_unreadable=pictures.num_unreadable,
    )


def epistemic_shares(found: Predictive) -> NDArray[np.float64]:
    """Return the epistemic part of each item's uncertainty, in [0, 1]; 0 where there is none."""
    total = found.total.sum(axis=1)
    epistemic = found.epistemic.sum(axis=1)
    return np.asarray(np.divide(epistemic, total, out=np.zeros_like(total), where=total > 0))


def _first_places(scores: NDArray[np.float32], label: int) -> _Places:
    """Rank all items by a label, and keep the first of them."""
    num_draws, num_items = scores.shape
    with DrawFile(num_draws, num_items) as file:
        file.write(scores, 0)
        ranking = rank_draws(file)
        order = ranking.order("mean")
        groups = near_ties(file, order)
    first = order[:NUM_RANKED]
    ends = [
        (int(np.searchsorted(groups, group)) + 1, int(np.searchsorted(groups, group, "right")))
        for group in dict.fromkeys(groups[: len(first)].tolist())
    ]
    return _Places(label, first, ends, ranking.rank_lower[first], ranking.rank_upper[first])


@dataclass(frozen=True)
class _Shown:
    """From places in arrays to what is shown of them; arrays are `items x labels`."""

    run: Run
    found: Predictive
    labels: NDArray[np.float32]
    decisions: NDArray[np.bool_]
    pictures: Thumbnails

    def name(self, i: int) -> tuple[str, str | None]:
        row, titles = self.run.rows[i], self.run.catalog.titles
        return str(self.run.catalog.ids[row]), None if titles is None else titles[row]

    def picture(self, i: int) -> str | None:
        return self.pictures.uris.get(int(self.run.rows[i]))

    def tag(self, i: int, c: int) -> TagRow:
        return TagRow(
            label=str(self.run.classifier.label_names_[c]),
            mean=float(self.found.mean[i, c]),
            q05=float(self.found.quantiles[0.05][i, c]),
            q95=float(self.found.quantiles[0.95][i, c]),
            decision=bool(self.decisions[i, c]),
            truth=bool(self.labels[i, c]),
        )

    def tags(self, i: int) -> list[TagRow]:
        """Return the tags that are worth a line, the likeliest first."""
        likely = self.found.quantiles[0.95][i] >= SHOWN
        shown = np.flatnonzero(likely | self.decisions[i] | (self.labels[i] == 1))
        return sorted((self.tag(i, c) for c in shown.tolist()), key=lambda tag: -tag.mean)

    def labels_of(self, i: int) -> Sequence[str]:
        names = self.run.classifier.label_names_
        return [str(names[c]) for c in np.flatnonzero(self.labels[i] == 1).tolist()]

    def ranking(self, places: _Places) -> LabelRanking:
        groups = []
        for first, last in places.groups:
            rows = [
                RankedRow(
                    place + 1,
                    *self.name(i := int(places.items[place])),
                    tag=self.tag(i, places.label),
                    rank_lower=int(places.rank_lower[place]),
                    rank_upper=int(places.rank_upper[place]),
                    picture=self.picture(i),
                )
                for place in range(first - 1, min(last, len(places.items)))
            ]
            groups.append(RankedGroup(first, last, rows))
        return LabelRanking(str(self.run.classifier.label_names_[places.label]), groups)


__all__ = ["Gathered", "epistemic_shares", "gather_items"]
