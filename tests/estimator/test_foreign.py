"""Foreign items: the parts are as usual, what goes together is not."""

from __future__ import annotations

import dataclasses

import numpy as np

from bayesfuse.estimator.foreign import foreign_items, part_of
from tests.estimator.competitors.conftest import make_catalog


def test_shuffled_pairs_keep_each_modality_and_lose_the_pairs():
    catalog = make_catalog()
    rows = catalog.labelled_rows("test")
    found = foreign_items(catalog, rows, catalog.labelled_rows("train"))["shuffled"]
    before, there = catalog.features.take(rows).batch(slice(None))
    after, still = found.features.batch(slice(None))
    np.testing.assert_array_equal(there, still)
    np.testing.assert_array_equal(before["text"], after["text"])
    image = there[:, 1]
    np.testing.assert_allclose(
        np.sort(before["image"][image], axis=0), np.sort(after["image"][image], axis=0)
    )
    assert (before["image"][image] != after["image"][image]).any(axis=1).all()
    assert found.ids.tolist() == catalog.ids[rows].tolist()
    assert found.people["director"] == [catalog.people["director"][row] for row in rows]


def test_noise_has_the_spread_of_train_and_no_structure():
    catalog = make_catalog()
    train = catalog.labelled_rows("train")
    rows = np.resize(train, 5000)
    text = catalog.features.batch(train)[0]["text"]
    noise = foreign_items(catalog, rows, train)["noise"].features.batch(slice(None))[0]["text"]
    np.testing.assert_allclose(noise.mean(axis=0), text.mean(axis=0), atol=0.08)
    np.testing.assert_allclose(noise.std(axis=0), text.std(axis=0), rtol=0.08)
    assert np.abs(np.corrcoef(noise.T) - np.eye(6)).max() < 0.08


def test_a_seed_repeats_and_one_modality_has_no_pairs():
    catalog = make_catalog()
    rows, train = catalog.labelled_rows("val"), catalog.labelled_rows("train")

    def image(seed):
        made = foreign_items(catalog, rows, train, seed)["shuffled"]
        return made.features.batch(slice(None))[0]["image"]

    np.testing.assert_array_equal(image(1), image(1))
    assert (image(1) != image(2)).any()
    alone = dataclasses.replace(catalog, features=catalog.features.select(["text"]))
    assert list(foreign_items(alone, rows, train)) == ["noise"]
    assert len(part_of(catalog, rows)) == len(rows)
