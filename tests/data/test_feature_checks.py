from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.data import rows
from bayesfuse.data.feature_checks import as_arrays, feature_problems
from bayesfuse.data.sequences import Sequences


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


@pytest.mark.parametrize("values_a_chunk", [1, 20, 1 << 20])
def test_only_steps_that_an_item_has_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, values_a_chunk: int
) -> None:
    monkeypatch.setattr(rows, "CHUNK_VALUES", values_a_chunk)
    values = np.ones((6, 4, 2), np.float32)
    values[0, 3], values[1], values[2, 1, 1], values[4, 0, 0] = np.nan, np.inf, np.nan, np.nan
    lengths = np.array([3, 0, 1, 4, 1, 2])
    mask = np.array([True, True, True, True, False, True])
    for given in ({"s": values}, {"s": Sequences(values)}):
        assert feature_problems(given, {"s": mask}, lengths={"s": lengths}) == []
    assert feature_problems({"s": Sequences(values, lengths)}, {"s": mask}) == []
    (problem,) = feature_problems(
        {"s": values}, {"s": mask}, lengths={"s": lengths + (lengths < 3)}
    )
    assert problem.startswith("s: 2 of 6 rows hold NaN or infinite features (first: row 1;")
    assert "`s_lengths`" in problem
    (problem,) = feature_problems({"s": values}, {}, lengths={"s": lengths}, ids=list("pqrstu"))
    assert problem.startswith('s: 1 of 6 rows hold NaN or infinite features (first: row 4, id "t"')


def test_lengths_have_to_fit_where_something_was_observed() -> None:
    values = np.ones((3, 4, 2))

    def problems(lengths: object, mask: list[bool] | None = None) -> list[str]:
        given = {} if mask is None else {"s": np.array(mask)}
        return feature_problems({"s": values}, given, lengths={"s": np.asarray(lengths)})

    assert problems([0, 4, 2]) == []
    assert problems(np.array([0, 4, 2], np.uint8)) == []
    assert problems([-1, 4, 99], [False, True, False]) == []
    (problem,) = problems([-1, 4, 5])
    assert problem.startswith("s: 2 of 3 lengths are not in 0..4")
    assert "items x steps x features (3, 4, 2)" in problem
    assert "(first: -1 at row 0)" in problem
    (problem,) = problems([1, 2])
    assert problem == "s: its lengths have shape (2,); expected (3,)."
    (problem,) = problems([1.0, 2.0, 3.0])
    assert problem == "s: its lengths hold float64; expected whole numbers of steps."
    (problem,) = problems([True, True, False])
    assert "hold bool" in problem


def test_lengths_of_what_has_no_steps_are_a_mistake() -> None:
    flat = {"text": np.ones((3, 2))}
    (problem,) = feature_problems(flat, {}, lengths={"text": np.ones(3, int)})
    assert problem.startswith(
        "text: has lengths, which are for items x steps x features; its shape"
    )
    (problem,) = feature_problems(flat, {}, lengths={"txt": np.ones(3, int)})
    assert problem == 'lengths: "txt" is not a modality. Did you mean "text"?'


def test_shapes_are_vectors_or_sequences() -> None:
    assert feature_problems({"s": np.ones((3, 1, 1))}, {}, num_items=3) == []
    assert feature_problems({"s": np.ones((3, 0, 2))}, {}) == []  # nothing was observed
    (problem,) = feature_problems({"s": np.ones((3, 2, 2, 2))}, {})
    assert "expected items x features, or items x steps x features for sequences" in problem
    (problem,) = feature_problems({"s": np.ones((3, 2, 0))}, {})
    assert problem.startswith("s: has no feature in any step")
    (problem,) = feature_problems({"s": np.full((3, 2, 2), "a")}, {})
    assert "expected floating" in problem
    (problem,) = feature_problems({"s": np.ones((3, 2, 2)), "t": np.ones((4, 2))}, {})
    assert "s 3, t 4" in problem


def test_what_reads_itself_stays_as_it_is() -> None:
    sequences = Sequences(np.ones((2, 1, 1)))
    mapped = np.ones(3).view(np.memmap)
    arrays, problems = as_arrays({"s": sequences, "m": mapped, "l": [[1, 2]], "r": [[1], [1, 2]]})
    assert arrays["s"] is sequences
    assert arrays["m"] is mapped
    assert arrays["l"].shape == (1, 2)
    assert len(problems) == 1
    assert "r: rows of different lengths" in problems[0]
    assert "items x steps x features" in problems[0]
