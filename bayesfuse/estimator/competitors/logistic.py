"""Logistic regression on all features side by side, a label at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from bayesfuse.data.catalog import Catalog
from bayesfuse.estimator.competitors.bench import Bench, Draws, Fitted, stopwatch
from bayesfuse.evaluation.metrics import nll

Array = NDArray[np.float64]

STRENGTHS = tuple(10.0**power for power in range(-5, 4))
"""Inverse strengths C of the L2 penalty that are tried; those above 1 while they are better."""


@final
@dataclass(frozen=True)
class Logistic(Fitted):
    """Weights of standardised features; a graph's neighbours count for nothing here.

    Attributes:
        statistics: Modality to the mean and standard deviation of its features on train.
        weights: The bias last, `labels x (features + 1)`.
        strength: The C that was chosen.
    """

    statistics: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
    weights: Array
    strength: float

    def draws(self, catalog: Catalog, rows: NDArray[np.int64]) -> Draws:
        """Return the probabilities as one draw."""
        features = side_by_side(catalog, rows, self.statistics)
        return np.asarray(expit(features @ self.weights[:, :-1].T + self.weights[:, -1])[None])


def fit(bench: Bench, seed: int) -> Logistic:
    """Fit every label on train for each C, and keep the C of the least NLL on val.

    A label that no training item has, or that all have, gets its base rate, as in a network. No
    seed changes anything.
    """
    with stopwatch() as elapsed:
        statistics = bench.catalog.features.statistics(bench.train)
        train, val = (
            side_by_side(bench.catalog, rows, statistics) for rows in (bench.train, bench.val)
        )
        known, wanted = bench.labels(bench.train), bench.labels(bench.val)
        best = (np.inf, 0.0, np.empty((0, 0)))
        for strength in STRENGTHS:
            weights = _weights(train, known, strength)
            loss = nll(expit(val @ weights[:, :-1].T + weights[:, -1]), wanted)
            if loss < best[0]:
                best = (loss, strength, weights)
            elif strength >= 1:
                break  # weak penalties take long, and none weaker will be better
        _, strength, weights = best
        return Logistic(elapsed(), weights.size, statistics, weights, strength)


def side_by_side(
    catalog: Catalog,
    rows: NDArray[np.int64],
    statistics: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> Array:
    """Return the standardised features of all modalities, and which of these are there.

    Returns:
        `items x (features + modalities)`; the features of what is not observed are 0, their mean.
    """
    values, observed = catalog.features.batch(rows)
    there = dict(zip(catalog.features.names, observed.T, strict=True))
    columns = [
        (values[name].astype(np.float64) - loc) / scale * there[name][:, None]
        for name, (loc, scale) in statistics.items()
    ]
    masks = [there[name].astype(np.float64)[:, None] for name in statistics]
    return np.hstack([*columns, *masks])


def _weights(features: Array, labels: NDArray[np.float32], strength: float) -> Array:
    """Return the fitted weights of each label, the bias last, `labels x (features + 1)`."""
    found = np.zeros((labels.shape[1], features.shape[1] + 1))
    for column, truth in enumerate(labels.T):
        positives = truth.sum()
        if positives in (0, len(truth)):
            found[column, -1] = logit((positives + 0.5) / (len(truth) + 1))
            continue
        model = LogisticRegression(C=strength, max_iter=5000).fit(features, truth > 0)
        found[column] = np.append(model.coef_[0], model.intercept_[0])
    return found
