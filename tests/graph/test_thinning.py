from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from bayesfuse.errors import ConfigError
from bayesfuse.graph.csr import Adjacency, check_adjacency
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.thinning import Thinned, thin

People = dict[str, list[list[str]]]


@pytest.fixture(scope="module")
def graph(make_people: Callable[..., People]) -> EntityGraph:
    return EntityGraph.from_people(make_people(600, seed=8, num_names=200))


def kept_pairs(thinned: Thinned) -> set[tuple[int, int]]:
    rows = thinned.graph.rows()
    return {(i, j) for i, j in zip(rows, thinned.graph.indices, strict=True) if i != j}


def test_none_and_all_are_exact(graph: EntityGraph) -> None:
    thinned = thin(graph.adjacency, 0, densities=[0.0, 1.0])
    check_adjacency(*thinned.graph)
    degrees = thinned.graph.degrees()
    assert set(thinned.densities) == {0.0, 1.0}
    np.testing.assert_array_equal(degrees, np.where(thinned.densities == 0, 0, graph.degrees()))


def test_few_are_a_random_part(graph: EntityGraph, failure_rate: float) -> None:
    thinned = thin(graph.adjacency, 1, densities=[0.3])
    total = int(graph.degrees().sum())
    kept = int(thinned.graph.degrees().sum())
    assert stats.binomtest(kept, total, 0.3).pvalue > failure_rate
    assert stats.binomtest(kept, total, 0.35).pvalue < failure_rate  # the control
    assert kept_pairs(thinned) < kept_pairs(thin(graph.adjacency, 0, densities=[1.0]))


def test_densities_are_drawn_by_their_shares(graph: EntityGraph, failure_rate: float) -> None:
    drawn = thin(graph.adjacency, 2, densities=[0.0, 0.5, 1.0], shares=[1, 2, 1]).densities
    counts = [int((drawn == density).sum()) for density in (0.0, 0.5, 1.0)]
    assert stats.chisquare(counts, [150, 300, 150]).pvalue > failure_rate
    assert stats.chisquare(counts, [200, 200, 200]).pvalue < failure_rate


def test_who_has_lost_all_hears_itself_as_one_who_never_had_any(graph: EntityGraph) -> None:
    thinned = thin(graph.adjacency, 3)
    looped = thinned.graph.indices[thinned.graph.is_loop()]
    np.testing.assert_array_equal(looped, np.flatnonzero(thinned.graph.degrees() == 0))
    assert len(looped) > (graph.degrees() == 0).sum()
    assert (np.diff(thinned.graph.indptr) > 0).all()
    without = thin(graph.adjacency, 3, self_loops="none")
    np.testing.assert_array_equal(
        without.graph.indices[without.graph.is_loop()], np.flatnonzero(graph.degrees() == 0)
    )


def test_self_loops_of_all_are_kept(graph: EntityGraph) -> None:
    looped = graph.with_self_loops("all").adjacency
    assert thin(looped, 0, densities=[0.0]).graph.indices.tolist() == list(range(600))


def test_edges_keep_what_they_carry(graph: EntityGraph) -> None:
    thinned = thin(graph.adjacency, 4)
    new = thinned.edges < 0
    assert new.any()
    rows = graph.adjacency.rows()
    np.testing.assert_array_equal(rows[thinned.edges[~new]], thinned.graph.rows()[~new])
    np.testing.assert_array_equal(graph.indices[thinned.edges[~new]], thinned.graph.indices[~new])
    assert thinned.graph.is_loop()[new].all()


def test_one_way_by_default_and_both_ways_on_request(graph: EntityGraph) -> None:
    assert not thin(graph.adjacency, 5).graph.is_symmetric()
    both = thin(graph.adjacency, 5, symmetric=True)
    assert both.graph.is_symmetric()
    assert 0 < both.graph.degrees().sum() < graph.degrees().sum()
    # who is to have none is heard by none either
    assert both.graph.degrees()[both.densities == 0].max() == 0


def test_both_ways_keeps_the_smaller_share(graph: EntityGraph, failure_rate: float) -> None:
    thinned = thin(graph.adjacency, 6, densities=[0.4], symmetric=True)
    pairs, kept = graph.num_edges, len(kept_pairs(thinned)) // 2
    assert stats.binomtest(kept, pairs, 0.4).pvalue > failure_rate
    assert stats.binomtest(kept, pairs, 0.16).pvalue < failure_rate  # two draws for one pair


def test_the_seed_decides(graph: EntityGraph) -> None:
    first, again, other = (thin(graph.adjacency, seed).graph for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.indices, again.indices)
    assert not np.array_equal(first.indices, other.indices)
    generator = np.random.default_rng(7)
    np.testing.assert_array_equal(thin(graph.adjacency, generator).graph.indices, first.indices)
    assert not np.array_equal(thin(graph.adjacency, generator).graph.indices, first.indices)


def test_a_graph_of_one_way_edges_is_not_thinned_both_ways() -> None:
    graph = Adjacency(np.array([0, 1, 1]), np.array([1]))
    with pytest.raises(ConfigError, match="both ways"):
        thin(graph, 0, symmetric=True)
    assert thin(graph, 0, densities=[1.0], self_loops="none").graph.indices.tolist() == [1]


@pytest.mark.parametrize(
    ("densities", "shares", "message"),
    [
        ([], None, "densities"),
        ([-0.1, 1], None, "densities"),
        ([1.1], None, "densities"),
        ([float("nan")], None, "densities"),
        ([0, 1], [1], "shares"),
        ([0, 1], [0, 0], "shares"),
        ([0, 1], [-1, 2], "shares"),
        ([0, 1], [float("nan"), 2], "shares"),
    ],
)
def test_what_is_out_of_range_is_refused(
    densities: list[float], shares: list[float] | None, message: str
) -> None:
    graph = Adjacency(np.array([0, 1, 1]), np.array([1]))
    with pytest.raises(ConfigError, match=message):
        thin(graph, 0, densities=densities, shares=shares)
