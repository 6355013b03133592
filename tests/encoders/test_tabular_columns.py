"""What is learned of a column: as scikit-learn learns it, and kept as plain numbers and names."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bayesfuse.encoders.tabular_columns import (
    FAR_OFF,
    NEW_CATEGORY,
    NO_NUMBER,
    Category,
    LeftOut,
    Number,
    learn_columns,
    learned_from_json,
    learned_to_json,
)


def learn(
    cells: dict[str, list], min_frequency: int = 2, max_categories: int = 50, **kinds: str
) -> tuple[dict, tuple]:
    return learn_columns(cells, kinds, min_frequency, max_categories)


def test_numbers_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    values = rng.lognormal(size=(200, 2))
    values[rng.random(200) < 0.2, 1] = np.nan
    cells = {"a": values[:, 0].tolist(), "b": values[:, 1].tolist()}
    learned, notes = learn(cells, a="number", b="number")
    assert notes == ()
    imputed = SimpleImputer(strategy="median", add_indicator=True).fit_transform(values)
    expected = StandardScaler().fit_transform(imputed)
    np.testing.assert_allclose(learned["a"].encode(cells["a"]).values[:, 0], expected[:, 0])
    np.testing.assert_allclose(learned["b"].encode(cells["b"]).values, expected[:, 1:])
    assert learned["a"].feature_names("a") == ("a",)
    assert learned["b"].feature_names("b") == ("b", "b missing")


def test_categories_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    cells = [f"c{value}" for value in rng.geometric(0.15, 400)]
    learned, (note,) = learn({"a": cells}, 10, 8, a="category")
    settings = {"min_frequency": 10, "max_categories": 8, "sparse_output": False}
    settings["handle_unknown"] = "infrequent_if_exist"
    encoder = OneHotEncoder(**settings).fit([[cell] for cell in cells])
    new = [*cells[:50], "c999"]
    np.testing.assert_array_equal(
        learned["a"].encode(new).values, encoder.transform([[cell] for cell in new])
    )
    assert learned["a"].feature_names("a")[-1] == "a rare"
    assert f"{len(learned['a'].rare)} rare categories count as one; 7 have" in note


def test_a_missing_category_is_one_of_its_own_however_rare():
    learned, _ = learn({"a": ["x", "y", None] + ["x", "y", "z", "w"] * 5 + ["v"]}, a="category")
    assert learned["a"] == Category(("", "w", "x", "y", "z"), ("v",))
    assert learned["a"].feature_names("a")[0] == "a missing"
    block = learned["a"].encode(["", "x", "v", "new"])
    assert block.values.argmax(axis=1).tolist() == [0, 2, 5, 5]
    assert block.known.tolist() == [False, True, True, True]
    assert block.odd[NEW_CATEGORY].tolist() == [False, False, False, True]


def test_what_training_lacked_has_no_feature():
    learned, _ = learn({"a": ["x", "y"] * 5}, a="category")
    block = learned["a"].encode(["new", None])
    assert not block.values.any()
    assert block.odd[NEW_CATEGORY].tolist() == [True, False]
    # Nor is a missing cell one of the rare.
    assert not Category(("x",), ("y",)).encode([None]).values.any()
    learned, _ = learn({"a": [1, 2, 3]}, a="number")
    assert learned["a"].encode([None]).values.tolist() == learned["a"].encode([2]).values.tolist()


def test_cells_that_are_no_numbers_are_missing_and_far_ones_are_cut():
    learned, _ = learn({"a": [1.0, 2.0, 3.0, None]}, a="number")
    cells = ["2", "2014-01-01", " ", None, "N/A", True, 10**400, 1e300, -1e300, math.nan]
    block = learned["a"].encode(cells)
    assert np.isfinite(block.values).all()
    assert block.known.tolist() == [
        True,
        True,
        False,
        False,
        False,
        False,
        False,
        True,
        True,
        False,
    ]
    assert block.odd[NO_NUMBER].nonzero()[0].tolist() == [4, 5, 6]
    assert block.odd[FAR_OFF].nonzero()[0].tolist() == [1, 7, 8]
    assert block.values[[1, 7, 8], 0].tolist() == [10, 10, -10]
    assert block.values[0, 0] == learned["a"].encode([2]).values[0, 0]


def test_columns_that_say_nothing_are_left_out():
    cells = {
        "blank": [None, "", " ", None],
        "one": ["x"] * 4,
        "five": [5, 5.0, 5, 5],
        "nan": [math.nan, None, math.nan, None],
        "title": ["a", "b", "c", "d"],
        "year": [1, 2, 3, 4],
        "known": [7, None, 7, None],
    }
    kinds = dict.fromkeys(cells, "number") | dict.fromkeys(("blank", "one", "title"), "category")
    learned, notes = learn(cells, **kinds)
    left_out = [name for name, found in learned.items() if found == LeftOut()]
    assert left_out == ["blank", "one", "five", "nan", "title"]
    assert list(learned) == list(cells)
    for note, words in zip(
        notes,
        ('"blank" is left out: it is blank', '"one" is left out: it is x', 'it is 5.0 in all rows',
         '"nan" is left out: it is blank', "none of its 4 categories is in 2 rows"),
        strict=True,
    ):  # fmt: skip
        assert words in note
    # Known or not is something that a column says.
    assert learned["known"].encode([7, None]).values.tolist() == [[0, -1], [0, 1]]
    assert learn({"a": [None]}, a="category")[0] == {"a": LeftOut()}


LEARNED = {
    "a": Number(0.1, (0.1, 1 / 3), (2.5, 1e-7)),
    "b": Category(("", "x"), ("y",)),
    "c": LeftOut(),
}


def test_it_is_kept_as_json_to_the_last_bit():
    entries = json.loads(json.dumps([learned_to_json(*column) for column in LEARNED.items()]))
    assert dict(map(learned_from_json, entries)) == LEARNED


@pytest.mark.parametrize(
    ("column", "key", "value"),
    [
        ("a", "kind", "code"),
        ("a", "column", 3),
        ("a", "median", math.nan),
        ("a", "median", "x"),
        ("a", "loc", [0.1]),
        ("a", "loc", [0.1, "0.2"]),
        ("a", "scale", [1.0, 0.0]),
        ("a", "scale", [1.0, math.inf]),
        ("a", "scale", []),
        ("a", "scale", 3),
        ("b", "kept", []),
        ("b", "kept", ["x", 3]),
        ("b", "kept", ["x", "y"]),
        ("b", "rare", None),
    ],
)
def test_what_does_not_fit_together_is_refused(column: str, key: str, value: object):
    entry = copy.deepcopy(learned_to_json(column, LEARNED[column]))
    assert learned_from_json(entry)[1] == LEARNED[column]
    entry[key] = value
    with pytest.raises((ValueError, TypeError)):
        learned_from_json(entry)
    del entry[key]
    with pytest.raises(KeyError):
        learned_from_json(entry)
