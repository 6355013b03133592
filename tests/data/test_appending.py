"""One table after another, whatever they have."""

from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.data.appending import append_items
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import FeatureError

FIRST = FeatureTable.from_arrays(
    {"text": [[1.0, 2.0], [3.0, 4.0]], "image": [[5.0], [6.0]]}, {"image": [True, False]}
)


def test_items_follow_each_other() -> None:
    second = FeatureTable.from_arrays(
        {"image": [[7.0]], "text": [[8.0, 9.0]], "audio": [[1.0]]}, {"text": [False]}
    )
    both = append_items(FIRST, second)
    values, observed = both.batch(slice(None))
    assert both.names == ("text", "image")
    assert values["image"][[0, 2]].tolist() == [[5.0], [7.0]]
    assert values["text"][:2].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert observed.tolist() == [[True, True], [True, False], [False, True]]


def test_what_the_second_lacks_is_unobserved() -> None:
    both = append_items(FIRST, FeatureTable.from_arrays({"audio": [[1.0]]}))
    assert both.names == ("text", "image")
    assert both.observed[2].tolist() == [False, False]
    assert append_items(FIRST, FIRST.take([])).num_items == 2


def test_another_width_is_refused() -> None:
    with pytest.raises(FeatureError, match=r"text: 1 features in the items .*expected 2"):
        append_items(FIRST, FeatureTable.from_arrays({"text": [[1.0]]}))


def test_a_sequence_counts_by_its_mean() -> None:
    steps = np.array([[[1.0], [3.0]], [[5.0], [0.0]]])
    table = FeatureTable.from_arrays({"text": steps}, lengths={"text": [2, 1]})
    assert append_items(table, table).batch(slice(None))[0]["text"].tolist() == [[2], [5], [2], [5]]
