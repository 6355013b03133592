"""What is in a catalogue, in numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from bayesfuse.data.label_sources import SourceAgreement


@dataclass(frozen=True)
class LabelCount:
    """How often a label holds among the labelled items of train and of val.

    Attributes:
        name: The label.
        train: Items of train with it.
        val: Items of val with it.
        train_rate: Their share of the labelled items of train; None where there are none.
        val_rate: The same for val.
    """

    name: str
    train: int
    val: int
    train_rate: float | None
    val_rate: float | None


@dataclass(frozen=True)
class ModalityDescription:
    """One modality.

    Attributes:
        name: The modality.
        width: Its number of features; None where it is raw only.
        dtype: The stored dtype; None where it is raw only.
        observed: The share of items that have it.
        raw: What its raw cells are (`text`, `bytes`, `path`, `table`); None where there are none.
        encoder: The encoder asked for.
        columns: Column -> `number` or `category`, of a table.
    """

    name: str
    width: int | None
    dtype: str | None
    observed: float
    raw: str | None
    encoder: str | None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CatalogDescription:
    """What `Catalog.describe` returns; print it, or take `to_dict`.

    Attributes:
        source: The file or folder.
        num_items: The number of items.
        splits: Split -> items, and labelled items.
        labels: A line a label.
        labels_an_item: The mean number of labels of a labelled item; None where there are none.
        modalities: A line a modality.
        people: Relation -> items with a name, and different names.
        warnings: What reading warned of.
        label_agreement: How like one another several sources of labels are; None of one.
    """

    source: str
    num_items: int
    splits: dict[str, dict[str, int]]
    labels: tuple[LabelCount, ...]
    labels_an_item: float | None
    modalities: tuple[ModalityDescription, ...]
    people: dict[str, dict[str, int]]
    warnings: tuple[str, ...]
    label_agreement: SourceAgreement | None = None

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers, texts, lists and dicts, for JSON."""
        plain = asdict(self)
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()
        }

    def __str__(self) -> str:
        """Return aligned plain text."""
        parts = [f"{self.source}: {self.num_items:,} items"]
        parts.append(
            _table(
                ("split", "items", "labelled"),
                [
                    (name, f"{c['items']:,}", f"{c['labelled']:,}")
                    for name, c in self.splits.items()
                ],
            )
        )
        parts.append(
            _table(
                ("modality", "features", "dtype", "observed", "raw", "encoder"),
                [
                    (
                        m.name,
                        "-" if m.width is None else f"{m.width:,}",
                        m.dtype or "-",
                        f"{m.observed:.1%}",
                        m.raw or "-",
                        m.encoder or "-",
                    )
                    for m in self.modalities
                ],
            )
        )
        columns = [(m.name, *column) for m in self.modalities for column in m.columns.items()]
        if columns:
            parts.append(_table(("table", "column", "holds"), columns))
        if self.labels:
            parts.append(
                _table(
                    ("label", "train", "rate", "val", "rate"),
                    [
                        (
                            n.name,
                            f"{n.train:,}",
                            _rate(n.train_rate),
                            f"{n.val:,}",
                            _rate(n.val_rate),
                        )
                        for n in self.labels
                    ],
                )
            )
            if self.labels_an_item is not None:
                parts.append(f"{self.labels_an_item:.2f} labels a labelled item")
        if self.label_agreement is not None:
            told = self.label_agreement
            parts.append(
                _table(
                    ("source of labels", "items", "F1 with the others"),
                    [
                        (name, f"{items:,}", "-" if math.isnan(f1) else f"{f1:.3f}")
                        for name, items, f1 in zip(
                            told.names, told.items, told.agreement, strict=True
                        )
                    ],
                )
            )
        if self.people:
            parts.append(
                _table(
                    ("people", "items with", "names"),
                    [(r, f"{c['items']:,}", f"{c['names']:,}") for r, c in self.people.items()],
                )
            )
        parts += [f"warning: {warning}" for warning in self.warnings]
        return "\n\n".join(parts)


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1%}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join(text)
