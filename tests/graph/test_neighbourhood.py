from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bayesfuse.errors import ConfigError
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.neighbourhood import Neighbourhood, ego

People = dict[str, list[list[str]]]
PairsOf = Callable[..., dict[tuple[int, int], set[str]]]


@pytest.fixture(scope="module")
def people(make_people: Callable[..., People]) -> People:
    return make_people(60, seed=2, num_names=40)


@pytest.fixture(scope="module")
def graph(people: People) -> EntityGraph:
    return EntityGraph.from_people(people)


def pairs(around: Neighbourhood) -> set[tuple[int, int]]:
    return {(around.nodes[edge.first], around.nodes[edge.second]) for edge in around.edges}


@pytest.mark.parametrize("hops", [1, 2])
@pytest.mark.parametrize("node", [0, 7, 33])
def test_with_room_enough_all_are_there(
    graph: EntityGraph, people: People, pairs_of: PairsOf, node: int, hops: int
) -> None:
    joined = pairs_of(people)
    distance = {node: 0}
    for hop in range(1, hops + 1):
        for i, j in joined:
            if distance.get(i) == hop - 1:
                distance.setdefault(j, hop)
    around = ego(graph, node, hops=hops, max_nodes=60)
    assert dict(zip(around.nodes, around.hops, strict=True)) == distance
    assert around.nodes[0] == node
    assert list(around.hops) == sorted(around.hops)
    assert around.num_left_out == 0
    expected = {frozenset(pair) for pair in joined if set(pair) <= set(distance)}
    assert {frozenset(pair) for pair in pairs(around)} == expected
    assert len(around.edges) == len(expected)
    for edge in around.edges:
        ends = around.nodes[edge.first], around.nodes[edge.second]
        assert {relation for relation, _ in edge.shared} == joined[ends]


def test_the_names_are_those_that_both_have() -> None:
    people = {"director": [["Zoë"], ["ZOE"], []], "writer": [["Zoë", "Bo"], ["bo"], ["BO"]]}
    around = ego(EntityGraph.from_people(people), 0)
    assert around.nodes == (0, 1, 2)
    assert [edge.shared for edge in around.edges] == [
        (("director", "Zoë"), ("writer", "Bo")),
        (("writer", "Bo"),),
        (("writer", "bo"),),
    ]


def test_where_room_is_short_the_closest_stay(graph: EntityGraph) -> None:
    node = int(np.argmax(graph.degrees()))
    whole = ego(graph, node, max_nodes=60)
    part = ego(graph, node, max_nodes=6)
    assert part.nodes == whole.nodes[:6]
    assert part.num_left_out == len(whole.nodes) - 6 > 0
    strength = [len(graph.shared(node, other)) for other in whole.nodes[1:]]
    assert strength == sorted(strength, reverse=True)
    assert strength[0] > strength[-1]


def test_the_nearer_come_before_the_further(graph: EntityGraph) -> None:
    node = int(np.argmax(graph.degrees()))
    near = ego(graph, node, max_nodes=60)
    whole = ego(graph, node, hops=2, max_nodes=60)
    part = ego(graph, node, hops=2, max_nodes=len(near.nodes) + 3)
    assert part.nodes[: len(near.nodes)] == near.nodes
    assert part.hops[-3:] == (2, 2, 2)
    assert part.num_left_out == len(whole.nodes) - len(part.nodes)


def test_a_node_alone_has_nobody_around() -> None:
    around = ego(EntityGraph.from_people({"director": [["A"], ["B"]]}), 1, hops=2)
    assert (around.nodes, around.edges, around.num_left_out) == ((1,), (), 0)


def test_new_items_and_given_pairs() -> None:
    graph = EntityGraph.from_people({"director": [["A"], ["B"]]}).extended({"director": [["a"]]})
    around = ego(graph, 2)
    assert around.nodes == (2, 0)
    assert around.edges[0].shared == (("director", "a"),)
    one_way = EntityGraph.from_pairs(3, np.array([2, 1]), np.array([0, 2]))
    around = ego(one_way, 1, hops=2)
    assert around.nodes == (1, 2, 0)
    assert [edge.shared for edge in around.edges] == [(("edge", ""),)] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"node": 60}, "from 0 to 59"),
        ({"node": -1}, "from 0 to 59"),
        ({"node": 0, "hops": 3}, "expected 1 or 2"),
        ({"node": 0, "hops": 0}, "expected 1 or 2"),
        ({"node": 0, "max_nodes": 1}, "2 or more"),
    ],
)
def test_what_is_out_of_range_is_refused(
    graph: EntityGraph, options: dict[str, int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        ego(graph, **options)


@pytest.mark.movies
def test_jurassic_park_is_by_spielberg(movies_path: Path) -> None:
    from bayesfuse.data.catalog import Catalog
    from bayesfuse.graph.finding import find_item

    catalog = Catalog.read(movies_path)
    assert catalog.titles is not None
    park = find_item(catalog.ids, catalog.titles, "jurassic park")
    around = ego(EntityGraph.from_people(catalog.people), park, hops=2, max_nodes=50)
    assert len(around.nodes) == 50
    assert around.num_left_out > 0
    names = {name for edge in around.edges if edge.first == 0 for _, name in edge.shared}
    assert "Steven Spielberg" in names
