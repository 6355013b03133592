"""One row of a table of models with one seed: fitted, and what it says of the scored items."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.config import FitConfig, ModelConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.errors import ConfigError, UserError, unknown_option
from bayesfuse.estimator.classifier import FusionClassifier
from bayesfuse.estimator.training_warnings import training_warnings
from bayesfuse.evaluation.intervals import bootstrap_scores
from bayesfuse.evaluation.resampling import NUM_REPLICATES, Bootstrap

SCORES = ("macro_ap", "nll", "ece", "brier", "macro_f1", "micro_f1")
"""Scores of a row, as `bootstrap_scores` calls them."""


@dataclass(frozen=True, eq=False)
class RowResult:
    """What one fit came to.

    Attributes:
        probability: Of the scored items, the mean over draws, `items x labels`, float32.
        thresholds: Chosen on val, `labels`.
        scores: Name in `SCORES` to the score on the items and on resamples of them.
        fit_seconds: Seconds to fit it, from the features on.
        predict_seconds: Seconds to predict the scored items.
        num_parameters: Fitted numbers.
        best_epoch: The epoch that was kept, from 1.
        epochs: Epochs trained.
        warnings: What the user should know of it.
    """

    probability: NDArray[np.float32]
    thresholds: NDArray[np.float64]
    scores: Mapping[str, Bootstrap]
    fit_seconds: float
    predict_seconds: float
    num_parameters: int
    best_epoch: int
    epochs: int
    warnings: tuple[str, ...] = ()


def fit_row(
    catalog: Catalog,
    config: FitConfig,
    scored: str,
    replicates: int = NUM_REPLICATES,
    labelled: float = 1.0,
) -> RowResult:
    """Fit on train, choose epoch and thresholds on val, and predict the items to score.

    Args:
        catalog: With features, all modalities of it.
        config: The settings of the row, and its seed.
        scored: The split, `val` or `test`.
        replicates: Resamples of the scored items.
        labelled: Share of the training items whose labels it knows.

    Raises:
        BayesfuseError: If the model cannot take the catalogue, or training fails.
    """
    for split in ("train", "val"):
        if not len(catalog.labelled_rows(split)):
            raise UserError(
                f'{catalog.source} has no labelled items in the split "{split}"; models are fitted '
                "on train and their epochs chosen on val. Name its column of splits with --split."
            )
    config.check_loss()
    config.check_pretraining()
    catalog = with_labels(selected(catalog, config), labelled, config.seed)
    classifier = FusionClassifier(**config.model_dump(include=set(ModelConfig.model_fields)))
    started = time.perf_counter()
    classifier.fit(catalog)
    fitted = time.perf_counter()
    rows = catalog.labelled_rows(scored)
    items = classifier.link(catalog).features.take(rows)
    chunks = classifier.iter_proba(items)
    probability = np.concatenate([chunk.mean(axis=0, dtype=np.float64) for chunk in chunks])
    predicted = time.perf_counter()
    result = classifier.result_
    return RowResult(
        probability=probability.astype(np.float32),
        thresholds=np.asarray(classifier.thresholds_, np.float64),
        scores=scores_of(probability, catalog.labels[rows], classifier.thresholds_, replicates),
        fit_seconds=fitted - started,
        predict_seconds=predicted - fitted,
        num_parameters=sum(classifier.model_.num_parameters.values()),
        best_epoch=result.best_epoch + 1,
        epochs=len(result.history),
        warnings=tuple(training_warnings(classifier)),
    )


def scores_of(
    probability: NDArray[np.floating[Any]],
    labels: NDArray[np.float32],
    thresholds: NDArray[np.float64],
    replicates: int,
) -> dict[str, Bootstrap]:
    """Return the scores of a row on the items and on resamples, the same for every row."""
    # as they are kept, so that scores are the same whether read or made
    kept = probability.astype(np.float32)
    return bootstrap_scores(kept, labels, thresholds, only=SCORES, replicates=replicates)


def selected(catalog: Catalog, config: FitConfig) -> Catalog:
    """Return the catalogue with the modalities of a row only.

    Raises:
        ConfigError: If it lacks one.
    """
    known = catalog.features.names
    wanted = config.modalities or known
    problems = [unknown_option("modality", name, known) for name in wanted if name not in known]
    if problems:
        raise ConfigError(" ".join(problems))
    chosen = [name for name in known if name in wanted]
    return dataclasses.replace(catalog, features=catalog.features.select(chosen), raw={})


def with_labels(catalog: Catalog, share: float, seed: int) -> Catalog:
    """Return the catalogue with the labels of a share of its training items, and of all others.

    Args:
        catalog: The catalogue.
        share: In (0, 1]; at least two items keep their labels.
        seed: Of the choice.
    """
    if share == 1:
        return catalog
    rows = catalog.labelled_rows("train")
    kept = max(2, round(share * len(rows)))
    lost = np.random.default_rng([seed, 5]).permutation(rows)[kept:]
    labels, labelled = catalog.labels.copy(), catalog.labelled.copy()
    labels[lost], labelled[lost] = 0, False
    return dataclasses.replace(catalog, labels=labels, labelled=labelled)
