"""What is known of the labels of an item's neighbours in train, as features of the item.

Leak-free: an item's own labels never count for it, only those of train count for anyone, and the
features must not be passed on by the nodes of a graph, or an item's labels would come back to it
over two edges (`bayesfuse.estimator.links` sees to that).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from bayesfuse.errors import FeatureError
from bayesfuse.graph.csr import Adjacency

NEIGHBOUR_LABELS = "neighbour_labels"
"""What the modality is called."""

SHRINKAGE = 2.0
"""How many neighbours of average labels are added to those that an item has."""


def neighbour_label_rates(
    graph: Adjacency, labels: ArrayLike, train: ArrayLike
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    r"""Return how often the neighbours of each node have each label, and whether that is known.

    .. math:: x_{ic} = \frac{\sum_{j \in T_i} y_{jc} + m\, r_c}{|T_i| + m}, \qquad
        T_i = \{ j \in N(i) \cap \text{train} : j \ne i \}

    with the rate :math:`r_c` of a label in train and m = `SHRINKAGE`; and, as a last feature,
    :math:`\log(1 + |T_i|)`. The rates r are the same for all items, an item's own labels included:
    rates without the item's own would differ by just these labels, and give them away.

    Args:
        graph: The graph of all items; self-loops count for nothing.
        labels: 0 or 1, `train items x labels`: those of train alone.
        train: Which nodes are train items with known labels, `nodes`, bool.

    Returns:
        The features, `nodes x (labels + 1)`, and which nodes have a neighbour of train, `nodes`;
        the features of the others are 0.

    Raises:
        FeatureError: If the arrays do not fit each other.

    Example:
        >>> graph = Adjacency(np.array([0, 1, 3, 4]), np.array([1, 0, 2, 1]))
        >>> rates, known = neighbour_label_rates(graph, [[1], [0]], [True, True, False])
        >>> rates[:, 0].round(2), known.tolist()
        (array([0.33, 0.67, 0.33], dtype=float32), [True, True, True])

    Reference: one step of label propagation (Zhu and Ghahramani 2002) over train, as m-estimates
    (Cestnik 1990).
    """
    mask, values = np.asarray(train), np.asarray(labels)
    if mask.dtype != np.bool_ or len(mask) > graph.num_nodes or mask.ndim != 1:
        raise FeatureError(
            f"train is {mask.dtype} of shape {mask.shape}; expected bool, one for each of the "
            f"{graph.num_nodes} nodes (the first ones, if the others are new items)."
        )
    if values.ndim != 2 or len(values) != mask.sum() or not len(values):
        raise FeatureError(
            f"labels have shape {values.shape}; expected ({mask.sum()}, labels): the labels of the "
            "train items alone, at least one. Those of val and test are not to be given."
        )
    if not np.isin(values, (0, 1)).all():
        raise FeatureError("labels hold something else than 0 and 1.")
    place = np.full(graph.num_nodes, -1, dtype=np.int64)
    place[: len(mask)] = np.where(mask, np.cumsum(mask) - 1, -1)
    kept = graph.keep((place[graph.indices] >= 0) & ~graph.is_loop())
    shape = (graph.num_nodes, len(values))
    ones = np.ones(len(kept.indices), dtype=np.float32)
    heard = sparse.csr_array((ones, place[kept.indices], kept.indptr), shape=shape)
    count = np.diff(kept.indptr).astype(np.float32)[:, None]
    total = heard @ values.astype(np.float32)
    rates = (total + SHRINKAGE * values.mean(axis=0, dtype=np.float64)) / (count + SHRINKAGE)
    known = count[:, 0] > 0
    features = np.hstack([rates, np.log1p(count)]).astype(np.float32)
    features[~known] = 0.0
    return features, known
