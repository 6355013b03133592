from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.graph.csr import check_adjacency
from bayesfuse.graph.entity_graph import EntityGraph

People = dict[str, list[list[str]]]
PairsOf = Callable[..., dict[tuple[int, int], set[str]]]

SMALL = {"director": [["A"], ["a"], [], ["B"]], "writer": [["C"], [], [], ["c"]]}


def test_the_graph_is_the_plain_programs(
    make_people: Callable[..., People], pairs_of: PairsOf
) -> None:
    people = make_people(80, seed=1)
    graph = EntityGraph.from_people(people)
    graph.check()
    assert pairs_of(graph) == pairs_of(people)
    assert graph.is_symmetric
    assert graph.num_edges == len(pairs_of(people)) // 2
    for relation in people:
        alone = EntityGraph.from_people({relation: people[relation]})
        np.testing.assert_array_equal(alone.indptr, graph.relation(relation).indptr)
        np.testing.assert_array_equal(alone.indices, graph.relations[relation].indices)


def test_isolated_nodes_hear_themselves_by_default() -> None:
    graph = EntityGraph.from_people(SMALL)
    assert [graph.neighbours(i).tolist() for i in range(4)] == [[1, 3], [0], [2], [0]]
    assert graph.relation_mask.tolist() == [1, 2, 1, 0, 2]
    assert graph.degrees().tolist() == [2, 1, 0, 1]
    # alone among the writers, though not in the graph
    assert graph.relation("writer").indices.tolist() == [3, 1, 2, 0]


def test_other_self_loops() -> None:
    for choice, lists in (
        ("all", [[0, 1, 3], [0, 1], [2], [0, 3]]),
        ("none", [[1, 3], [0], [], [0]]),
    ):
        graph = EntityGraph.from_people(SMALL, self_loops=choice)
        assert [graph.neighbours(i).tolist() for i in range(4)] == lists
        assert graph.num_edges == 2
        again = graph.with_self_loops("isolated")
        np.testing.assert_array_equal(again.indices, EntityGraph.from_people(SMALL).indices)
        check_adjacency(*graph.relation("writer"))
    with pytest.raises(ConfigError, match="self-loops"):
        EntityGraph.from_people(SMALL, self_loops="some")


def test_an_edge_is_explained() -> None:
    graph = EntityGraph.from_people(SMALL)
    assert graph.shared(1, 0) == [("director", "a")]
    assert graph.relations_of(0, 3) == ("writer",)
    assert graph.relations_of(1, 3) == ()
    assert graph.relations_of(2, 2) == ()
    with pytest.raises(ConfigError, match='Did you mean "writer"'):
        graph.relation("writr")


def test_what_joins_two_is_what_the_edge_says(make_people: Callable[..., People]) -> None:
    people = make_people(50, seed=2)
    graph = EntityGraph.from_people(people, max_group=6)
    assert graph.cut
    for i in range(50):
        for j in range(50):
            if i != j:
                told = dict.fromkeys(relation for relation, _ in graph.shared(i, j))
                assert tuple(told) == graph.relations_of(i, j)


def test_a_large_group_is_cut_and_told(pairs_of: PairsOf) -> None:
    people = {"studio": [["Acme"]] * 6 + [["Acme", "Zed"], ["Zed"]]}
    graph = EntityGraph.from_people(people, max_group=5)
    assert pairs_of(graph) == {(6, 7): {"studio"}, (7, 6): {"studio"}}
    assert [(g.name, g.size) for g in graph.cut] == [("Acme", 7)]
    assert 'studio "Acme" (7 items)' in graph.warnings[0]
    whole = EntityGraph.from_people(people, max_group=7)
    assert whole.warnings == ()
    assert whole.num_edges == 21 + 1


