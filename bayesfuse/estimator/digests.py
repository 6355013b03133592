"""A digest of all that training sees, by which a fit that goes on knows its items again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.batches import cut
from bayesfuse.data.features import FeatureTable
from bayesfuse.estimator.inputs import TrainingData
from bayesfuse.graph.linked_features import LinkedFeatures

_ITEMS = 4096


def digest_of(data: TrainingData, label_names: Sequence[str]) -> str:
    """Return a digest of features, masks, labels and graph, in their order; 32 hex digits.

    Args:
        data: The training items, and those of validation.
        label_names: The labels.
    """
    found = hashlib.blake2b(digest_size=16)
    found.update("\0".join(label_names).encode())
    nodes: set[int] = set()  # tables of one catalogue share their nodes and their graph
    for table in (data.train, data.val, data.every):
        found.update(b"|")
        if isinstance(table, LinkedFeatures):
            _add(found, table.rows)
            if id(table.graph.indices) not in nodes:
                nodes.add(id(table.graph.indices))
                _add_graph(found, table)
        if table is not None:
            _add_table(found, table)
    for labels in (data.train_labels, data.val_labels):
        found.update(b"|")
        if labels is not None:
            _add(found, labels)
    return found.hexdigest()


def _add_graph(found: Any, table: LinkedFeatures) -> None:
    found.update(f"{table.relation_names} {table.self_loops} {table.fan_out}".encode())
    for array in (*table.graph, table.relation_mask):
        if array is not None:
            _add(found, np.asarray(array))
    _add_table(found, table.nodes)


def _add_table(found: Any, table: FeatureTable) -> None:
    found.update(f"{table.num_items} {table.widths}".encode())
    for rows in cut(table.num_items, _ITEMS):
        values, observed = table.batch(rows)
        steps, used = table.sequences(rows)
        for name in table.names:
            _add(found, values[name])
        for name in steps:
            _add(found, steps[name])
            _add(found, used[name])
        _add(found, observed)


def _add(found: Any, array: NDArray[Any]) -> None:
    found.update(f"{array.dtype} {array.shape}".encode())
    found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
