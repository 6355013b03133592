"""Catalogues of names whose graphs are known, by the slowest and plainest of programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from bayesfuse.graph.entity_graph import EntityGraph

People = dict[str, list[list[str]]]


def draw_people(num_items: int, seed: int = 0, num_names: int = 30) -> People:
    """Draw names for three relations; some items have none, some names come in two spellings."""
    rng = np.random.default_rng(seed)
    people: People = {}
    for relation in ("director", "writer", "studio"):
        lists = []
        for _ in range(num_items):
            chosen = rng.integers(num_names, size=rng.integers(4)).tolist()
            lists.append([f"Zoë {i}" if rng.random() < 0.5 else f"ZOE {i}." for i in chosen])
        people[relation] = lists
    return people


def plain_pairs(people: Mapping[str, Sequence[Sequence[str]]]) -> dict[tuple[int, int], set[str]]:
    """Return the ordered pairs of items that share a name, and the relations, pair by pair."""

    def fold(name: str) -> str:
        return name.replace("ë", "e").replace(".", "").replace(" ", "").lower()

    found: dict[tuple[int, int], set[str]] = {}
    for relation, lists in people.items():
        folded = [{fold(name) for name in names} for names in lists]
        for i, first in enumerate(folded):
            for j, second in enumerate(folded):
                if i != j and first & second:
                    found.setdefault((i, j), set()).add(relation)
    return found


def graph_pairs(graph: EntityGraph) -> dict[tuple[int, int], set[str]]:
    """Return the ordered pairs of a graph and their relations, self-loops left out."""
    rows = graph.adjacency.rows().tolist()
    return {
        (i, j): {n for bit, n in enumerate(graph.relation_names) if mask >> bit & 1}
        for i, j, mask in zip(
            rows, graph.indices.tolist(), graph.relation_mask.tolist(), strict=True
        )
        if i != j
    }


@pytest.fixture(scope="session")
def make_people() -> Callable[..., People]:
    """Return `draw_people`."""
    return draw_people


@pytest.fixture(scope="session")
def pairs_of() -> Callable[..., dict[tuple[int, int], set[str]]]:
    """Return `graph_pairs` and `plain_pairs` behind one name."""

    def pairs(of: EntityGraph | People) -> dict[tuple[int, int], set[str]]:
        return graph_pairs(of) if isinstance(of, EntityGraph) else plain_pairs(of)

    return pairs
