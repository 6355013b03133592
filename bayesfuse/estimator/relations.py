"""Which relations of a graph count by themselves, and which of them mattered for which item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.config import ModelConfig
from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.estimator.devices import choose_device
from bayesfuse.estimator.inputs import TrainingData
from bayesfuse.estimator.links import check_linked
from bayesfuse.graph.linked_features import LinkedFeatures

if TYPE_CHECKING:
    from bayesfuse.estimator.classifier import FusionClassifier


@dataclass(frozen=True, eq=False)
class RelationWeights:
    """How much items attend to each relation: posterior mean and standard deviation.

    Attributes:
        relations: The relations that the network hears.
        mean: `items x relations`, in [0, 1]: exactly 0 where the item has no neighbour in a
            relation; 1 in all, or 0 for an item without neighbours.
        sd: Over the draws, `items x relations`; 0 for a deterministic network.
    """

    relations: tuple[str, ...]
    mean: NDArray[np.float32]
    sd: NDArray[np.float32]

    def by_label(self, labels: ArrayLike) -> NDArray[np.float64]:
        """Return the mean attention of the items of each label that have neighbours.

        Args:
            labels: `items x labels`, true where an item counts for a label: known labels, or
                decisions.

        Returns:
            `labels x relations`; NaN for a label of no such item.

        Raises:
            FeatureError: If the labels are of another number of items.

        Example:
            >>> mean = np.array([[0.5, 0.5], [1, 0], [0, 0]], np.float32)
            >>> weights = RelationWeights(("director", "writer"), mean, 0 * mean)
            >>> weights.by_label([[1, 0], [1, 1], [0, 1]]).tolist()
            [[0.75, 0.25], [1.0, 0.0]]
        """
        chosen = np.asarray(labels).astype(bool)
        if chosen.ndim != 2 or len(chosen) != len(self.mean):
            raise FeatureError(
                f"Labels have shape {chosen.shape}; expected {len(self.mean)} items x labels."
            )
        linked = (self.mean > 0).any(axis=1, keepdims=True)
        counted = (chosen & linked).astype(np.float64)
        counts = counted.sum(axis=0)[:, None]
        sums = counted.T @ self.mean.astype(np.float64)
        found: NDArray[np.float64] = np.full(sums.shape, np.nan)
        np.divide(sums, counts, out=found, where=counts > 0)
        return found


def relation_weights(
    classifier: FusionClassifier, X: Any, draws: int | None = None, seed: int | None = None
) -> RelationWeights:
    """Return which relation mattered for which item.

    Args:
        classifier: Fitted with `graph_relations="each"`.
        X: The items, as `FusionClassifier.predict_proba` accepts them.
        draws: Number of posterior draws, >= 1; the classifier's if None.
        seed: Seed of the draws; the classifier's if None.

    Raises:
        ConfigError: If all relations are one graph to the network, or there is none.
        FeatureError: If the items do not fit.
    """
    table = classifier._table(X)
    draws = classifier.draws if draws is None else draws
    if draws < 1:
        raise ConfigError(f"draws is {draws}; expected at least 1 posterior draw.")
    names = tuple(classifier.model_.network.relations)
    predictive = classifier._predictive(classifier.seed if seed is None else seed)
    batches = Batches(table, None, choose_device(classifier.device))
    chunks = predictive.relation_attention(batches, draws)
    exact = (chunk.astype(np.float64) for chunk in chunks)  # so that equal draws have sd 0
    found = np.concatenate([np.stack([c.mean(axis=0), c.std(axis=0)]) for c in exact], axis=1)
    mean, sd = found.astype(np.float32)
    return RelationWeights(names, mean, sd)


def relations_that_count(data: TrainingData, config: ModelConfig) -> dict[str, int]:
    """Return the relations that a network has weights for, to their bits in the relation mask.

    With a graph for each relation, these are the ones in which a training item has a neighbour:
    of others nothing can be learned, and nothing of them will be heard.

    Args:
        data: The items of a fit.
        config: The settings.

    Raises:
        FeatureError: If there is a graph where none is expected, or the other way round, or its
            relations are unknown.
        ConfigError: If no training item has a neighbour, and each relation is to have a graph.
    """
    table = check_linked(data.train, config)
    each = config.graph_relations == "each"
    if not isinstance(table, LinkedFeatures) or (not each and config.graph_edge_bias == "none"):
        return {}
    if not table.relation_names:
        asked = 'graph_relations="each"' if each else 'graph_edge_bias="relation"'
        raise FeatureError(
            f"The graph does not know the relations of its edges, which {asked} asks for; make "
            "LinkedFeatures of an EntityGraph."
        )
    known = {name: bit for bit, name in enumerate(table.relation_names)}
    counted = table.heard_relations() if each else known
    if not counted:
        raise ConfigError(
            f"No training item shares anybody with another ({', '.join(known)}), so that there is "
            "nothing to hear in any relation. Is --people the right columns? Else use "
            "--graph-relations union, or no graph."
        )
    if data.val is not None:
        check_relations(data.val, counted)
    return counted


def check_relations(table: FeatureTable, relations: Mapping[str, int]) -> FeatureTable:
    """Return a table, once its relations are known to be those of a network.

    Raises:
        FeatureError: If they are not.
    """
    if relations and isinstance(table, LinkedFeatures):
        known = {name: bit for bit, name in enumerate(table.relation_names)}
        if any(known.get(name) != bit for name, bit in relations.items()):
            raise FeatureError(
                f"The items are linked by the relations {', '.join(known) or '(unknown)'}; the "
                f"network was fitted on {', '.join(relations)}, in this order, perhaps among "
                "others. Link them by the same."
            )
    return table
