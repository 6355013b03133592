"""A run scored with intervals, and whether its uncertainty tells items that are none of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.classifier import FusionClassifier
from bayesfuse.estimator.foreign import foreign_items
from bayesfuse.estimator.workflow import Run, known_labels
from bayesfuse.evaluation.evaluate import Evaluation, evaluate
from bayesfuse.evaluation.outliers import auroc_statistic
from bayesfuse.evaluation.resampling import NUM_REPLICATES, Interval, bootstrap
from bayesfuse.evaluation.score_intervals import ScoreIntervals, score_intervals
from bayesfuse.evaluation.text import aligned
from bayesfuse.evaluation.uncertainty import DrawSummary
from bayesfuse.graph.neighbour_labels import NEIGHBOUR_LABELS

MADE = ("shuffled", "noise")
"""Foreign items that are made of a catalogue's own (`bayesfuse.estimator.foreign`)."""


@dataclass(frozen=True, eq=False)
class Scored:
    """How good a run is on its items, and how far these scores would move with others.

    Attributes:
        evaluation: The scores.
        intervals: The scores with intervals, several more among them; None if not asked for.
        outliers: Kind of foreign items to the AUROC of epistemic uncertainty against the run's
            own, with its 95 % interval over items.
    """

    evaluation: Evaluation
    intervals: ScoreIntervals | None
    outliers: Mapping[str, Interval]

    def to_dict(self) -> dict[str, object]:
        """Return plain dicts, lists and numbers for JSON, what was not asked for left out."""
        found: dict[str, object] = dict(self.evaluation.to_dict())
        if self.intervals is not None:
            found["intervals"] = self.intervals.to_dict()
        if self.outliers:
            found["outliers"] = {
                kind: dataclasses.asdict(one) for kind, one in self.outliers.items()
            }
        return found

    def __str__(self) -> str:
        """Return the scores as aligned tables."""
        parts = [str(self.evaluation)]
        if self.intervals is not None:
            parts.append(str(self.intervals))
        if self.outliers:
            rows = [
                [kind, f"{one.estimate:.3f}", f"{one.low:.3f} to {one.high:.3f}"]
                for kind, one in self.outliers.items()
            ]
            header = ["more uncertain than the run's own items", "AUROC", "95% interval"]
            parts.append(aligned(header, rows))
        return "\n\n".join(parts)


def score_run(
    run: Run,
    *,
    draws: int | None = None,
    seed: int | None = None,
    intervals: bool = True,
    replicates: int = NUM_REPLICATES,
    made: Sequence[str] = (),
    others: Mapping[str, Run] | None = None,
    kind: str = "joint",
) -> Scored:
    """Score a run's posterior predictive on its labelled rows.

    Args:
        run: A run and a catalogue, rows labelled.
        draws: Posterior draws; the run's if None.
        seed: Their seed; the run's if None.
        intervals: Whether to compute intervals.
        replicates: Resamples of the items behind each interval.
        made: Kinds of foreign items to make of the items, of `MADE`.
        others: Name to the same run with another catalogue, whose rows are foreign.
        kind: See `bayesfuse.FusionClassifier.sample_proba`.

    Raises:
        ConfigError: If the run has no posterior and uncertainty is asked for, a kind is unknown, or
            items of one modality are to be shuffled.
    """
    foreign = bool(made or others)
    if foreign and run.config.elbo == "none":
        raise ConfigError(
            "--outliers asks how unsure the posterior is, and the run has none (--elbo none). Fit "
            "with another --elbo."
        )
    classifier, catalog, rows = run.classifier, run.catalog, run.rows
    labels = known_labels(classifier, catalog)[rows]
    names, thresholds = classifier.label_names_, classifier.thresholds_
    mean, unsure = _predicted(classifier, catalog.features.take(rows), draws, seed, kind)
    strange = {
        name: _predicted(classifier, features, draws, seed, kind)[1]
        for name, features in _made(run, made).items()
    }
    for name, other in (others or {}).items():
        table = other.catalog.features.take(other.rows)
        strange[name] = _predicted(classifier, table, draws, seed, kind)[1]
    return Scored(
        evaluate(mean, labels, names, thresholds),
        score_intervals(mean, labels, names, thresholds, replicates=replicates)
        if intervals
        else None,
        {kind: _auroc(unsure, other, replicates) for kind, other in strange.items()},
    )


def _predicted(
    classifier: FusionClassifier,
    features: FeatureTable,
    draws: int | None,
    seed: int | None,
    kind: str,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean probabilities, `items x labels`, and mutual information, `items`, in nats."""
    means, unsure = [], []
    for chunk in classifier.iter_proba(features, draws, seed, kind=kind):
        means.append(chunk.mean(axis=0, dtype=np.float64))
        unsure.append(DrawSummary().update(chunk).epistemic.mean(axis=1))
    return np.concatenate(means), np.concatenate(unsure)


def _made(run: Run, kinds: Sequence[str]) -> dict[str, FeatureTable]:
    """Return foreign items made of the run's own, linked as these are."""
    if not kinds:
        return {}
    table = run.catalog.features
    # what the neighbours' labels are comes back with the links
    plain = table.select(name for name in table.names if name != NEIGHBOUR_LABELS)
    catalog = dataclasses.replace(run.catalog, features=plain)
    train = catalog.labelled_rows("train")
    known = foreign_items(catalog, run.rows, train if len(train) else np.arange(len(catalog)))
    missing = [kind for kind in kinds if kind not in known]
    if missing:
        raise ConfigError(
            f"--outliers {', '.join(missing)}: the items have one modality, so that there are no "
            "pairs to shuffle. Leave it out."
        )
    return {kind: _linked(run.classifier, known[kind]) for kind in kinds}


def _linked(classifier: FusionClassifier, catalog: Catalog) -> FeatureTable:
    return classifier.link(catalog).features


def _auroc(own: NDArray[np.float64], foreign: NDArray[np.float64], replicates: int) -> Interval:
    statistic, num_items = auroc_statistic(own, foreign)
    found = bootstrap({"auroc": statistic}, num_items, replicates=replicates)["auroc"]
    one = found.interval(lowest=0.0)
    return Interval(one.estimate, one.low, min(one.high, 1.0))
