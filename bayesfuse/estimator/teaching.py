"""What a teacher says of items, as a student learns it: whole, a modality at a time, and fused."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.classifier import FusionClassifier
from bayesfuse.evaluation.uncertainty import DrawSummary
from bayesfuse.graph.hiding import hide, hideable
from bayesfuse.graph.neighbour_labels import NEIGHBOUR_LABELS

_ITEMS_AT_ONCE = 512


@dataclass(frozen=True)
class Lesson:
    """What the teacher says of some items.

    Attributes:
        views: Boolean, `views x items`: which views there are; the first is the item as it is.
        mean: Probabilities, `views x items x labels`.
        share: The share of their uncertainty that is epistemic, `views x items x labels`.
        without: Probabilities without each modality, `modalities x items x labels`; empty unless
            they were asked for.
        fused: Fused vectors at the posterior's location, `items x width`; empty likewise.
    """

    views: NDArray[np.bool_]
    mean: NDArray[np.float32]
    share: NDArray[np.float32]
    without: NDArray[np.float32]
    fused: NDArray[np.float32]


def teachable(classifier: FusionClassifier) -> tuple[str, ...]:
    """Return the modalities that a student of this teacher reads.

    Those are the teacher's, but for how often its neighbours have each label: a student hears
    nobody.

    Raises:
        ConfigError: If the teacher reads token by token, or nothing else.
    """
    network = classifier.model_.network
    if network.transformer is not None:
        raise ConfigError(
            "This run was fine-tuned with a transformer that reads word by word, and the student "
            "reads one vector a modality. Distil a run on encoded features."
        )
    names = tuple(name for name in network.names if name != NEIGHBOUR_LABELS)
    if not names:
        raise ConfigError("This run reads nothing but its neighbours' labels: nothing to distil.")
    return names


def teach(
    classifier: FusionClassifier,
    features: FeatureTable,
    *,
    draws: int,
    seed: int,
    single: bool,
    without: bool,
    fused: bool,
) -> Lesson:
    """Return what a teacher says of items.

    Args:
        classifier: The teacher.
        features: The items, linked if it has a graph.
        draws: Its posterior draws.
        seed: Their seed.
        single: Whether to ask it of each modality alone, too.
        without: Whether to ask it of all modalities but one, too.
        fused: Whether to take its fused vectors, too.
    """
    names = teachable(classifier)
    there = [features.names.index(name) for name in names]
    own = [np.ones(features.num_items, np.bool_)]
    asked = [_probabilities(classifier, features, draws, seed)]
    for name, column in zip(names if single else (), there, strict=False):
        asked.append(_probabilities(classifier, _only(features, {name}), draws, seed))
        own.append(features.observed[:, column])
    mean, share = (np.stack(parts) for parts in zip(*asked, strict=True))
    lacking = [
        _probabilities(classifier, hide(features, {name}), draws, seed)[0]
        for name in (names if without else ())
    ]
    return Lesson(
        np.stack(own),
        mean,
        share,
        np.stack(lacking) if lacking else np.zeros((0, *mean.shape[1:]), np.float32),
        _fused(classifier, features) if fused else np.zeros((0, 0), np.float32),
    )


def _only(features: FeatureTable, names: Collection[str]) -> FeatureTable:
    """Return the items as if nothing but these modalities were known, and no neighbour."""
    return hide(features, {name for name in hideable(features) if name not in names})


def _probabilities(
    classifier: FusionClassifier, features: FeatureTable, draws: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mean of the draws and the epistemic share, each `items x labels`."""
    means, shares = [], []
    for chunk in classifier.iter_proba(features, draws, seed):
        summary = DrawSummary().update(chunk)
        total, epistemic = summary.total, summary.epistemic
        means.append(summary.mean.astype(np.float32))
        share = np.divide(epistemic, total, out=np.zeros_like(total), where=total > 0)
        shares.append(np.clip(share, 0, 1).astype(np.float32))
    return np.concatenate(means), np.concatenate(shares)


def _fused(classifier: FusionClassifier, features: FeatureTable) -> NDArray[np.float32]:
    """Return what enters the classifier, with the random weights at their location."""
    network = classifier.model_.network
    found: list[torch.Tensor] = []
    hook = network.classifier.register_forward_pre_hook(lambda _, given: found.append(given[0]))
    training = network.training
    network.eval()
    device = next(network.parameters()).device
    table = classifier._table(features)
    try:
        with torch.no_grad():
            for batch in Batches(table, device=device).in_order(_ITEMS_AT_ONCE):
                network(batch.inputs, batch.observed, batch.blocks)
    finally:
        hook.remove()
        network.train(training)
    return torch.cat(found).float().cpu().numpy()
