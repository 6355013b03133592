"""Gathers from a run and its evaluation what a report shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesfuse.config.command_line import fit_command
from bayesfuse.data.demo import make_demo
from bayesfuse.estimator.catalogs import DEMO
from bayesfuse.estimator.robustness import Robustness, robustness
from bayesfuse.estimator.rules import rule_of
from bayesfuse.estimator.run_folder import read_environment
from bayesfuse.estimator.training_warnings import training_warnings
from bayesfuse.estimator.workflow import Run, known_labels
from bayesfuse.evaluation import calibration
from bayesfuse.evaluation.evaluate import Evaluation, evaluate
from bayesfuse.evaluation.uncertainty import summarise
from bayesfuse.report.collect_items import epistemic_shares, gather_items
from bayesfuse.report.collect_statistics import collect_statistics, competitors_of
from bayesfuse.report.data import KnownTruth, LabelRow, ReliabilityCurve, ReportData

LEFT_SHARE = 0.1
"""The share of the items, the most uncertain ones, that is left to a person."""


def collect(
    path: Path,
    run: Run,
    split: str,
    draws: int,
    seed: int,
    decision: str | None = None,
    num_items: int | None = None,
    compare: Path | None = None,
    lengths: Sequence[float] = (),
) -> ReportData:
    """Evaluate a run on its rows and gather everything that a report shows.

    Args:
        path: The run folder.
        run: The run, its catalogue and the labelled rows of the split.
        split: What the rows are called.
        draws: Posterior draws.
        seed: Their seed.
        decision: See `bayesfuse.estimator.rules.rule_of`.
        num_items: How many of the most uncertain items the table has; all if None.
        compare: What `bayesfuse compare` wrote of the same items, to be shown, too.
        lengths: How far items are to be moved (see `bayesfuse.estimator.robustness`); if none are
            given, half, once and twice as far as in the adversarial training of the run, if any.

    Returns:
        The report's data; the most uncertain items first, the commonest labels first.

    Raises:
        ConfigError: If the comparison cannot be read, or is of other items; if items of the run
            cannot be moved.
    """
    classifier, catalog, rows = run.classifier, run.catalog, run.rows
    labels = known_labels(classifier, catalog)[rows]
    competitors = None if compare is None else competitors_of(compare, run, split, labels)
    drawn = classifier.sample_proba(catalog.features.take(rows), draws, seed)
    found = summarise(drawn)
    scores = evaluate(found.mean, labels, classifier.label_names_, classifier.thresholds_)
    num_left = round(LEFT_SHARE * len(rows))
    names = np.array(classifier.label_names_)
    rule = rule_of(classifier, decision)
    decisions = rule(found.mean)
    shown = gather_items(run, drawn, found, labels, decisions, num_left, num_items)
    # a label that is never tagged has no threshold that could be reached
    cuts = 0.5 if rule.thresholds is None else np.minimum(rule.thresholds, 1.0)
    statistics = collect_statistics(run, drawn, found, labels, cuts, seed=seed)
    moved = _moved(run, lengths, draws, seed)
    pooled, environment = _pooled(scores), read_environment(path)
    notes = [*environment.get("warnings", []), *catalog.warnings, *training_warnings(classifier)]
    by_count = np.argsort(-labels.sum(axis=0), kind="stable")
    return ReportData(
        title=f"{Path(catalog.source).absolute().name}: tags with honest probabilities",
        command=_reproducing(path, run, environment.get("catalog")),
        split=split,
        num_items=len(rows),
        num_draws=draws,
        settings=run.config.model_dump(mode="json", exclude_none=True),
        history=[epoch._asdict() for epoch in classifier.history_],
        metrics=pooled
        | {name: one.estimate for name, one in statistics.intervals.items() if name not in pooled},
        labels=[_label_row(scores, c) for c in by_count],
        reliability=_curve("all labels", found.mean, labels),
        label_reliability=[_curve(names[c], found.mean[:, [c]], labels[:, [c]]) for c in by_count],
        items=shown.items,
        epistemic_shares=epistemic_shares(found).tolist(),
        best_epoch=classifier.result_.best_epoch,
        num_left_to_person=num_left,
        temperature=run.config.temperature,
        truth=_truth(run, found.mean) if catalog.source == DEMO else None,
        warnings=list(dict.fromkeys(notes)),
        versions=environment.get("packages", {}),
        typed=str(environment.get("command", "")),
        surprises=shown.surprises,
        rankings=shown.rankings,
        num_unreadable=shown.num_unreadable,
        statistics=replace(statistics, competitors=competitors, robustness=moved),
    )


def _moved(run: Run, lengths: Sequence[float], draws: int, seed: int) -> Robustness | None:
    """Return scores of items that are moved, where that is asked for or was trained for."""
    trained = run.config.adversarial
    if not lengths and trained > 0 and run.classifier.links_ is None:
        lengths = (trained / 2, trained, 2 * trained)
    return robustness(run, lengths, draws=draws, seed=seed) if lengths else None


def _reproducing(path: Path, run: Run, source: object) -> str:
    """Return the command that fits the run again, into a folder beside it."""
    if not isinstance(source, str):
        return ""
    place = path.absolute()
    again = f"{place.name}-again"
    return fit_command(run.config, None if source == DEMO else source, again, place / "config.json")


def _pooled(scores: Evaluation) -> dict[str, float]:
    at = scores.f1_at_thresholds or scores.f1
    return {
        "macro_ap": scores.average_precision.macro,
        "micro_ap": scores.average_precision.micro,
        "samples_ap": scores.average_precision.samples,
        "nll": scores.nll,
        "brier": scores.brier,
        "ece_equal_width": scores.ece.equal_width,
        "ece_equal_mass": scores.ece.equal_mass,
        "micro_f1": at.micro,
        "macro_f1": at.macro,
        "weighted_f1": at.weighted,
        "samples_f1": at.samples,
    }


def _label_row(scores: Evaluation, label: int) -> LabelRow:
    one = scores.labels[label]
    threshold = 0.5 if one.threshold is None else one.threshold
    return LabelRow(
        name=one.name,
        num_positives=one.positives,
        base_rate=one.base_rate,
        average_precision=one.average_precision,
        f1=one.f1 if one.f1_at_threshold is None else one.f1_at_threshold,
        threshold=threshold,
        brier=one.brier,
        ece=one.ece_equal_mass,
    )


def _curve(
    name: str, probability: NDArray[np.float64], labels: NDArray[np.float32]
) -> ReliabilityCurve:
    curve = calibration.reliability_curve(probability, labels, binning="equal-mass")
    used = curve.count > 0
    return ReliabilityCurve(
        name=str(name),
        predicted=curve.mean_predicted[used].tolist(),
        observed=curve.observed_rate[used].tolist(),
        count=curve.count[used].tolist(),
        ece=float(curve.error),
    )


def _truth(run: Run, mean: NDArray[np.float64]) -> KnownTruth:
    """Return the exact probabilities of the demo catalogue beside the predicted ones."""
    modalities = set(run.classifier.model_.network.names)
    column = "text_image" if modalities == {"text", "image"} else modalities.pop()
    truth: pd.DataFrame = make_demo().truth
    table = truth.pivot_table(index="id", columns="label", values=column)
    known = table.loc[run.catalog.ids[run.rows].tolist(), list(run.classifier.label_names_)]
    return KnownTruth(mean.ravel().tolist(), known.to_numpy(np.float64).ravel().tolist())


__all__ = ["collect"]
