"""Items that are none: what a model should be unsure of, made of a catalogue's own."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable


def foreign_items(
    catalog: Catalog, rows: NDArray[np.int64], train: NDArray[np.int64], seed: int = 0
) -> dict[str, Catalog]:
    """Return catalogues that look like these items and are not.

    Ids, people and what is observed stay as they are. In `shuffled` every modality but the first
    is that of another of these items: each by itself is as usual, together they do not go. It is
    left out where the items have one modality. In `noise` every feature is drawn by itself, normal
    with the mean and standard deviation that it has on train.

    Args:
        catalog: With features, not linked.
        rows: The items.
        train: The training items.
        seed: Seed of both.

    Returns:
        Name to a catalogue of as many items, in the order of `rows`.
    """
    own = part_of(catalog, rows)
    values, observed = own.features.batch(slice(None))
    there = dict(zip(own.features.names, observed.T, strict=True))
    statistics = catalog.features.statistics(train)
    rng = np.random.default_rng(seed)
    shuffled = dict(values)
    for name in own.features.names[1:]:
        shuffled[name] = values[name].copy()
        having = rng.permutation(np.flatnonzero(there[name]))
        # each takes that of the next, so nobody keeps his own
        shuffled[name][having] = values[name][np.roll(having, 1)]
    noise = {
        name: (loc + scale * rng.standard_normal((len(rows), len(loc)))).astype(np.float32)
        for name, (loc, scale) in statistics.items()
    }
    made = {"shuffled": shuffled, "noise": noise} if len(values) > 1 else {"noise": noise}
    return {
        kind: dataclasses.replace(own, features=FeatureTable.from_arrays(arrays, there))
        for kind, arrays in made.items()
    }


def part_of(catalog: Catalog, rows: NDArray[np.int64]) -> Catalog:
    """Return the catalogue of these items alone, without raw cells."""
    return dataclasses.replace(
        catalog,
        ids=catalog.ids[rows],
        titles=None if catalog.titles is None else [catalog.titles[row] for row in rows],
        labels=catalog.labels[rows],
        labelled=catalog.labelled[rows],
        split=catalog.split[rows],
        features=catalog.features.take(rows),
        people={name: [lists[row] for row in rows] for name, lists in catalog.people.items()},
        raw={},
    )
