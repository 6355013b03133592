"""What a run says of items of which less is known: without their text, image or neighbours."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.estimator.workflow import Run, known_labels
from bayesfuse.evaluation.evaluate import Evaluation, evaluate
from bayesfuse.evaluation.uncertainty import DrawSummary
from bayesfuse.graph.hiding import GRAPH, hide, hideable
from bayesfuse.graph.neighbour_labels import NEIGHBOUR_LABELS

SHARES = (0.5, 0.7, 0.9)
"""Shares of items without a modality, as papers on missing modalities report them."""


def removable(run: Run) -> tuple[str, ...]:
    """Return what can be removed: the modalities that the run looks at, and its `graph`."""
    seen = run.classifier.model_.network.names
    return tuple(name for name in hideable(run.catalog.features) if name in (*seen, GRAPH))


def without(run: Run, names: Collection[str]) -> Run:
    """Return a run whose items are as if some modalities had not been observed.

    Args:
        run: A run and a catalogue.
        names: Which, of `removable`. Without `graph`, items hear nobody, and how often neighbours
            have each label (`--neighbour-labels`) is not known either.

    Returns:
        The run, with `Run.without` and a warning of the catalogue that says so.

    Raises:
        ConfigError: If the run does not look at such a modality, or the catalogue lacks it.
    """
    known = removable(run)
    unknown = [unknown_option("modality", name, known) for name in names if name not in known]
    if unknown:
        raise ConfigError(f"In --without: {' '.join(unknown)}")
    hidden = set(names)
    if GRAPH in hidden and NEIGHBOUR_LABELS in run.catalog.features:
        hidden.add(NEIGHBOUR_LABELS)
    ordered = tuple(name for name in known if name in hidden)
    note = f"Hidden of every item (--without): {', '.join(ordered)}."
    catalog = dataclasses.replace(
        run.catalog,
        features=hide(run.catalog.features, hidden),
        warnings=(*run.catalog.warnings, note),
    )
    return dataclasses.replace(run, catalog=catalog, without=ordered)


@dataclass(frozen=True)
class Missing:
    """How good and how sure a run is where some items lack a modality.

    Attributes:
        name: The modality that is missing; empty where nothing was removed.
        share: The share of the items without it, 0 to 1, besides those that never had it.
        scores: Quality and calibration.
        confidence: Mean over items and labels of the probability of the likelier answer.
        total: Mean total uncertainty, nats a label.
        epistemic: Mean epistemic uncertainty (mutual information), nats a label.
    """

    name: str
    share: float
    scores: Evaluation
    confidence: float
    total: float
    epistemic: float


@dataclass(frozen=True)
class MissingTable:
    """Quality with nothing removed, then with each modality missing of some items; prints well."""

    rows: tuple[Missing, ...]

    def __str__(self) -> str:
        """Return a Markdown table, a row for each modality and share."""
        lines = [
            "| missing | of items | macro AP | NLL | ECE | confidence | epistemic |",
            "|" + " --- |" * 7,
        ]
        for row in self.rows:
            ap, ece = row.scores.average_precision.macro, row.scores.ece.equal_mass
            lines.append(
                f"| {row.name or 'nothing'} | {row.share:.0%} | {ap:.3f} | {row.scores.nll:.3f} | "
                f"{ece:.3f} | {row.confidence:.3f} | {row.epistemic:.4f} |"
            )
        return "\n".join(lines)


def missing_table(
    run: Run,
    *,
    names: Sequence[str] | None = None,
    shares: Sequence[float] = SHARES,
    draws: int | None = None,
    seed: int | None = None,
) -> MissingTable:
    """Score a run on its labelled rows with a modality missing of 50, 70 and 90 % of them.

    Which items lack it is drawn at random, and those of a smaller share are among those of a larger
    one. What is said of an item does not depend on which others lack something.

    Args:
        run: A run, a catalogue and rows of it, of which the labelled ones count.
        names: Modalities, of `removable`, one at a time; all of them if None.
        shares: Shares of the items, in [0, 1].
        draws: Posterior draws; the classifier's if None.
        seed: Of the draws, and of which items lack a modality; the classifier's if None.

    Raises:
        ConfigError: If a name is not known, a share is outside [0, 1], or no row is labelled.
    """
    for share in shares:
        if not 0 <= share <= 1:
            raise ConfigError(f"The share {share} was asked for; expected shares from 0 to 1.")
    rows = run.rows[run.catalog.labelled[run.rows]]
    if not len(rows):
        raise ConfigError(f"{run.catalog.source} has no labelled items here; expected some.")
    labels = known_labels(run.classifier, run.catalog)[rows]
    seed = run.classifier.seed if seed is None else seed
    order = np.random.default_rng(seed).permutation(len(rows))
    whole = _predicted(run, rows, draws, seed)
    found = [_scored(run, "", 0.0, whole, labels)]
    for name in removable(run) if names is None else names:
        hidden = _predicted(without(run, [name]), rows, draws, seed)
        for share in shares:
            lacking = np.zeros(len(rows), np.bool_)
            lacking[order[: round(share * len(rows))]] = True
            mixed = np.where(lacking[:, None], hidden, whole)
            found.append(_scored(run, name, share, mixed, labels))
    return MissingTable(tuple(found))


def _predicted(
    run: Run, rows: NDArray[np.int64], draws: int | None, seed: int
) -> NDArray[np.float64]:
    """Return mean, total and epistemic uncertainty, `3 x items x labels`."""
    parts = []
    for chunk in run.classifier.iter_proba(run.catalog.features.take(rows), draws, seed):
        summary = DrawSummary().update(chunk)
        parts.append(np.stack([summary.mean, summary.total, summary.epistemic]))
    return np.concatenate(parts, axis=1)


def _scored(
    run: Run,
    name: str,
    share: float,
    predicted: NDArray[np.float64],
    labels: NDArray[np.float32],
) -> Missing:
    mean, total, epistemic = predicted
    scores = evaluate(mean, labels, run.classifier.label_names_, run.classifier.thresholds_)
    confidence = float(np.maximum(mean, 1 - mean).mean())
    return Missing(name, share, scores, confidence, float(total.mean()), float(epistemic.mean()))
