"""What a report shows of single items: their tags, the errors among them, and their ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 0.1
"""Tags whose 95 % quantile is below this are not worth a line, unless they are given or true."""


@dataclass(frozen=True)
class TagRow:
    """One label of one item: the posterior's mean and its 90 % interval.

    Args:
        label: The label.
        mean: Mean probability over the draws.
        q05: 5 % quantile over the draws.
        q95: 95 % quantile over the draws.
        decision: Whether the label is given.
        truth: Whether the item has it; None where nobody knows.
    """

    label: str
    mean: float
    q05: float
    q95: float
    decision: bool
    truth: bool | None = None


@dataclass(frozen=True)
class ItemRow:
    """One item of the table of items.

    Args:
        id: The item's id.
        title: Its title; None where the catalogue has none.
        tags: The labels worth showing, the likeliest first.
        uncertainty: Total predictive entropy over the item's labels, in nats.
        epistemic_share: The part of it that more data would remove, in [0, 1].
        left_to_person: Whether the tags are too unsure to be given without a look.
        picture: A small picture of it as a `data:` URI; None where there is none.
    """

    id: str
    title: str | None
    tags: Sequence[TagRow]
    uncertainty: float
    epistemic_share: float
    left_to_person: bool
    picture: str | None = None


@dataclass(frozen=True)
class SurpriseRow:
    """One label of one item whose truth was improbable.

    Args:
        id: The item's id.
        title: Its title; None where the catalogue has none.
        tag: The label; its `truth` is known.
        surprise: `-log` of the mean probability of the truth, in nats.
        labels: The labels that the item has.
        picture: As of `ItemRow`.
    """

    id: str
    title: str | None
    tag: TagRow
    surprise: float
    labels: Sequence[str]
    picture: str | None = None


@dataclass(frozen=True)
class RankedRow:
    """One item of a ranking, by the posterior mean of a label.

    Args:
        place: Its place, from 1.
        id: The item's id.
        title: Its title; None where the catalogue has none.
        tag: The label's probability for the item.
        rank_lower: 5 % quantile of its rank over the draws, rounded down.
        rank_upper: 95 % quantile, rounded up.
        picture: As of `ItemRow`.
    """

    place: int
    id: str
    title: str | None
    tag: TagRow
    rank_lower: int
    rank_upper: int
    picture: str | None = None


@dataclass(frozen=True)
class RankedGroup:
    """Items of a ranking that follow each other and cannot be told apart.

    Args:
        first: The place of the first of them, from 1.
        last: The place of the last, which may be beyond those that are shown.
        rows: Those that are shown, at least one.
    """

    first: int
    last: int
    rows: Sequence[RankedRow]


@dataclass(frozen=True)
class LabelRanking:
    """The first items of a label, the likeliest first.

    Args:
        label: The label.
        groups: The groups, in order; a group of one stands alone.
    """

    label: str
    groups: Sequence[RankedGroup]

    @property
    def num_rows(self) -> int:
        """How many items are shown."""
        return sum(len(group.rows) for group in self.groups)


__all__ = ["SHOWN", "ItemRow", "LabelRanking", "RankedGroup", "RankedRow", "SurpriseRow", "TagRow"]
