from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bayesfuse.errors import ConfigError
from bayesfuse.graph import building
from bayesfuse.graph.building import cut_groups, cut_warning, join
from bayesfuse.graph.csr import check_adjacency
from bayesfuse.graph.entity_index import EntityIndex

People = dict[str, list[list[str]]]


def edges(
    index: EntityIndex, first: int = 0, last: int | None = None
) -> dict[tuple[int, int], int]:
    graph, masks = join(index, first, last)
    rows = np.repeat(np.arange(first, index.num_items), np.diff(graph.indptr)).tolist()
    return dict(zip(zip(rows, graph.indices.tolist(), strict=True), masks.tolist(), strict=True))


@pytest.fixture
def people(make_people: Callable[..., People]) -> People:
    return make_people(60)


@pytest.mark.parametrize("block_pairs", [1, 50, 10**9])
def test_blocks_of_any_size_give_the_pairs_of_the_plain_program(
    people: People,
    pairs_of: Callable[..., dict[tuple[int, int], set[str]]],
    monkeypatch: pytest.MonkeyPatch,
    block_pairs: int,
) -> None:
    monkeypatch.setattr(building, "BLOCK_PAIRS", block_pairs)
    graph, masks = join(EntityIndex.from_people(people))
    check_adjacency(*graph)
    assert graph.indptr.dtype == graph.indices.dtype == np.int64
    assert masks.dtype == np.uint64
    names = list(people)
    expected = {
        pair: sum(1 << names.index(relation) for relation in relations)
        for pair, relations in pairs_of(people).items()
    }
    assert len(expected) > 300
    assert edges(EntityIndex.from_people(people)) == expected


def test_some_rows_and_some_neighbours(people: People) -> None:
    index = EntityIndex.from_people(people)
    whole = edges(index)
    assert edges(index, 40) == {p: m for p, m in whole.items() if p[0] >= 40}
    assert edges(index, 40, 40) == {p: m for p, m in whole.items() if p[0] >= 40 > p[1]}


def test_the_last_of_64_relations_has_its_bit() -> None:
    people = {f"r{i}": [["A"], ["A" if i == 63 else "B"]] for i in range(64)}
    _, masks = join(EntityIndex.from_people(people))
    assert masks.tolist() == [1 << 63] * 2
    with pytest.raises(ConfigError, match="65 relations; expected at most 64"):
        join(EntityIndex.from_people({**people, "r64": [["A"], ["A"]]}))


def test_too_many_pairs_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "MAX_PAIRS", 1000)
    people = {"director": [["A"]] * 5 + [["B"]] * 95, "country": [["Île"]] * 100}
    with pytest.raises(ConfigError) as raised:
        join(EntityIndex.from_people(people))
    message = str(raised.value)
    assert 'country "Île" (100 items), director "B" (95 items)' in message
    assert "--max-group" in message
    join(EntityIndex.from_people(people, max_group=10))


def test_what_was_cut_is_listed_the_largest_first() -> None:
    people = {"studio": [["B", "Ä"], ["B", "A"], ["B", "A"], ["B"]], "writer": [["C"]] * 4}
    groups = cut_groups(EntityIndex.from_people(people, max_group=2))
    assert [(g.relation, g.name, g.size) for g in groups] == [
        ("studio", "B", 4),
        ("writer", "C", 4),
        ("studio", "Ä", 3),
    ]
    warning = cut_warning(groups * 3, 2)
    assert warning.startswith("9 names are in more than 2 items (max_group)")
    assert warning.endswith(
        'studio "Ä" (3 items), studio "B" (4 items), writer "C" (4 items) and 4 more.'
    )


def test_no_items_have_no_edges() -> None:
    graph, masks = join(EntityIndex.from_people({"director": []}))
    assert graph.indptr.tolist() == [0]
    assert masks.shape == (0,)
