"""Judges a run's guide on the items that it was fitted on, and leaves these out one at a time."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import torch

from bayesfuse.errors import ConfigError
from bayesfuse.estimator.classifier import FusionClassifier
from bayesfuse.estimator.workflow import Run, known_labels
from bayesfuse.evaluation.importance import (
    MIN_DRAWS,
    GuideCheck,
    LeaveOneOut,
    guide_check,
    leave_one_out,
)
from bayesfuse.evaluation.likelihood import log_likelihood
from bayesfuse.inference.guide_ratio import log_prior_over_guide

MAX_LEFT_OUT = 2_000
"""Of more training items than these a random part is left out, one at a time."""


def first_member(classifier: FusionClassifier) -> FusionClassifier:
    """Return a classifier that predicts by the first member of its mixture alone."""
    if len(classifier.model_.members) == 1:
        return classifier
    alone = copy.copy(classifier)
    alone.model_ = dataclasses.replace(classifier.model_, others=())
    return alone


def check_guide(
    run: Run, *, draws: int, seed: int, max_left_out: int = MAX_LEFT_OUT
) -> tuple[LeaveOneOut | None, GuideCheck | None, list[str]]:
    r"""Leave items of train out and judge the guide, by the same draws.

    .. math:: \log r_s = \tfrac1T \sum_{i,c} \log p(y_{ic} \mid \theta^{(s)}) + \log p(\theta^{(s)})
        - \log q(\theta^{(s)})

    over all items of train, with the temperature T of the fit. Labels that training could say
    nothing about are left out: no weight decides on them.

    Args:
        run: The run and a catalogue, that of the fit.
        draws: Draws of the guide, at least 50.
        seed: Of the draws.
        max_left_out: See `MAX_LEFT_OUT`.

    Returns:
        Both, or None where they mean nothing; and what the reader must know.

    Raises:
        ConfigError: If there are too few draws.
    """
    if draws < MIN_DRAWS:
        raise ConfigError(
            f"--guide-draws is {draws}; expected at least {MIN_DRAWS}, or 0 to judge no guide."
        )
    classifier, catalog = first_member(run.classifier), run.catalog
    model = classifier.model_
    rows = catalog.labelled_rows("train")
    if len(rows) != model.num_items:
        return (
            None,
            None,
            [
                f"The guide was not judged: the run was fitted on {model.num_items:,} items, and "
                f"{catalog.source} has {len(rows):,} labelled items in train."
            ],
        )
    if run.config.class_weights != "none":
        return (
            None,
            None,
            [
                f"The guide was not judged: with --class-weights {run.config.weighting} there "
                "is no likelihood of the labels."
            ],
        )
    beside = run.config.beside_likelihood
    if beside:
        refused = f"The guide was not judged: it was fitted by {' and '.join(beside)}, too."
        return None, None, [refused]
    learned = model.network.fixed_logit.isnan().cpu().numpy()
    labels = known_labels(classifier, catalog)[rows]
    rng = np.random.default_rng([seed, 6])
    chosen = np.sort(rng.permutation(len(rows))[:max_left_out])
    totals, done = np.zeros(draws), 0
    kept, likely = [], []
    features = catalog.features.take(rows)
    for chunk in classifier.iter_proba(features, draws, seed, recalibrated=False):
        here = slice(done, done + chunk.shape[1])
        told = log_likelihood(chunk[:, :, learned], labels[here, learned], by_item=True)
        totals += told.sum(axis=1, dtype=np.float64)
        inside = chosen[(chosen >= here.start) & (chosen < here.stop)] - done
        kept.append(chunk[:, inside][:, :, learned])
        likely.append(told[:, inside])
        done = here.stop
    ids = [str(name) for name in catalog.ids[rows[chosen]]]
    left_out = leave_one_out(
        np.concatenate(kept, axis=1),
        np.concatenate(likely, axis=1),
        labels[chosen][:, learned],
        ids,
        seed,
    )
    prior, own = log_prior_over_guide(model.predictive(seed, torch.float32), draws)
    assert model.lifted is not None
    num_weights = sum(site.shape.numel() for site in model.lifted.sites)
    guide = guide_check(totals / run.config.temperature + prior - own, num_weights)
    notes = []
    if len(run.classifier.model_.members) > 1:
        notes.append(
            f"The guide of the first of {len(run.classifier.model_.members)} members was judged; "
            "each has weights of its own that are not random."
        )
    if len(chosen) < len(rows):
        notes.append(f"{len(chosen):,} of {len(rows):,} items of train were left out, at random.")
    return left_out, guide, notes
