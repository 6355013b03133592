"""How far a fitted run's gates let each modality through, item by item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.estimator.devices import choose_device, choose_precision
from bayesfuse.models.gates import gate_draws, gated_modalities

if TYPE_CHECKING:
    from bayesfuse.estimator.classifier import FusionClassifier

ITEMS_AT_ONCE = 1024
"""Items that the gates are looked at in one pass for each draw."""


def iter_gates(
    classifier: FusionClassifier,
    features: FeatureTable,
    draws: int,
    seed: int,
    items_at_once: int = ITEMS_AT_ONCE,
) -> Iterator[NDArray[np.float64]]:
    """Yield the gates of one chunk of items after the other, `draws x items x modalities`.

    Args:
        classifier: A fitted classifier; of one whose fusion has no gates nothing comes.
        features: The items, linked if the classifier has a graph.
        draws: Posterior draws.
        seed: Their seed.
        items_at_once: The most items of a chunk.
    """
    network, config = classifier.model_.network, classifier.config()
    if not gated_modalities(network):
        return
    device = choose_device(config.device)
    table = classifier._table(features)
    predictive = classifier.model_.predictive(seed, choose_precision(config, device))
    weights = [predictive.weights(draw) for draw in range(draws)]
    network.eval()
    batches = Batches(table, None, device)
    for start in range(0, len(table), items_at_once):
        batch = batches.read(slice(start, min(start + items_at_once, len(table))))
        found = gate_draws(network, weights, batch.inputs, batch.observed, batch.blocks)
        yield found.double().cpu().numpy()
