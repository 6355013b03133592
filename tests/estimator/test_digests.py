from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bayesfuse.data.features import FeatureTable
from bayesfuse.estimator.digests import digest_of
from bayesfuse.estimator.inputs import TrainingData
from bayesfuse.graph.csr import Adjacency
from bayesfuse.graph.linked_features import LinkedFeatures

LABELS = np.eye(3, 2, dtype=np.float32)


def table(value: float = 1.0, name: str = "text", **observed: Any) -> FeatureTable:
    return FeatureTable.from_arrays({name: [[value, 2.0], [3.0, 4.0], [5.0, 6.0]]}, observed)


def linked(indices: list[int], items: FeatureTable, nodes: FeatureTable) -> LinkedFeatures:
    return LinkedFeatures(items, nodes, Adjacency(np.array([0, 1, 2, 3]), np.array(indices)))


def test_it_is_the_same_for_the_same_and_another_for_everything_else() -> None:
    data = TrainingData(table(), LABELS, table(2.0), LABELS)
    known = digest_of(data, ["a", "b"])
    assert digest_of(TrainingData(table(), LABELS.copy(), table(2.0), LABELS), ["a", "b"]) == known
    moved = LABELS.copy()
    moved[2, 0] = 1
    others = [
        digest_of(data, ["b", "a"]),
        *(
            digest_of(replace(data, **changed), ["a", "b"])
            for changed in (
                {"train": table(1.5)},
                {"train": table(name="image")},
                {"train": table(text=np.array([True, False, True]))},
                {"train": table().take([1, 0, 2])},
                {"val": table()},
                {"val": None},
                {"every": table()},
                {"train_labels": moved},
                {"val_labels": moved},
                {"train": linked([2, 0, 1], table(), table())},
                {"train": linked([1, 2, 0], table(), table())},
                {"train": linked([1, 2, 0], table(), table(9.0))},
            )
        ),
    ]
    assert len({known, *others}) == len(others) + 1
