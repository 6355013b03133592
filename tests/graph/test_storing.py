from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bayesfuse.errors import FeatureError
from bayesfuse.graph.entity_graph import EntityGraph

People = dict[str, list[list[str]]]


@pytest.fixture
def graph(make_people: Callable[..., People]) -> EntityGraph:
    people = make_people(40, seed=5)
    people["director"][3] = ["Андрей 宮崎 \ud800", "", " "]
    return EntityGraph.from_people(people, max_group=5)


def test_a_graph_comes_back_from_a_file(graph: EntityGraph, tmp_path: Path) -> None:
    arrays, about = graph.state()
    save_file(arrays, tmp_path / "graph.safetensors")
    again = EntityGraph.from_state(
        load_file(tmp_path / "graph.safetensors"), json.loads(json.dumps(about))
    )
    for name in ("indptr", "indices", "relation_mask"):
        before, after = getattr(graph, name), getattr(again, name)
        np.testing.assert_array_equal(before, after)
        assert before.dtype == after.dtype
    for name in ("relation_names", "self_loops", "max_group", "warnings", "cut", "num_nodes"):
        assert getattr(graph, name) == getattr(again, name)
    assert graph.cut
    assert again.people is not None
    assert graph.people is not None
    assert again.people["director"].of_item(3) == graph.people["director"].of_item(3)
    assert again.shared(0, 1) == graph.shared(0, 1)


def test_a_graph_that_came_back_takes_new_items(graph: EntityGraph) -> None:
    new = {"director": [["Zoë 3"]], "writer": [["zoe 4", "New"]], "studio": [[]]}
    again = EntityGraph.from_state(*graph.state())
    np.testing.assert_array_equal(again.extended(new).indices, graph.extended(new).indices)


def test_given_pairs_with_weights_come_back() -> None:
    graph = EntityGraph.from_pairs(
        3, np.array([0, 1]), np.array([1, 0]), weights=np.array([2, 3], dtype=np.float32)
    )
    again = EntityGraph.from_state(*graph.state())
    assert again.people is None
    assert again.weights is not None
    assert again.weights.tolist() == [2, 3, 1]


def test_the_same_graph_gives_the_same_arrays(make_people: Callable[..., People]) -> None:
    first, second = (EntityGraph.from_people(make_people(30)).state() for _ in range(2))
    assert first[1] == second[1]
    for name, array in first[0].items():
        np.testing.assert_array_equal(array, second[0][name])


@pytest.mark.parametrize("part", ["indices", "people.1.mentions", "people.0.names.utf8"])
def test_a_missing_part_is_named(graph: EntityGraph, part: str) -> None:
    arrays, about = graph.state()
    del arrays[part]
    with pytest.raises(FeatureError, match=f"{part}.*incomplete"):
        EntityGraph.from_state(arrays, about)


def cut_short(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array[:-1]


def too_high(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array + 10_000


def as_floats(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array.astype(np.float64)


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        ("indices", cut_short),
        ("indices", too_high),
        ("indptr", as_floats),
        ("indptr", cut_short),
        ("relation_mask", too_high),
        ("relation_mask", cut_short),
        ("people.0.mentions", too_high),
        ("people.0.mentions", cut_short),
        ("people.0.entity_of_name", too_high),
        ("people.0.indptr", cut_short),
        ("people.0.cut", cut_short),
        ("people.0.names.utf8", cut_short),
        ("people.0.names.ends", cut_short),
        ("people.0.keys.ends", np.flip),
    ],
)
def test_damage_is_seen(graph: EntityGraph, part: str, damage: Callable[..., Any]) -> None:
    arrays, about = graph.state()
    arrays[part] = damage(arrays[part])
    with pytest.raises(FeatureError):
        EntityGraph.from_state(arrays, about)


@pytest.mark.parametrize(
    "change",
    [{"format": "bayesfuse-graph-9"}, {"self_loops": "some"}, {"num_nodes": 3}],
)
def test_another_format_is_refused(graph: EntityGraph, change: dict[str, Any]) -> None:
    arrays, about = graph.state()
    with pytest.raises(FeatureError):
        EntityGraph.from_state(arrays, {**about, **change})
