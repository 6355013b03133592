"""Which items train and which choose: the splits of a catalogue, or a held-out share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from bayesfuse.config import ModelConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.data.stepwise import by_step
from bayesfuse.errors import FeatureError
from bayesfuse.estimator.inputs import TrainingData

MIN_HELD_OUT = 10
"""With fewer items to hold out, none is: they would choose an epoch by chance."""


def catalog_data(catalog: Catalog, unlabelled: bool = False) -> TrainingData:
    """Return the labelled items of a catalogue's train and val splits.

    Args:
        catalog: The catalogue.
        unlabelled: Whether training items without labels are wanted, too.

    Raises:
        FeatureError: If it has no features, or no labelled training item.
    """
    if not catalog.features.names:
        raise FeatureError(
            f"{catalog.source} has no features yet; encode its raw cells first "
            "(bayesfuse.encoders.encode_catalog, or --text-encoder and --image-encoder)."
        )
    train, val = catalog.labelled_rows("train"), catalog.labelled_rows("val")
    if len(train) < 2:
        raise FeatureError(
            f"{catalog.source} has {len(train)} labelled training items; expected at least 2."
        )
    rows = catalog.rows("train")
    return TrainingData(
        catalog.features.take(train),
        catalog.targets(train),
        catalog.features.take(val) if len(val) else None,
        catalog.labels[val] if len(val) else None,
        catalog.features.take(rows) if unlabelled and len(rows) > len(train) else None,
    )


def hold_out(
    table: FeatureTable, labels: NDArray[np.float32], fraction: float, seed: int
) -> TrainingData:
    """Return the items with a random share of them held out to choose the epoch by.

    Args:
        table: Features of all items.
        labels: `items x labels`.
        fraction: The share, in [0, 1).
        seed: Of the choice.

    Raises:
        FeatureError: If features and labels differ in their number of items, or fewer than 2 items
            are left to train on.
    """
    if table.num_items != len(labels):
        raise FeatureError(
            f"Found input variables with inconsistent numbers of samples: X has {table.num_items} "
            f"items and y has {len(labels)}; give one row of y an item."
        )
    held_out = int(fraction * table.num_items)
    if table.num_items - held_out < 2:
        raise FeatureError(
            f"{table.num_items - held_out} of {table.num_items} items are left to train on; "
            "expected at least 2. Give more items, or a smaller validation_fraction."
        )
    if held_out < MIN_HELD_OUT:
        return TrainingData(table, labels, None, None)
    train, val = train_test_split(np.arange(table.num_items), test_size=held_out, random_state=seed)
    return TrainingData(table.take(train), labels[train], table.take(val), labels[val])


def read_as(data: TrainingData, config: ModelConfig) -> TrainingData:
    """Return the items as the model reads them: sequences step by step if it attends to steps.

    Args:
        data: The items.
        config: The settings.
    """
    if not config.reads_steps:
        return data
    names = [name for name in data.train.names if data.train.is_sequence(name)]
    val = None if data.val is None else by_step(data.val, names)
    every = None if data.every is None else by_step(data.every, names)
    return replace(data, train=by_step(data.train, names), val=val, every=every)
