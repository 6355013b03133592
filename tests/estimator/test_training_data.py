"""Which items train and which choose the epoch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import FeatureError
from bayesfuse.estimator.training_data import MIN_HELD_OUT, catalog_data, hold_out


def test_train_learns_from_shares_and_val_is_scored_by_labels(catalog: Catalog) -> None:
    shares = catalog.labels / 10
    data = catalog_data(dataclasses.replace(catalog, label_shares=shares))
    assert data.train_labels[:, 0].tolist() == shares[[0, 2, 3, 4, 5], 0].tolist()
    assert data.val_labels is not None
    assert data.val_labels.tolist() == [[6.0]]


def numbered(num_items: int) -> tuple[FeatureTable, np.ndarray]:
    """Return items whose feature and label tell which they are."""
    number = np.arange(num_items, dtype=np.float32)[:, None]
    return FeatureTable.from_arrays({"x": number}), number


@pytest.fixture
def catalog() -> Catalog:
    """Return ten items: train 0..5 (1 without labels), val 6..7 (7 without), test 8..9."""
    table, number = numbered(10)
    labelled = np.ones(10, bool)
    labelled[[1, 7]] = False
    return Catalog(
        source="made up",
        ids=np.arange(10).astype(str),
        titles=None,
        label_names=("number",),
        labels=number,
        labelled=labelled,
        split=np.array(["train"] * 6 + ["val"] * 2 + ["test"] * 2),
        features=table,
        raw={},
        encoders={},
        people={},
    )


def rows_of(table: FeatureTable) -> list[int]:
    return table.batch(slice(None))[0]["x"][:, 0].astype(int).tolist()


def test_labelled_items_of_train_and_val_are_used_and_no_others(catalog):
    data = catalog_data(catalog)
    assert rows_of(data.train) == data.train_labels[:, 0].tolist() == [0, 2, 3, 4, 5]
    assert rows_of(data.val) == data.val_labels[:, 0].tolist() == [6]


def test_a_catalogue_without_labelled_val_items_has_no_validation(catalog):
    nothing = dataclasses.replace(catalog, labelled=catalog.labelled & (catalog.split != "val"))
    data = catalog_data(nothing)
    assert data.val is None
    assert data.val_labels is None


def test_a_catalogue_without_features_says_how_to_encode(catalog):
    with pytest.raises(FeatureError, match=r"no features yet.*--text-encoder"):
        catalog_data(dataclasses.replace(catalog, features=FeatureTable.empty(10)))


def test_one_labelled_training_item_is_too_few(catalog):
    one = np.zeros(10, bool)
    one[0] = True
    with pytest.raises(FeatureError, match="1 labelled training items; expected at least 2"):
        catalog_data(dataclasses.replace(catalog, labelled=one))


def test_a_share_is_held_out_and_nothing_is_lost():
    table, number = numbered(200)
    data = hold_out(table, number, 0.25, seed=1)
    assert rows_of(data.train) == data.train_labels[:, 0].tolist()
    assert rows_of(data.val) == data.val_labels[:, 0].tolist()
    assert len(data.val) == 50
    assert sorted(rows_of(data.train) + rows_of(data.val)) == list(range(200))


def test_the_seed_chooses_who_is_held_out():
    table, number = numbered(200)
    held = [rows_of(hold_out(table, number, 0.25, seed=seed).val) for seed in (1, 1, 2)]
    assert held[0] == held[1]
    assert held[0] != held[2]


@pytest.mark.parametrize(
    ("num_items", "fraction", "held_out"),
    [(10 * MIN_HELD_OUT, 0.1, MIN_HELD_OUT), (10 * MIN_HELD_OUT - 1, 0.1, 0), (500, 0.0, 0)],
)
def test_too_few_to_choose_by_are_not_held_out(num_items, fraction, held_out):
    data = hold_out(*numbered(num_items), fraction, seed=0)
    assert (0 if data.val is None else len(data.val)) == held_out
    assert len(data.train) == num_items - held_out


def test_features_and_labels_of_other_lengths():
    table, number = numbered(20)
    with pytest.raises(FeatureError, match="X has 20 items and y has 19"):
        hold_out(table, number[:19], 0.1, seed=0)


@pytest.mark.parametrize(("num_items", "fraction"), [(1, 0.0), (20, 0.95)])
def test_at_least_two_items_are_left_to_train_on(num_items, fraction):
    with pytest.raises(FeatureError, match=f"1 of {num_items} items are left to train on"):
        hold_out(*numbered(num_items), fraction, seed=0)


def test_training_items_without_labels_come_where_they_are_wanted(catalog: Catalog) -> None:
    assert catalog_data(catalog).every is None
    every = catalog_data(catalog, unlabelled=True).every
    assert every is not None
    assert every.batch(slice(None))[0]["x"][:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    told = dataclasses.replace(catalog, labelled=np.ones(10, bool))
    assert catalog_data(told, unlabelled=True).every is None
