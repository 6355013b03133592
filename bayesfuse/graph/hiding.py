"""Items as they would be with less known of them: modalities hidden, neighbours too."""

from __future__ import annotations

import copy
from collections.abc import Collection

import numpy as np

from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import FeatureError, unknown_option
from bayesfuse.graph.csr import nodes_to_loop, with_loops
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.graph.sampling import NeighbourSampler

GRAPH = "graph"
"""What stands for the neighbours of items among the names of modalities."""


def hideable(features: FeatureTable) -> tuple[str, ...]:
    """Return what can be hidden of some items: their modalities, and `graph` if they hear others.

    Args:
        features: The features of the items.
    """
    return (*features.names, GRAPH) if isinstance(features, LinkedFeatures) else features.names


def hide(features: FeatureTable, names: Collection[str]) -> FeatureTable:
    """Return the features of the same items as if some modalities had not been observed.

    Args:
        features: The features of the items.
        names: Which, of `hideable`; without `graph` items hear nobody, as items do that share no
            one, and are heard by others as before.

    Returns:
        A table over the same arrays.

    Raises:
        FeatureError: If a name is unknown.

    Example:
        >>> table = FeatureTable.from_arrays({"text": [[1.0]], "image": [[2.0]]})
        >>> hide(table, ["text"]).observed.tolist()
        [[False, True]]
    """
    known = hideable(features)
    unknown = [unknown_option("modality", name, known) for name in names if name not in known]
    if unknown:
        raise FeatureError(" ".join(unknown))
    hidden = np.array([name in names for name in features.names], dtype=np.bool_)
    made = features._derived(FeatureTable(features._sources, features.observed & ~hidden))
    return _alone(made) if GRAPH in names and isinstance(made, LinkedFeatures) else made


def _alone(features: LinkedFeatures) -> LinkedFeatures:
    """Return the items without any neighbour."""
    made = copy.copy(features)
    nobody = features.graph.keep(np.zeros(len(features.graph.indices), dtype=np.bool_))
    made.graph = with_loops(nobody, nodes_to_loop(nobody, features.self_loops))[0]
    if features.relation_mask is not None:
        made.relation_mask = np.zeros(len(made.graph.indices), dtype=np.uint64)
    made._sampler = NeighbourSampler(made.graph, made.fan_out)
    return made
