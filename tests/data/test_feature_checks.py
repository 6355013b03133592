from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.data import rows
from bayesfuse.data.feature_checks import feature_problems


def test_arrays_that_fit_have_no_problem() -> None:
    arrays = {"a": np.ones((3, 2), np.float16), "b": np.ones((3, 1), bool)}
    assert feature_problems(arrays, {"a": np.array([1, 0, 1])}, num_items=3) == []
    assert feature_problems({}, {}) == []


@pytest.mark.parametrize("values_a_chunk", [1, 3, 1 << 20])
def test_bad_rows_are_counted_over_all_chunks(
    monkeypatch: pytest.MonkeyPatch, values_a_chunk: int
) -> None:
    monkeypatch.setattr(rows, "CHUNK_VALUES", values_a_chunk)
    values = np.ones((7, 2), dtype=np.float64)
    values[[2, 3, 6], [0, 1, 1]] = [np.nan, -np.inf, 1e39]
    (problem,) = feature_problems({"a": values}, {}, ids=list("pqrstuv"))
    assert problem.startswith('a: 3 of 7 rows hold NaN or infinite features (first: row 2, id "r"')
    mask = np.array([True, True, False, True, True, True, False])
    (problem,) = feature_problems({"a": values}, {"a": mask})
    assert problem.startswith("a: 1 of 7 rows hold NaN or infinite features (first: row 3;")


def test_the_number_of_rows_is_held_against_the_table() -> None:
    arrays = {"a": np.ones((3, 2)), "b": np.ones((4, 1))}
    (problem,) = feature_problems(arrays, {}, num_items=4)
    assert problem.startswith("a: 3 feature rows, but the table has 4 items")
    (problem,) = feature_problems(arrays, {})
    assert problem == "the modalities differ in their number of rows: a 3, b 4."
