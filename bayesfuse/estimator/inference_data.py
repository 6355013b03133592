"""Gathers what ArviZ holds of a fitted classifier and data: draws, labels, likelihood, history."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.estimator.classifier import FusionClassifier
from bayesfuse.estimator.workflow import Run, known_labels
from bayesfuse.evaluation.likelihood import log_likelihood
from bayesfuse.inference.idata import (
    MAX_VALUES,
    Inference,
    PredictiveDraws,
    Thinning,
    Weights,
    to_groups,
    to_inference_data,
)

MAX_LOG_LIKELIHOOD = 50_000_000
"""Numbers of `draws x items x labels` above which the log likelihood is kept by item: 200 MB."""


def inference_data(
    classifier: FusionClassifier,
    X: Any,
    y: NDArray[Any] | None = None,
    *,
    ids: NDArray[Any] | None = None,
    constants: Mapping[str, tuple[tuple[str, ...], NDArray[Any]]] | None = None,
    draws: int | None = None,
    seed: int | None = None,
    max_values: int = MAX_VALUES,
) -> Any:
    """Return a fitted classifier and items as ArviZ's `InferenceData` (from 1.0 on, `DataTree`).

    Items with known labels are in `posterior_predictive`, `observed_data`, `prior_predictive` and
    `log_likelihood`; items without in `predictions`. The prior predictive draws the random weights
    from their prior; all other weights, such as the classifier's, are as fitted.

    Args:
        classifier: Fitted, or loaded from a run folder.
        X: The items, as `FusionClassifier.predict_proba` takes them.
        y: Their labels, `items x labels`, 0 or 1, NaN in the rows of items whose labels are not
            known; None if no item's are.
        ids: What to call the items; 0, 1, ... if None.
        constants: What else is known of the items, name to dimensions and values.
        draws: Posterior draws; the classifier's own number if None.
        seed: Of the draws; the classifier's own if None.
        max_values: See `bayesfuse.inference.idata.Thinning`.

    Raises:
        MissingExtraError: If ArviZ is not installed.
        FeatureError: If X or y do not fit.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = {"text": rng.normal(size=(40, 3))}
        >>> y = (X["text"][:, :2] > 0).astype(float)
        >>> classifier = FusionClassifier(hidden=4, epochs=2, annealing_epochs=1).fit(X, y)
        >>> found = inference_data(classifier, X, y, draws=5)
        >>> dict(found.posterior_predictive.y.sizes)
        {'chain': 1, 'draw': 5, 'item': 40, 'label': 2}
    """
    found = _gather(classifier, X, y, ids, constants or {}, draws, seed, max_values)
    return to_inference_data(to_groups(found))


def inference_data_of(run: Run, *, draws: int, seed: int, max_values: int = MAX_VALUES) -> Any:
    """Return a run and the rows of its catalogue as ArviZ holds them; see `inference_data`."""
    catalog, rows = run.catalog, run.rows
    labels = known_labels(run.classifier, catalog)[rows].astype(np.float64)
    labels[~catalog.labelled[rows]] = np.nan
    known = rows[catalog.labelled[rows]]
    features = catalog.features
    has: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {
        f"has_{name}": (("item",), features.observed[known, column].astype(np.int8))
        for column, name in enumerate(features.names)
    }
    has["split"] = (("item",), catalog.split[known])
    table = features.take(rows)
    return inference_data(
        run.classifier,
        table,
        labels,
        ids=catalog.ids[rows],
        constants=has if len(known) else {},
        draws=draws,
        seed=seed,
        max_values=max_values,
    )


def _gather(
    classifier: FusionClassifier,
    X: Any,
    y: NDArray[Any] | None,
    ids: NDArray[Any] | None,
    constants: Mapping[str, tuple[tuple[str, ...], NDArray[Any]]],
    draws: int | None,
    seed: int | None,
    max_values: int,
) -> Inference:
    config, labels = classifier.config_, classifier.label_names_
    seed = classifier.seed if seed is None else seed
    draws = 1 if config.elbo == "none" else classifier.draws if draws is None else draws
    if draws < 1:
        raise ConfigError(f"draws is {draws}; expected at least 1 posterior draw.")
    probability = classifier.sample_proba(X, draws, seed)
    num_items = probability.shape[1]
    truth = np.full((num_items, len(labels)), np.nan) if y is None else np.asarray(y, np.float64)
    ids = np.arange(num_items) if ids is None else np.asarray(ids)
    if truth.shape != (num_items, len(labels)) or len(ids) != num_items:
        raise FeatureError(
            f"Got {num_items} items, labels of shape {truth.shape} and {len(ids)} ids; expected "
            f"labels of shape ({num_items}, {len(labels)}) and as many ids as items."
        )
    known = ~np.isnan(truth).any(axis=1)
    rng = np.random.default_rng([seed, 1])
    has_posterior = config.elbo != "none"
    parts: dict[str, Any] = {}
    if has_posterior:
        parts["posterior"] = _weights(classifier, draws, seed, max_values, prior=False)
        parts["prior"] = _weights(classifier, draws, seed, max_values, prior=True)
    if known.any():
        observed = truth[known].astype(np.int8)
        told = probability[:, known]
        parts["posterior_predictive"] = _replicated(ids[known], told, rng)
        parts["observed"] = observed
        by_item = told.size > MAX_LOG_LIKELIHOOD
        parts["log_likelihood"] = log_likelihood(told, observed, by_item=by_item)
        if has_posterior:
            chunks = classifier.iter_proba(X, draws, seed, prior=True)
            prior = np.concatenate(list(chunks), axis=1)[:, known]
            parts["prior_predictive"] = _replicated(ids[known], prior, rng)
    if not known.all():
        parts["predictions"] = _replicated(ids[~known], probability[:, ~known], rng)
    thinning = parts["posterior"].thinning if has_posterior else Thinning((0,), 1)
    return Inference(
        labels=labels,
        history=classifier.history_,
        constants=constants,
        attributes={
            **{name: version(name) for name in ("bayesfuse", "torch", "pyro-ppl", "numpy")},
            "inference_library": "pyro-ppl",
            "inference_library_version": version("pyro-ppl"),
            "seed": seed,
            "temperature": float(config.temperature) if has_posterior else 1.0,
            "class_weights": config.weighting,
            "loss": config.loss,
            "label_smoothing": config.label_smoothing,
            "beside_likelihood": ", ".join(config.beside_likelihood),
            "recalibrate": config.recalibrate,
            "elbo": config.elbo,
            "guide": config.guide if has_posterior else "none",
            "draws": draws,
            "posterior_draws_kept": len(thinning.draws),
            "posterior_every_weight": thinning.stride,
            "chains": "one: draws of a guide are independent, so that no R-hat is claimed",
        },
        **parts,
    )


def _replicated(
    ids: NDArray[Any], probability: NDArray[np.float32], rng: np.random.Generator
) -> PredictiveDraws:
    """Return draws with a replicate of the labels each."""
    y = np.empty(probability.shape, np.int8)
    for draw, p in enumerate(probability):
        y[draw] = rng.random(p.shape, np.float32) < p
    return PredictiveDraws(ids, probability, y)


def _weights(
    classifier: FusionClassifier, draws: int, seed: int, max_values: int, *, prior: bool
) -> Weights:
    """Return the random weights of draws, site by site, as many as there is room for."""
    lifted = classifier.model_.lifted
    assert lifted is not None
    num_weights = sum(site.shape.numel() for site in lifted.sites)
    thinning = Thinning.plan(num_weights, draws, max_values)
    predictive = classifier.model_.predictive(seed, torch.float32, prior)
    kept: dict[str, list[NDArray[Any]]] = {site.name: [] for site in lifted.sites}
    for draw in thinning.draws:
        weights = predictive.weights(draw)
        for name in kept:
            kept[name].append(thinning.take(weights[name].cpu().numpy()))
    return Weights({name: np.stack(values) for name, values in kept.items()}, thinning)
