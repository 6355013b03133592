from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.data.features import FeatureTable
from bayesfuse.data.stepwise import by_step, read_by_step
from bayesfuse.errors import FeatureError
from bayesfuse.graph.hiding import hide

LENGTHS = np.array([3, 0, 2, 1])


@pytest.fixture
def table() -> FeatureTable:
    rng = np.random.default_rng(0)
    arrays = {"text": rng.normal(size=(4, 5, 2)), "year": rng.normal(size=(4, 1))}
    return FeatureTable.from_arrays(arrays, lengths={"text": LENGTHS})


def test_batches_hold_steps_with_nan_where_there_is_none(table: FeatureTable) -> None:
    read = by_step(table, ["text"])
    assert read_by_step(read) == ("text",)
    assert read_by_step(table) == ()
    values, observed = read.batch([2, 0, 1, 2])
    steps, used = table.sequences([2, 0, 1, 2])
    assert values["text"].shape == (4, 3, 2)
    np.testing.assert_array_equal(~np.isnan(values["text"][:, :, 0]), used["text"])
    np.testing.assert_array_equal(np.nan_to_num(values["text"]), steps["text"])
    assert observed[:, 0].tolist() == [True, True, False, True]
    assert values["year"].shape == (4, 1)


def test_it_stays_so_through_all_that_is_made_of_a_table(table: FeatureTable) -> None:
    read = by_step(table, ["text"])
    for made in (read.take([0, 2]), read.select(["year", "text"]), hide(read, ["year"])):
        assert read_by_step(made) == ("text",)
    assert read_by_step(read.with_modality("more", np.zeros((4, 1)))) == ("text",)
    hidden = hide(read, ["text"]).batch([0, 2])[0]["text"]
    assert np.isnan(hidden).all()
    again = by_step(read, []).batch([0])[0]["text"]
    np.testing.assert_array_equal(again, table.batch([0])[0]["text"])


def test_statistics_are_those_of_all_steps(table: FeatureTable) -> None:
    loc, scale = by_step(table, ["text"]).statistics()["text"]
    steps, used = table.sequences(slice(None))
    flat = steps["text"][used["text"]].astype(np.float64)
    assert len(flat) == LENGTHS.sum()
    np.testing.assert_allclose(loc, flat.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(scale, flat.std(axis=0), rtol=1e-5)
    assert not np.allclose(loc, table.statistics()["text"][0])


def test_items_of_no_step_have_room_for_one(table: FeatureTable) -> None:
    values, observed = by_step(table, ["text"]).batch([1, 1])
    assert values["text"].shape == (2, 1, 2)
    assert np.isnan(values["text"]).all()
    assert not observed[:, 0].any()


def test_memory_is_told_for_all_steps(table: FeatureTable) -> None:
    assert table.numbers_an_item == 3
    assert by_step(table, ["text"]).numbers_an_item == 5 * 2 + 1


def test_a_modality_that_nobody_has_becomes_a_sequence_and_vectors_do_not(
    table: FeatureTable,
) -> None:
    lacking = table.with_modality("image", np.zeros((4, 3)), np.zeros(4, bool))
    values, _ = by_step(lacking, ["image"]).batch([0, 1])
    assert values["image"].shape == (2, 1, 3)
    with pytest.raises(
        FeatureError, match=r'"year" holds one vector an item.*--keep-sequence year'
    ):
        by_step(table, ["year"])
    with pytest.raises(FeatureError, match=r'Did you mean "text"'):
        by_step(table, ["txt"])
