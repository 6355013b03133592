from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.errors import CatalogError, ConfigError
from bayesfuse.graph.entity_index import Entities, EntityIndex

PEOPLE = {
    "director": [["Zoë A.", "ZOE A"], [], ["zoe a", "Bo"], [" ", "Bo"]],
    "writer": [["Bo"], ["Bo"], [], ["Zoe A"]],
}


@pytest.fixture
def index() -> EntityIndex:
    return EntityIndex.from_people(PEOPLE)


def test_spellings_are_one_entity_and_all_are_kept(index: EntityIndex) -> None:
    director = index["director"]
    assert director.keys == ("zoea", "bo")
    assert director.spellings(0) == ("Zoë A.", "ZOE A", "zoe a")
    assert director.members(0).tolist() == [0, 2]
    assert director.members(1).tolist() == [2, 3]
    assert director.sizes.tolist() == [2, 2]


def test_an_item_names_an_entity_once_as_it_writes_it_first(index: EntityIndex) -> None:
    assert index["director"].of_item(0) == {0: "Zoë A."}
    assert index["director"].of_item(2) == {0: "zoe a", 1: "Bo"}
    assert index["director"].of_item(1) == {}


def test_blank_names_are_nobody(index: EntityIndex) -> None:
    assert index["director"].of_item(3) == {1: "Bo"}
    assert "" not in index["director"].keys


def test_incidence(index: EntityIndex) -> None:
    matrix = index["director"].incidence().toarray()
    assert matrix.tolist() == [[True, False], [False, False], [True, True], [False, True]]
    np.testing.assert_array_equal(index["director"].incidence(2).toarray(), matrix[2:])


def test_shared_names_stay_in_their_relation(index: EntityIndex) -> None:
    assert index.shared(0, 2) == [("director", "Zoë A.")]
    assert index.shared(2, 0) == [("director", "zoe a")]
    assert index.shared(0, 1) == [("writer", "Bo")]
    # Bo directs one and writes the other; Zoe the other way round.
    assert index.shared(0, 3) == []


def test_a_group_that_is_too_large_is_cut() -> None:
    people = {"studio": [["A", "B"], ["A"], ["A", "B"]]}
    index = EntityIndex.from_people(people, max_group=2)
    assert index["studio"].cut.tolist() == [True, False]
    assert index["studio"].incidence().toarray().tolist() == [
        [False, True],
        [False, False],
        [False, True],
    ]
    assert index.shared(0, 2) == [("studio", "B")]
    assert index.shared(0, 1) == []


def test_new_items_use_the_old_names_and_add_their_own(index: EntityIndex) -> None:
    more = index.extended({"director": [["BO", "Cy"], []]}, None)
    assert more.num_items == 6
    assert more["director"].keys == ("zoea", "bo", "cy")
    assert more.shared(4, 3) == [("director", "BO")]
    assert more["writer"].of_item(4) == {}
    # what was there has not moved
    before = index["director"]
    assert more["director"].names[: len(before.names)] == before.names
    np.testing.assert_array_equal(more["director"].indptr[:5], before.indptr)


def test_whether_a_group_is_cut_is_decided_once() -> None:
    index = EntityIndex.from_people({"studio": [["A"], ["A"], ["A"], ["B"], ["B"]]}, max_group=2)
    more = index.extended({"studio": [["A"], ["B"], ["B"], ["C"], ["C"], ["C"]]}, 2)
    assert dict(zip(more["studio"].keys, more["studio"].cut.tolist(), strict=True)) == {
        "a": True,
        "b": False,
        "c": True,
    }


def test_nothing_given_is_no_relation() -> None:
    with pytest.raises(ConfigError, match="at least one column"):
        EntityIndex.from_people({})


def test_a_limit_of_one_item_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected 2 or more"):
        EntityIndex.from_people(PEOPLE, max_group=1)


def test_an_unknown_relation_is_named(index: EntityIndex) -> None:
    with pytest.raises(ConfigError, match='Did you mean "director"'):
        index.extended({"directr": [["A"]]}, None)


def test_all_mistakes_come_together() -> None:
    people = {
        "director": [["A"], "Bo"],
        "writer": [["A"], [3]],
        "studio": [["A"], None, ["B"]],
        "fine": [["A"], ("B",)],
    }
    with pytest.raises(CatalogError) as raised:
        EntityIndex.from_people(people)  # type: ignore[arg-type]
    assert len(raised.value.problems) == 4
    for word in ("studio 3", "director: item 1", "writer: item 1", "studio: item 1"):
        assert word in str(raised.value)
    assert "fine: " not in str(raised.value)


def test_no_items() -> None:
    index = EntityIndex.from_people({"director": []})
    assert index.num_items == 0
    assert index["director"].incidence().shape == (0, 0)
    assert Entities.empty().num_items == 0
