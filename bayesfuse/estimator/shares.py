"""Predictions of items that several processes share out among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.features import FeatureTable
from bayesfuse.inference.distributed import gathered, processes, share_of
from bayesfuse.inference.predictive import LANES


def by_share(
    predict: Callable[[FeatureTable], NDArray[Any]], features: FeatureTable, axis: int = 0
) -> NDArray[Any]:
    """Return what is predicted of items, of which each process predicts a share.

    Args:
        predict: What predicts; one process alone calls it with all items.
        features: The features of all items, one at least.
        axis: Of the items, in what it returns.

    Returns:
        The predictions of all items, on every process.

    Example:
        >>> table = FeatureTable.from_arrays({"text": [[1.0], [2.0]]})
        >>> by_share(lambda some: some.batch(slice(None))[0]["text"], table).tolist()
        [[1.0], [2.0]]
    """
    if processes().size == 1:
        return predict(features)
    share = share_of(len(features), LANES)
    rows = np.arange(len(features))[share]
    # whoever has none predicts an item all the same, which tells the other axes
    found = predict(features.take(rows if len(rows) else np.zeros(1, dtype=np.int64)))
    whole: NDArray[Any] = gathered(
        found.take(np.arange(len(rows)), axis=axis), share, len(features), axis
    )
    return whole
