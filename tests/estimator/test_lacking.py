from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bayesfuse.data.features import FeatureTable
from bayesfuse.estimator.lacking import lacking

CLASSIFIER: Any = SimpleNamespace(
    model_=SimpleNamespace(network=SimpleNamespace(names=("text", "image"))),
    label_names_=("Drama", "Noir", "War"),
)


def catalog(labels: tuple[str, ...], modalities: tuple[str, ...], labelled: bool = True) -> Any:
    features = FeatureTable.from_arrays({name: np.ones((2, 1)) for name in modalities})
    return SimpleNamespace(
        source="new.csv",
        label_names=labels,
        labelled=np.array([labelled, False]),
        features=features,
    )


def test_a_catalogue_that_has_all() -> None:
    complete = catalog(("Drama", "Noir", "War"), ("image", "text"))
    assert lacking(CLASSIFIER, complete, labelled=True) == []


def test_a_modality_and_labels_that_are_not_there() -> None:
    poor = catalog(("Drama",), ("text",))
    modality, labels = lacking(CLASSIFIER, poor, labelled=True)
    assert modality.startswith('new.csv has no modality "image"')
    assert labels.startswith("new.csv has no item with Noir, War, of the 3 labels")


@pytest.mark.parametrize(("labelled", "asked"), [(False, True), (True, False)])
def test_labels_that_are_not_looked_at(labelled: bool, asked: bool) -> None:
    poor = catalog((), ("text", "image"), labelled)
    assert lacking(CLASSIFIER, poor, labelled=asked) == []
