"""Items by id or title, among those of the split that was asked for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from bayesfuse.errors import ConfigError
from bayesfuse.estimator.selecting import select_items
from bayesfuse.estimator.workflow import Run


def make_run(rows: list[int]) -> Run:
    catalog = SimpleNamespace(
        ids=np.array(["a", "b", "c", "d"]),
        titles=["Jaws", "Alien", "Amélie", "Jaws 2"],
        split=np.array(["train", "val", "val", "test"]),
    )
    return Run(None, None, catalog, np.array(rows))


def test_ids_and_titles_in_the_order_given():
    assert select_items(make_run([0, 1, 2, 3]), ["amelie", "a"]).rows.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Jaws"], r'"Jaws" is in the split train, which was not asked for. Use --split all'),
        (["b", "Alien"], r'"b" is named twice'),
        (["Alein"], r"Did you mean"),
    ],
)
def test_what_cannot_be_selected(names, message):
    with pytest.raises(ConfigError, match=message):
        select_items(make_run([1, 2]), names)
