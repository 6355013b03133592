from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse, stats

from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.graph.csr import Adjacency
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.sampling import Block, NeighbourSampler

People = dict[str, list[list[str]]]


@pytest.fixture(scope="module")
def graph(make_people: Callable[..., People]) -> Adjacency:
    return EntityGraph.from_people(make_people(300, seed=9, num_names=100)).adjacency


def layer(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int64],
    weights: NDArray[np.float64],
    values: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return a nonlinear function of the weighted mean of the neighbours' values."""
    matrix = sparse.csr_array((weights, indices, indptr), shape=(len(indptr) - 1, len(values)))
    totals = np.maximum(matrix.sum(axis=1), 1e-300)
    return np.tanh((matrix @ values) / totals[:, None])


def whole(
    graph: Adjacency, weights: NDArray[np.float64], values: NDArray[np.float64], depth: int
) -> NDArray[np.float64]:
    for _ in range(depth):
        values = layer(*graph, weights, values)
    return values


def by_blocks(
    blocks: list[Block], weights: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    values = values[blocks[0].nodes]
    for block in blocks:
        values = layer(block.indptr, block.indices, weights[block.edges], values)
    return values


def check(blocks: list[Block], graph: Adjacency, nodes: list[int]) -> None:
    assert blocks[-1].targets.tolist() == nodes
    rows = graph.rows()
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if following is not None:
            np.testing.assert_array_equal(block.targets, following.nodes)
        assert len(np.unique(block.nodes)) == len(block.nodes)
        assert len(block.indptr) == block.num_targets + 1
        row = np.repeat(np.arange(block.num_targets), np.diff(block.indptr))
        # sorted, unrepeated neighbours that are real edges
        assert (np.diff(row * len(block.nodes) + block.indices) > 0).all()
        np.testing.assert_array_equal(block.nodes[row], rows[block.edges])
        np.testing.assert_array_equal(block.nodes[block.indices], graph.indices[block.edges])
        # every node is there for a reason
        assert set(range(block.num_targets, len(block.nodes))) <= set(block.indices.tolist())


@pytest.mark.parametrize("fan_out", [None, 10_000])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_with_a_large_fan_out_the_blocks_are_the_exact_neighbourhood(
    graph: Adjacency, fan_out: int | None, depth: int
) -> None:
    rng = np.random.default_rng(0)
    nodes = [17, 3, 250, 0]
    blocks = NeighbourSampler(graph, [fan_out] * depth).sample(nodes)
    check(blocks, graph, nodes)
    hops = set(nodes)
    for block in blocks[::-1]:
        hops |= {int(j) for i in hops for j in graph.indices[graph.indptr[i] : graph.indptr[i + 1]]}
        assert set(block.nodes.tolist()) == hops
    values, weights = rng.normal(size=(300, 4)), rng.random(len(graph.indices))
    exact = whole(graph, weights, values, depth)[nodes]
    np.testing.assert_allclose(by_blocks(blocks, weights, values), exact, rtol=1e-12)


def test_outputs_agree_more_as_the_fan_out_grows(graph: Adjacency) -> None:
    rng = np.random.default_rng(1)
    values, weights = rng.normal(size=(300, 8)), np.ones(len(graph.indices))
    nodes = list(range(0, 300, 3))
    exact = whole(graph, weights, values, 2)[nodes]
    errors = []
    for fan_out in (1, 3, 6, int(np.diff(graph.indptr).max())):
        sampler = NeighbourSampler(graph, [fan_out] * 2, seed=2)
        draws = [by_blocks(sampler.sample(nodes), weights, values) for _ in range(10)]
        errors.append(float(np.mean([np.abs(draw - exact).mean() for draw in draws])))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.1
    assert errors[-1] < 1e-12


def test_a_row_has_no_more_than_the_fan_out_and_all_if_it_has_fewer(graph: Adjacency) -> None:
    nodes = list(range(100, 200))
    blocks = NeighbourSampler(graph, [2, 5]).sample(nodes)
    check(blocks, graph, nodes)
    for block, fan_out in zip(blocks, (2, 5), strict=True):
        degrees = np.diff(graph.indptr)[block.targets]
        np.testing.assert_array_equal(np.diff(block.indptr), np.minimum(degrees, fan_out))
        assert (degrees > fan_out).any()
        assert (degrees < fan_out).any()


def test_every_neighbour_is_as_likely(graph: Adjacency, failure_rate: float) -> None:
    node = int(np.argmax(np.diff(graph.indptr)))
    neighbours = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
    sampler = NeighbourSampler(graph, [3], seed=3)
    counts = np.zeros(300)
    for _ in range(2000):
        (block,) = sampler.sample([node])
        counts[block.nodes[block.indices]] += 1
    assert counts.sum() == counts[neighbours].sum() == 6000
    degree = len(neighbours)

    def p_value(counts: NDArray[np.float64]) -> float:
        # Three of a node's neighbours at a time vary less than three independent draws.
        statistic = stats.chisquare(counts[neighbours]).statistic * (degree - 1) / (degree - 3)
        return float(stats.chi2.sf(statistic, degree - 1))

    assert p_value(counts) > failure_rate
    counts[neighbours[0]] *= 2
    assert p_value(counts) < failure_rate


def test_pairs_of_neighbours_are_as_likely(failure_rate: float) -> None:
    graph = Adjacency(np.array([0, 4, 4, 4, 4, 4]), np.array([1, 2, 3, 4]))
    sampler = NeighbourSampler(graph, [2], seed=4)
    drawn = [tuple(sampler.sample([0])[0].nodes[1:].tolist()) for _ in range(1200)]
    counts = [drawn.count(pair) for pair in sorted(set(drawn))]
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > failure_rate


def test_a_self_loop_is_always_kept(make_people: Callable[..., People]) -> None:
    graph = EntityGraph.from_people(make_people(60), self_loops="all").adjacency
    sampler = NeighbourSampler(graph, [2], seed=5)
    for _ in range(20):
        (block,) = sampler.sample(range(60))
        row = np.repeat(np.arange(60), np.diff(block.indptr))
        assert set(row[block.indices == row].tolist()) == set(range(60))


def test_the_seed_decides(graph: Adjacency) -> None:
    def nodes(sampler: NeighbourSampler, seed: int | None = None) -> list[int]:
        found: list[int] = sampler.sample([1, 2, 3], seed)[0].nodes.tolist()
        return found

    first, second = (NeighbourSampler(graph, [2, 2], seed=6) for _ in range(2))
    assert nodes(first) == nodes(second)
    assert nodes(first, seed=11) == nodes(first, seed=11)
    assert nodes(first) == nodes(second)  # a seed of its own does not disturb the others
    assert len({tuple(nodes(first)) for _ in range(5)}) > 1


def test_the_graph_is_not_touched_and_batches_do_not_touch_each_other(graph: Adjacency) -> None:
    before = graph.indices.copy()
    sampler = NeighbourSampler(graph, [4, 4])
    alone = NeighbourSampler(graph, [4, 4]).sample([5, 6], seed=1)
    sampler.sample([7, 8, 9])
    after = sampler.sample([5, 6], seed=1)
    for one, two in zip(alone, after, strict=True):
        np.testing.assert_array_equal(one.nodes, two.nodes)
        np.testing.assert_array_equal(one.indices, two.indices)
    np.testing.assert_array_equal(graph.indices, before)


def test_an_isolated_node_without_a_loop_has_an_empty_row() -> None:
    graph = Adjacency(np.zeros(4, dtype=np.int64), np.zeros(0, dtype=np.int64))
    blocks = NeighbourSampler(graph, [3, None]).sample([2])
    assert [block.nodes.tolist() for block in blocks] == [[2], [2]]
    assert blocks[0].indptr.tolist() == [0, 0]
    assert NeighbourSampler(graph, [2]).sample([])[0].num_targets == 0


@pytest.mark.parametrize("fan_out", [[], [0], [3, -1]])
def test_a_fan_out_of_nobody_is_refused(graph: Adjacency, fan_out: list[int]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        NeighbourSampler(graph, fan_out)


@pytest.mark.parametrize(
    ("nodes", "message"), [([300], "out of"), ([-1], "out of"), ([1, 1], "twice")]
)
def test_nodes_that_are_none_are_refused(graph: Adjacency, nodes: list[int], message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        NeighbourSampler(graph, [2]).sample(nodes)