def test_only_labels_in_common_join_nobody(pairs_of: PairsOf) -> None:
    # Two items of val share a label that nobody else has, and no person: a graph that had seen
    # labels, in whatever way, would join them.
    people: People = {"director": [["A"], ["A"], ["B"], ["C"]]}
    labels = [["Drama"], ["Drama"], ["Western"], ["Western"]]
    graph = EntityGraph.from_people(people)
    assert (2, 3) not in pairs_of(graph)
    assert graph.degrees()[2:].tolist() == [0, 0]
    # The control: the same signal among the names is an edge.
    leaky = EntityGraph.from_people({**people, "label": labels})
    assert pairs_of(leaky)[2, 3] == {"label"}


def test_nothing_takes_labels() -> None:
    fields = {field.name for field in dataclasses.fields(EntityGraph)}
    methods = [EntityGraph.from_people, EntityGraph.from_pairs, EntityGraph.extended]
    options = {name for method in methods for name in inspect.signature(method).parameters}
    assert not [name for name in fields | options if "label" in name or name in ("y", "target")]


def test_given_pairs_are_sorted_and_merged() -> None:
    graph = EntityGraph.from_pairs(
        3,
        np.array([1, 0, 1, 2]),
        np.array([0, 1, 0, 2]),
        relation_names=("cites", "likes"),
        masks=np.array([1, 2, 2, 1], dtype=np.uint64),
        weights=np.array([5, 6, 7, 8], dtype=np.float32),
    )
    graph.check()
    assert graph.indices.tolist() == [1, 0, 2]
    assert graph.relation_mask.tolist() == [2, 3, 0]
    assert graph.weights is not None
    assert graph.weights.tolist() == [6, 5, 1]
    assert graph.shared(1, 0) == [("cites", ""), ("likes", "")]


def test_edges_of_a_directed_graph_are_counted_once() -> None:
    graph = EntityGraph.from_pairs(3, np.array([0, 1, 2]), np.array([1, 0, 0]))
    assert not graph.is_symmetric
    assert graph.num_edges == 2


def test_parts_that_do_not_fit_are_refused() -> None:
    graph = EntityGraph.from_people(SMALL)
    for change, message in (
        ({"relation_mask": graph.relation_mask[:-1]}, "relation mask has shape"),
        ({"relation_mask": graph.relation_mask + np.uint64(4)}, "no relation"),
        ({"weights": np.full(5, np.nan, dtype=np.float32)}, "NaN"),
        ({"num_nodes": 5}, "expected 5"),
    ):
        with pytest.raises(FeatureError, match=message):
            dataclasses.replace(graph, **change).check()  # type: ignore[arg-type]


def test_memory_does_not_depend_on_a_group_that_is_cut() -> None:
    people = {"country": [["USA"]] * 200_000, "director": [[f"{i // 2}"] for i in range(200_000)]}
    graph = EntityGraph.from_people(people, max_group=100)
    assert graph.num_edges == 100_000
    with pytest.raises(ConfigError, match='country "USA" \\(200,000 items\\)'):
        EntityGraph.from_people(people)


@pytest.mark.movies
def test_the_movies_graph_is_the_one_of_their_readme(movies_path: Path) -> None:
    from bayesfuse.data.catalog import Catalog

    graph = EntityGraph.from_people(Catalog.read(movies_path).people)
    graph.check()
    assert graph.is_symmetric
    rows = {
        "director": (16_554, 3.84, 2, 70, 30.1),
        "producer": (21_413, 4.97, 0, 87, 63.9),
        "writer": (15_762, 3.66, 1, 57, 43.1),
        "cinematographer": (13_888, 3.22, 0, 98, 67.2),
        "art_director": (2_728, 0.63, 0, 25, 86.8),
        "union": (61_953, 14.38, 7, 122, 20.7),
    }
    for name, expected in rows.items():
        adjacency = graph.adjacency if name == "union" else graph.relation(name)
        degrees = adjacency.degrees()
        found = (
            degrees.sum() // 2,
            round(degrees.mean(), 2),
            np.median(degrees),
            degrees.max(),
            round(100 * (degrees == 0).mean(), 1),
        )
        assert found == expected, name
    assert graph.num_edges == 61_953
    assert graph.adjacency.is_loop().sum() == (graph.degrees() == 0).sum()
