from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bayesfuse.errors import ConfigError
from bayesfuse.graph.entity_graph import EntityGraph

People = dict[str, list[list[str]]]
PairsOf = Callable[..., dict[tuple[int, int], set[str]]]

OLD = 50


@pytest.fixture
def people(make_people: Callable[..., People]) -> People:
    return make_people(OLD + 20, seed=4)


@pytest.fixture
def old(people: People) -> EntityGraph:
    return EntityGraph.from_people({name: lists[:OLD] for name, lists in people.items()})


@pytest.fixture
def new(people: People) -> People:
    return {name: lists[OLD:] for name, lists in people.items()}


@pytest.mark.parametrize("link_new", [False, True])
@pytest.mark.parametrize("update_old", [False, True])
def test_new_items_are_joined_as_if_all_had_come_at_once(
    people: People,
    old: EntityGraph,
    new: People,
    pairs_of: PairsOf,
    link_new: bool,
    update_old: bool,
) -> None:
    graph = old.extended(new, link_new=link_new, update_old=update_old)
    graph.check()
    expected = {
        (i, j): relations
        for (i, j), relations in pairs_of(people).items()
        if (max(i, j) < OLD)
        or (i >= OLD > j)
        or (update_old and i < OLD <= j)
        or (link_new and min(i, j) >= OLD)
    }
    assert pairs_of(graph) == expected
    # who has no neighbour hears itself, and nobody else does
    loops = graph.indices[graph.adjacency.is_loop()]
    np.testing.assert_array_equal(loops, np.flatnonzero(graph.degrees() == 0))


def test_all_at_once_is_the_same_graph_bit_by_bit(
    people: People, old: EntityGraph, new: People
) -> None:
    whole = EntityGraph.from_people(people)
    graph = old.extended(new, link_new=True, update_old=True)
    np.testing.assert_array_equal(graph.indptr, whole.indptr)
    np.testing.assert_array_equal(graph.indices, whole.indices)
    np.testing.assert_array_equal(graph.relation_mask, whole.relation_mask)
    assert graph.num_edges == whole.num_edges


def test_old_rows_stay_as_they_are(old: EntityGraph, new: People) -> None:
    graph = old.extended(new)
    edges = len(old.indices)
    np.testing.assert_array_equal(graph.indptr[: OLD + 1], old.indptr)
    np.testing.assert_array_equal(graph.indices[:edges], old.indices)
    np.testing.assert_array_equal(graph.relation_mask[:edges], old.relation_mask)
    assert len(graph.indices) > edges
    assert not graph.is_symmetric
    # the control: asked to, they change
    asked = old.extended(new, update_old=True)
    assert not np.array_equal(asked.indptr[: OLD + 1], old.indptr)


def test_a_new_items_row_does_not_depend_on_who_came_with_it(old: EntityGraph, new: People) -> None:
    together = old.extended(new)
    for item in range(20):
        alone = old.extended({name: [lists[item]] for name, lists in new.items()})
        expected = together.neighbours(OLD + item)
        if together.degrees()[OLD + item]:
            np.testing.assert_array_equal(alone.neighbours(OLD), expected)
        else:
            assert alone.neighbours(OLD).tolist() == [OLD]


def test_an_edge_to_a_new_item_is_explained(old: EntityGraph) -> None:
    graph = EntityGraph.from_people({"director": [["Zoë"], ["Bo"]]}).extended(
        {"director": [["ZOE"], ["ZOE", "Bo"]]}
    )
    assert graph.shared(2, 0) == [("director", "ZOE")]
    assert graph.neighbours(3).tolist() == [0, 1]
    assert graph.relations_of(2, 3) == ()


def test_items_can_come_in_turns(people: People, old: EntityGraph, new: People) -> None:
    first, second = (
        {name: lists[part] for name, lists in new.items()} for part in (slice(7), slice(7, 20))
    )
    turns = old.extended(first, update_old=True, link_new=True)
    turns = turns.extended(second, update_old=True, link_new=True)
    np.testing.assert_array_equal(turns.indices, EntityGraph.from_people(people).indices)


def test_new_items_do_not_change_what_is_cut(pairs_of: PairsOf) -> None:
    old = EntityGraph.from_people({"studio": [["A"], ["A"], ["A"], ["B"], ["B"]]}, max_group=2)
    graph = old.extended({"studio": [["A"], ["B"], ["B"], ["C"], ["C"], ["C"]]}, link_new=True)
    assert set(pairs_of(graph)) == {
        *((3, 4), (4, 3)),  # B, as before
        *((6, 3), (6, 4), (6, 7), (7, 3), (7, 4), (7, 6)),
    }
    assert "new items: 1 name is in more than 2 items (max_group)" in graph.warnings[1]
    assert 'studio "C" (3 items)' in graph.warnings[1]


def test_a_relation_that_is_missing_is_told(old: EntityGraph) -> None:
    graph = old.extended({"writer": [["Zoë 1"]]})
    assert graph.warnings == ("new items: no director, studio given; none is linked by them.",)
    assert graph.num_nodes == OLD + 1


def test_no_new_items_change_nothing(old: EntityGraph) -> None:
    graph = old.extended({name: [] for name in old.relation_names})
    assert graph.num_nodes == OLD
    np.testing.assert_array_equal(graph.indices, old.indices)


def test_other_self_loops_are_kept(people: People, new: People) -> None:
    before = EntityGraph.from_people(
        {name: lists[:OLD] for name, lists in people.items()}, self_loops="all"
    )
    assert before.extended(new).adjacency.is_loop().sum() == OLD + 20


def test_given_pairs_say_nothing_of_new_items() -> None:
    graph = EntityGraph.from_pairs(2, np.array([0, 1]), np.array([1, 0]))
    with pytest.raises(ConfigError, match="graph is of given pairs"):
        graph.extended({"edge": [["A"]]})


def test_a_relation_that_is_unknown_is_named(old: EntityGraph) -> None:
    with pytest.raises(ConfigError, match='Did you mean "writer"'):
        old.extended({"writers": [["A"]]})
