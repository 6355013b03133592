from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.errors import UserError
from bayesfuse.evaluation.criterion import Criterion

LABELS = ["Comedy", "Horror", "NOT Safe", "A=2"]


def draws() -> np.ndarray:
    return np.random.default_rng(0).random((5, 7, len(LABELS)), dtype=np.float32)


def test_one_label_is_its_probability_and_not_is_the_rest() -> None:
    p = draws()
    np.testing.assert_allclose(Criterion.parse(["Horror"], LABELS).scores(p), p[:, :, 1])
    np.testing.assert_allclose(Criterion.parse(["NOT Horror"], LABELS).scores(p), 1 - p[:, :, 1])
    # a weight moves nothing by itself
    np.testing.assert_allclose(Criterion.parse(["Horror=7"], LABELS).scores(p), p[:, :, 1])


def test_several_are_the_share_of_wishes_that_an_item_is_expected_to_meet() -> None:
    p = draws()
    found = Criterion.parse(["Horror=2", "NOT Comedy", "A=2=0.5"], LABELS)
    expected = (2 * p[:, :, 1] + (1 - p[:, :, 0]) + 0.5 * p[:, :, 3]) / 3.5
    np.testing.assert_allclose(found.scores(p), expected, rtol=1e-6)
    assert str(found) == "2 Horror + 1 NOT Comedy + 0.5 A=2"
    assert np.array_equal(found.of(p), p[:, :, [1, 0, 3]])
    # by simulation: the mean over drawn labels of the share of the wishes that came true
    rng = np.random.default_rng(1)
    y = rng.random((20_000, len(LABELS))) < p[0, 0]
    met = (2 * y[:, 1] + ~y[:, 0] + 0.5 * y[:, 3]) / 3.5
    assert found.scores(p)[0, 0] == pytest.approx(met.mean(), abs=5 * met.std() / 20_000**0.5)


def test_scores_stay_within_0_and_1() -> None:
    ones = np.ones((1, 1, 3), np.float32)
    found = Criterion.parse(["a=0.1", "b=0.7", "c=0.3"], ["a", "b", "c"])
    assert found.scores(ones) <= 1


@pytest.mark.parametrize(
    ("wish", "column", "weight", "wanted"),
    [
        ("NOT Safe", 2, 1.0, True),  # the label's own name
        ("NOT NOT Safe", 2, 1.0, False),
        ("NOT Safe=3", 2, 3.0, True),
        ("A=2", 3, 1.0, True),
        ("NOT A=2", 3, 1.0, False),
        ("NOT Comedy=0.5", 0, 0.5, False),
        ("Comedy = 4", 0, 4.0, True),
    ],
)
def test_names_with_signs_in_them(wish: str, column: int, weight: float, wanted: bool) -> None:
    found = Criterion.parse([wish], LABELS)
    assert (found.columns, found.weights, found.wanted) == ((column,), (weight,), (wanted,))


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ([], "No label was named"),
        (["Horor"], 'Unknown label "Horor".*Did you mean "Horror"'),
        (["NOT Horor=2"], 'Unknown label "Horor"'),
        (["Horror=much"], "'much'; expected a number > 0"),
        (["Horror=-1"], "What is not wanted is NOT Horror"),
        (["Horror=inf"], "expected a number > 0"),
        (["Horror", "NOT Horror"], '"Horror" is named twice'),
    ],
)
def test_mistakes(wishes: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Criterion.parse(wishes, LABELS)
