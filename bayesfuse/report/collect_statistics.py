"""Gathers the statistical sections of a report from the draws that its tables are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.estimator.checking import MAX_ITEMS, strata_of
from bayesfuse.estimator.comparison import digest_of
from bayesfuse.estimator.missing import missing_table
from bayesfuse.estimator.workflow import Run
from bayesfuse.evaluation.checks import predictive_check
from bayesfuse.evaluation.uncertainty import Predictive
from bayesfuse.report.competitors import Competitors, read_competitors
from bayesfuse.report.risk import collect_risks
from bayesfuse.report.scores import num_replicates, score_intervals
from bayesfuse.report.statistics import Statistics
from bayesfuse.report.strata import MissingRow, collect_strata

MAX_HIDDEN = 5_000
"""Of more items than these, a random part is predicted again without each modality."""


def competitors_of(path: Path, run: Run, split: str, labels: NDArray[np.float32]) -> Competitors:
    """Read a comparison if it is of the rows of a run.

    Args:
        path: What `bayesfuse compare` wrote.
        run: The run and its rows.
        split: What the rows are called.
        labels: Of the rows, `items x labels`.

    Raises:
        ConfigError: If it cannot be read, or is of other items.
    """
    names = run.classifier.label_names_
    return read_competitors(
        path,
        split=split,
        label_names=names,
        digest=digest_of(run.catalog.ids[run.rows].tolist(), names, labels),
        settings=run.config.model_dump(),
    )


def collect_statistics(
    run: Run,
    draws: NDArray[np.float32],
    found: Predictive,
    labels: NDArray[np.float32],
    cuts: ArrayLike,
    *,
    seed: int,
    max_items: int = MAX_ITEMS,
    max_hidden: int = MAX_HIDDEN,
) -> Statistics:
    """Return the sections of a run's rows.

    Args:
        run: The run, its catalogue and the rows.
        draws: Probabilities, `draws x items x labels`.
        found: Their summary.
        labels: `items x labels`, 0 or 1.
        cuts: Thresholds of the decisions.
        seed: Of resamples, replicates and the choice of items.
        max_items: See `bayesfuse.estimator.checking.check_run`.
        max_hidden: See `MAX_HIDDEN`.
    """
    names = run.classifier.label_names_
    strata = strata_of(run)
    total = found.total.sum(axis=1)
    share = np.divide(found.epistemic.sum(axis=1), total, out=np.zeros_like(total), where=total > 0)
    part = _part(len(labels), max_items, seed)
    notes = []
    if len(part) < len(labels):
        notes.append(f"The predictive check is of {len(part):,} items, chosen at random.")
    check = predictive_check(
        draws[:, part],
        labels[part],
        names,
        strata={name: mask[part] for name, mask in strata.items()},
        replicates=num_replicates(len(part), len(names)),
        seed=seed,
    )
    hidden = _part(len(labels), max_hidden, seed)
    if len(hidden) < len(labels):
        notes.append(f"Modalities were hidden of {len(hidden):,} items, chosen at random.")
    risks = collect_risks(found.mean, total, labels, names, cuts, seed=seed)
    by_count = np.argsort(-labels.sum(axis=0), kind="stable")
    return Statistics(
        intervals=score_intervals(found.mean, labels, run.classifier.thresholds_, seed=seed),
        risks=replace(risks, labels=[risks.labels[c] for c in by_count]),
        check=check,
        strata=collect_strata(found.mean, labels, share, strata, seed=seed),
        missing=_missing(run, hidden, len(draws), seed),
        notes=notes,
    )


def _part(num_items: int, most: int, seed: int) -> NDArray[np.int64]:
    """Return the places of at most so many items, the ones that `bayesfuse check` takes."""
    if num_items <= most:
        return np.arange(num_items)
    return np.sort(np.random.default_rng([seed, 3]).choice(num_items, most, replace=False))


def _missing(run: Run, places: NDArray[np.int64], draws: int, seed: int) -> Sequence[MissingRow]:
    if run.without:  # what is hidden already cannot be hidden of some
        return ()
    table = missing_table(replace(run, rows=run.rows[places]), draws=draws, seed=seed)
    return [
        MissingRow(
            row.name,
            row.share,
            row.scores.average_precision.macro,
            row.scores.nll,
            row.scores.ece.equal_mass,
            row.confidence,
            row.epistemic,
        )
        for row in table.rows
    ]
