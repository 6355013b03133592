"""The items of two feature tables, one after the other."""

from __future__ import annotations

import numpy as np

from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import FeatureError


def append_items(first: FeatureTable, second: FeatureTable) -> FeatureTable:
    """Return the items of one table, and after them those of another.

    Values are read into memory. Of a sequence they are the means over its steps, as in
    `FeatureTable.batch`.

    Args:
        first: A table; the result has its modalities.
        second: Another. A modality that it lacks is unobserved of its items; one that the first
            lacks is left out.

    Raises:
        FeatureError: If a modality has another number of features in the second.

    Example:
        >>> image = FeatureTable.from_arrays({"image": [[1.0]]})
        >>> both = append_items(image, FeatureTable.from_arrays({"text": [[5.0], [6.0]]}))
        >>> both.num_items, both.names, both.observed[:, 0].tolist()
        (3, ('image',), [True, False, False])
    """
    widths = first.widths
    shared = [name for name in first.names if name in second]
    for name in shared:
        if second.widths[name] != widths[name]:
            raise FeatureError(
                f"{name}: {second.widths[name]} features in the items to append; expected "
                f"{widths[name]}, as in the table."
            )
    values, observed = first.batch(slice(None))
    others, others_observed = second.select(shared).batch(slice(None)) if shared else ({}, None)
    masks = {}
    for column, name in enumerate(first.names):
        tail = np.zeros(second.num_items, dtype=np.bool_)
        if name in shared:
            assert others_observed is not None, "it is read with the values"
            tail = others_observed[:, shared.index(name)]
        masks[name] = np.concatenate([observed[:, column], tail])
        empty = np.zeros((second.num_items, widths[name]), dtype=np.float32)
        values[name] = np.concatenate([values[name], others.get(name, empty)])
    return FeatureTable.from_arrays(values, masks)
