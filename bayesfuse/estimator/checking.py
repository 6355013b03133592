"""Checks a run against labels: all that `bayesfuse check` has to tell, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.errors import UserError
from bayesfuse.estimator.guide_checking import check_guide
from bayesfuse.estimator.workflow import Run, known_labels
from bayesfuse.evaluation.checks import PredictiveCheck, predictive_check
from bayesfuse.evaluation.importance import GuideCheck, LeaveOneOut
from bayesfuse.evaluation.isotonic import Reliability, reliability
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.graph.statistics import degree_strata

MAX_ITEMS = 20_000
"""More items than these are checked by a random part of them, and the result says so."""


@dataclass(frozen=True)
class RunCheck:
    """What `check_run` found; prints as text.

    Attributes:
        source: The catalogue.
        split: Of which items the labels were checked.
        num_items: How many they are.
        num_labelled: How many there were to choose from.
        reliability: How often each label is there, by its probability.
        posterior: The posterior predictive check.
        prior: The prior predictive check; None for a network without posterior.
        left_out: What leaving items of train out comes to; None where it was not asked for, or the
            catalogue is not that of the fit.
        guide: How far the guide is from the posterior; None likewise.
        notes: What a reader must know to read it.
    """

    source: str
    split: str
    num_items: int
    num_labelled: int
    posterior: PredictiveCheck
    prior: PredictiveCheck | None
    reliability: Reliability
    left_out: LeaveOneOut | None
    guide: GuideCheck | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, texts, lists and dicts, for JSON."""
        return {
            "catalog": self.source,
            "split": self.split,
            "num_items": self.num_items,
            "num_labelled": self.num_labelled,
            "posterior": self.posterior.to_dict(),
            "prior": None if self.prior is None else self.prior.to_dict(),
            "reliability": self.reliability.to_dict(),
            "left_out": None if self.left_out is None else self.left_out.to_dict(),
            "guide": None if self.guide is None else self.guide.to_dict(),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        """Return aligned plain text, the posterior first."""
        parts = [f"{self.source}, {self.split}", str(self.posterior)]
        if self.prior is not None:
            parts.append(self.prior.summary())
        parts += [str(self.reliability)]
        parts += [str(one) for one in (self.left_out, self.guide) if one is not None]
        return "\n\n".join([*parts, *self.notes])


def check_run(
    run: Run,
    split: str,
    *,
    draws: int,
    seed: int,
    replicates: int = 1000,
    guide_draws: int = 200,
    max_items: int = MAX_ITEMS,
) -> RunCheck:
    """Check a run against the labelled ones of its rows.

    Args:
        run: The run, a catalogue, and the rows to look at.
        split: What the rows are called.
        draws: Posterior draws.
        seed: Of the draws, the replicates, and the choice of items where there are too many.
        replicates: See `bayesfuse.evaluation.checks.predictive_check`.
        guide_draws: Draws by which the guide is judged and items of train are left out, at least
            50; 0 to do neither.
        max_items: See `MAX_ITEMS`.

    Raises:
        UserError: If no item has known labels.
        ConfigError: If there are too few replicates or draws of the guide.
    """
    run, num_labelled = labelled_part(run, max_items, seed)
    classifier, rows = run.classifier, run.rows
    features = run.catalog.features.take(rows)
    labels = known_labels(classifier, run.catalog)[rows]
    strata = strata_of(run)

    def drawn(prior: bool = False) -> NDArray[np.float32]:
        chunks = classifier.iter_proba(features, draws, seed, prior=prior)
        return np.concatenate(list(chunks), axis=1)

    def check(probability: NDArray[np.float32], kind: str) -> PredictiveCheck:
        return predictive_check(
            probability,
            labels,
            classifier.label_names_,
            strata=strata,
            replicates=replicates,
            seed=seed,
            kind=kind,
        )

    notes = []
    if len(rows) < num_labelled:
        notes.append(
            f"{len(rows):,} of {num_labelled:,} labelled items were checked, chosen at random."
        )
    if split in {"train", "all"}:
        notes.append(
            "Labels of train were seen in the fit: p-values there are too near to 1/2, and a model "
            "that learned them by heart would look right."
        )
    probability = drawn()
    has_posterior = run.config.elbo != "none"
    left_out, guide = None, None
    if guide_draws and has_posterior:
        left_out, guide, told = check_guide(run, draws=guide_draws, seed=seed)
        notes += told
    return RunCheck(
        run.catalog.source,
        split,
        len(rows),
        num_labelled,
        check(probability, "posterior"),
        check(drawn(prior=True), "prior") if has_posterior else None,
        reliability(probability.mean(axis=0), labels, classifier.label_names_, seed=seed),
        left_out,
        guide,
        tuple(notes),
    )


def labelled_part(run: Run, max_items: int, seed: int) -> tuple[Run, int]:
    """Return the run with at most so many labelled ones of its rows, and how many there were.

    Raises:
        UserError: If there is none.
    """
    rows = run.rows[run.catalog.labelled[run.rows]]
    if not len(rows):
        raise UserError(
            f"{run.catalog.source} has no labelled items among those asked for; a check compares "
            "labels with what the model draws. Choose another --split or catalogue."
        )
    count = len(rows)
    if count > max_items:
        chosen = np.random.default_rng([seed, 3]).choice(count, max_items, replace=False)
        rows = rows[np.sort(chosen)]
    return replace(run, rows=rows), count


def strata_of(run: Run) -> dict[str, NDArray[np.bool_]]:
    """Return the strata of a run's rows: name to mask, `items`.

    They are each modality missing or there (where both occur), the degree in the graph, the split.
    """
    features, rows = run.catalog.features, run.rows
    found: dict[str, NDArray[np.bool_]] = {}
    for column, name in enumerate(features.names):
        there = features.observed[rows, column]
        found |= {f"with {name}": there, f"without {name}": ~there}
    if isinstance(features, LinkedFeatures):
        strata = degree_strata(features.graph.degrees()[features.rows[rows]])
        found |= {f"{name} neighbours": mask for name, mask in strata.items()}
    split = run.catalog.split[rows]
    if len(np.unique(split)) > 1:
        found |= {f"in {name}": split == name for name in ("train", "val", "test")}
    return found
