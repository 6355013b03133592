"""Why an item has its tags: modalities, words, regions and neighbours, each with its spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.aligned import aligned
from bayesfuse.encoders.base import Cell, Encoder
from bayesfuse.encoders.occlusion import Parts, picture_parts, text_parts
from bayesfuse.encoders.pictures import UnreadableError
from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.estimator.contributions import (
    Contributions,
    modality_contributions,
    part_contributions,
)
from bayesfuse.estimator.explanations import iter_explanations
from bayesfuse.estimator.gate_means import iter_gates
from bayesfuse.estimator.workflow import Run
from bayesfuse.graph.hiding import GRAPH
from bayesfuse.models.gates import gated_modalities

NUM_LABELS = 3
"""How many labels are explained if none is named: those of the highest probability."""


@dataclass(frozen=True)
class Wanted:
    """What is to be explained.

    Attributes:
        labels: The labels; the `NUM_LABELS` likeliest if empty.
        words: The most words shown a label; 0 to leave the text alone.
        regions: Rows and columns of regions of a picture; None to leave it alone.
        neighbours: The most neighbours shown; 0 for none.
    """

    labels: tuple[str, ...] = ()
    words: int = 8
    regions: tuple[int, int] | None = (4, 3)
    neighbours: int = 5


@dataclass(frozen=True)
class ExplainedItem:
    """The tags of an item, and what they come from.

    Attributes:
        id: Its id.
        title: Its title, if it has one.
        labels: The labels that are explained.
        probability: Mean, 5 % and 95 % quantile over draws, `3 x labels`.
        modalities: What each modality adds (Shapley values, log-odds).
        gates: Modality to mean and standard deviation of its gate over draws; none if the fusion
            has no gates.
        parts: Modality to what its words or regions add (occlusion, log-odds).
        neighbours: Rows of `bayesfuse.estimator.explanations.SCHEMA`.
        notes: What could not be looked at, and why.
        words: The most words that are printed a label.
    """

    id: str
    title: str | None
    labels: tuple[str, ...]
    probability: NDArray[np.float64]
    modalities: Contributions
    gates: Mapping[str, tuple[float, float]]
    parts: Mapping[str, Contributions]
    neighbours: Sequence[Mapping[str, Any]]
    notes: tuple[str, ...] = ()
    words: int = field(default=8)

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers, texts, lists and dicts, for JSON."""
        mean, low, high = self.probability.tolist()
        return {
            "id": self.id,
            "title": self.title,
            "labels": [
                {"label": name, "mean": m, "q05": lo, "q95": hi}
                for name, m, lo, hi in zip(self.labels, mean, low, high, strict=True)
            ],
            "modalities": self.modalities.to_dict(),
            "gates": {name: {"mean": m, "sd": sd} for name, (m, sd) in self.gates.items()},
            "parts": {name: found.to_dict() for name, found in self.parts.items()},
            "neighbours": list(self.neighbours),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        """Return aligned plain text."""
        called = self.id if self.title is None else f"{self.title} ({self.id})"
        blocks = [f"{called}\n\n{self._modalities()}"]
        for modality, found in self.parts.items():
            for column, label in enumerate(self.labels):
                blocks.append(self._parts(modality, found, label, column))
        for about in ("relation", "neighbour"):
            rows = [row for row in self.neighbours if row["about"] == about]
            if rows:
                blocks.append(_attention(about, rows))
        return "\n\n".join([*blocks, *self.notes])

    def _modalities(self) -> str:
        found = self.modalities
        head = ("label", "probability", "90 % interval", *found.parts)
        rows = []
        for column, label in enumerate(self.labels):
            mean, low, high = self.probability[:, column]
            cells = [_added(found, part, column) for part in range(len(found.parts))]
            rows.append((label, f"{mean:.3f}", f"{low:.3f} to {high:.3f}", *cells))
        if self.gates:
            own = [self.gates.get(name) for name in found.parts]
            gates = ["" if gate is None else f"{gate[0]:.2f} ± {gate[1]:.2f}" for gate in own]
            rows.append(("mean gate", "", "", *gates))
        text = "what each modality adds to the log-odds (90 % interval over draws)\n"
        return text + aligned(head, rows)

    def _parts(self, modality: str, found: Contributions, label: str, column: int) -> str:
        order = np.argsort(-np.abs(found.mean[:, column]), kind="stable")[: self.words]
        rows = [(found.parts[part], _added(found, part, column)) for part in order.tolist()]
        return f"{modality}: what {label} would lose without\n" + aligned(
            ("part", "log-odds"), rows
        )


def explain_item(
    run: Run, row: int, encoders: Mapping[str, Encoder], wanted: Wanted, draws: int, seed: int
) -> ExplainedItem:
    """Explain the tags of one item.

    Args:
        run: A run and a catalogue.
        row: The item's row in the catalogue.
        encoders: The run's encoders, by modality.
        wanted: What to explain.
        draws: Posterior draws.
        seed: Their seed.

    Raises:
        ConfigError: If a label is unknown, or a number out of range.
    """
    classifier, catalog = run.classifier, run.catalog
    features = catalog.features.take([row])
    chance = classifier.sample_proba(features, draws, seed)[:, 0].astype(np.float64)
    columns = _columns(classifier.label_names_, wanted.labels, chance.mean(axis=0))
    (added,) = modality_contributions(classifier, features, draws, seed)
    parts, notes = {}, []
    for modality, encoder in encoders.items():
        if not _looked_into(encoder, wanted) or modality in run.without:
            continue
        cell = catalog.raw[modality][row] if modality in catalog.raw else None
        if cell is None:
            notes.append(f"{modality}: no raw cell to look into.")
            continue
        try:
            pieces = _pieces(cast(Cell, cell), encoder, wanted)
        except UnreadableError as error:
            notes.append(f"{modality}: {error}.")
            continue
        given = (modality, encoder, cast(Cell, cell), pieces, draws, seed)
        parts[modality] = _only(part_contributions(classifier, features, *given), columns)
    neighbours: list[Mapping[str, Any]] = []
    if classifier.links_ is not None and wanted.neighbours > 0 and GRAPH not in run.without:
        only = np.array([row])
        most = wanted.neighbours
        for table in iter_explanations(
            classifier, catalog, only, draws=draws, seed=seed, most=most
        ):
            neighbours += table.to_pylist()
    low, high = np.quantile(chance[:, columns], [0.05, 0.95], axis=0)
    return ExplainedItem(
        str(catalog.ids[row]),
        None if catalog.titles is None else catalog.titles[row],
        tuple(classifier.label_names_[column] for column in columns),
        np.stack([chance[:, columns].mean(axis=0), low, high]),
        _only(added, columns),
        _gates(run, row, draws, seed),
        parts,
        neighbours,
        tuple(notes),
        wanted.words,
    )


def load_run_encoders(run: Path) -> dict[str, Encoder]:
    """Return the encoders of a run folder, by modality; none of a run that was fitted on features.

    Raises:
        RunFolderError: If they cannot be read.
    """
    from bayesfuse.encoders.saving import load_encoders

    return load_encoders(run)


def _looked_into(encoder: Encoder, wanted: Wanted) -> bool:
    if encoder.kind == "text":
        return wanted.words > 0
    return encoder.kind == "image" and wanted.regions is not None


def _pieces(cell: Cell, encoder: Encoder, wanted: Wanted) -> Parts:
    """Return the words of a text, or the regions of a picture."""
    if encoder.kind == "text":
        return text_parts(str(cell))
    assert wanted.regions is not None
    return picture_parts(cell, *wanted.regions)


def _columns(names: Sequence[str], labels: Sequence[str], chance: NDArray[np.float64]) -> list[int]:
    unknown = [unknown_option("label", name, names) for name in labels if name not in names]
    if unknown:
        raise ConfigError(" ".join(unknown))
    if labels:
        return [list(names).index(name) for name in dict.fromkeys(labels)]
    likeliest: list[int] = np.argsort(-chance, kind="stable")[:NUM_LABELS].tolist()
    return likeliest


def _only(found: Contributions, columns: Sequence[int]) -> Contributions:
    """Return the contributions to some of the labels."""
    names = tuple(found.label_names[column] for column in columns)
    arrays = (array[:, columns] for array in (found.mean, found.low, found.high))
    return Contributions(found.parts, names, *arrays)


def _gates(run: Run, row: int, draws: int, seed: int) -> dict[str, tuple[float, float]]:
    """Return mean and spread of each modality's gate; nothing of a fusion without gates."""
    names = gated_modalities(run.classifier.model_.network)
    for chunk in iter_gates(run.classifier, run.catalog.features.take([row]), draws, seed):
        mean, sd = chunk[:, 0].mean(axis=0).tolist(), chunk[:, 0].std(axis=0).tolist()
        return dict(zip(names, zip(mean, sd, strict=True), strict=True))
    return {}


def _added(found: Contributions, part: int, column: int) -> str:
    low, high = found.low[part, column], found.high[part, column]
    return f"{found.mean[part, column]:+.2f} ({low:+.2f} to {high:+.2f})"


def _attention(about: str, rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["relation"] if about == "relation" else ["neighbour", "shared"]
    lines = []
    for row in rows:
        attention = f"{row['attention_mean']:.3f} ± {row['attention_sd']:.3f}"
        title = row["title"]
        called = row["name"] if not title else f"{title} ({row['name']})"
        lines.append((called, *([row["shared"]] if about == "neighbour" else []), attention))
    return aligned((*head, "attention"), lines)
