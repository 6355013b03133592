from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from bayesfuse.errors import FeatureError
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.csr import Adjacency
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.sampling import NeighbourSampler
from bayesfuse.graph.thinning import thin


def of_dense(dense: Tensor) -> AttentionGraph:
    indptr = torch.cat([torch.zeros(1, dtype=torch.long), dense.sum(1).cumsum(0)])
    return AttentionGraph(indptr, dense.nonzero()[:, 1], dense.shape[1])


def to_dense(graph: AttentionGraph) -> Tensor:
    return graph.matrix(torch.ones(graph.num_edges)).to_dense().bool()


@pytest.fixture
def dense() -> Tensor:
    """Who listens to whom, 5 x 7: one row and one column of nobody."""
    found = torch.rand(5, 7) < 0.4
    found[2] = found[:, 3] = False
    return found


def test_rows_degrees_and_matrix(dense: Tensor) -> None:
    graph = of_dense(dense)
    assert (graph.num_rows, graph.num_columns, graph.num_edges) == (5, 7, int(dense.sum()))
    assert torch.equal(to_dense(graph), dense)
    assert torch.equal(graph.rows, dense.nonzero()[:, 0])
    assert torch.equal(graph.degrees, dense.sum(1))


def test_the_transposed_graph_and_its_order(dense: Tensor) -> None:
    graph = of_dense(dense)
    numbers = torch.arange(1.0, graph.num_edges + 1)
    assert torch.equal(to_dense(graph.transposed), dense.t())
    turned = graph.transposed.matrix(numbers.index_select(0, graph.order)).to_dense()
    assert torch.equal(turned, graph.matrix(numbers).to_dense().t())


def test_copies_lie_side_by_side_and_are_made_once(dense: Tensor) -> None:
    graph = of_dense(dense)
    three = graph.copies(3)
    assert torch.equal(to_dense(three), torch.block_diag(dense, dense, dense).bool())
    assert torch.equal(to_dense(three.transposed), to_dense(three).t())
    numbers = torch.arange(1.0, three.num_edges + 1)
    turned = three.transposed.matrix(numbers.index_select(0, three.order)).to_dense()
    assert torch.equal(turned, three.matrix(numbers).to_dense().t())
    assert graph.copies(3) is three
    assert graph.copies(1) is graph


def test_kernels_get_int32() -> None:
    graph = AttentionGraph([0, 1], [0])
    assert graph.indptr.dtype == graph.indices.dtype == torch.int64
    assert {t.dtype for t in (*graph.kernel, graph.kernel_rows, graph.order)} == {torch.int32}


def test_an_empty_graph() -> None:
    graph = AttentionGraph([0], [])
    assert repr(graph) == "AttentionGraph(0 rows, 0 columns, 0 edges)"
    assert graph.transposed.num_rows == graph.order.numel() == graph.copies(2).num_edges == 0


def test_the_entity_graph_comes_with_relations_and_weights() -> None:
    rows, ends = np.array([0, 1, 1, 2]), np.array([1, 0, 2, 1])
    masks = np.array([1, 1, 2, 2], np.uint64)
    weights = np.array([0.5, 0.5, 2, 2], np.float32)
    entities = EntityGraph.from_pairs(
        4, rows, ends, relation_names=("a", "b"), masks=masks, weights=weights
    )
    graph = AttentionGraph.of(entities)
    assert graph.num_rows == 4
    assert graph.relation_mask is not None
    assert graph.edge_features is not None
    assert graph.relation_mask.tolist() == [1, 1, 2, 2, 0]
    assert graph.edge_features.tolist() == [[0.5], [0.5], [2.0], [2.0], [1.0]]
    masks_found, kinds = graph.relation_kinds
    assert masks_found[kinds].tolist() == [1, 1, 2, 2, 0]


def test_an_adjacency_has_no_relations() -> None:
    graph = AttentionGraph.of(Adjacency(np.array([0, 1]), np.array([0])))
    with pytest.raises(FeatureError, match="does not know the relations"):
        _ = graph.relation_kinds


def whole() -> AttentionGraph:
    dense = torch.ones(4, 4, dtype=torch.bool).fill_diagonal_(False)
    made = of_dense(dense)
    mask, features = torch.arange(12) % 3 + 1, torch.arange(12.0)[:, None]
    return AttentionGraph(made.indptr, made.indices, None, mask, features)


def test_a_block_carries_what_its_edges_carry() -> None:
    graph = whole()
    adjacency = Adjacency(graph.indptr.numpy(), graph.indices.numpy())
    (block,) = NeighbourSampler(adjacency, [2], seed=1).sample([2, 0])
    part = graph.part(block.indptr, block.indices, block.edges, len(block.nodes))
    assert (part.num_rows, part.num_columns) == (2, len(block.nodes))
    assert part.edge_features is not None
    assert part.relation_mask is not None
    assert part.edge_features[:, 0].tolist() == block.edges.tolist()
    assert part.relation_mask.tolist() == (block.edges % 3 + 1).tolist()
    masks, kinds = part.relation_kinds
    assert torch.equal(masks[kinds], part.relation_mask)


def test_a_new_self_loop_is_of_no_relation() -> None:
    graph = whole()
    adjacency = Adjacency(graph.indptr.numpy(), graph.indices.numpy())
    thinned = thin(adjacency, 0, densities=[0.0])
    part = graph.part(*thinned.graph, thinned.edges)
    assert part.indices.tolist() == [0, 1, 2, 3]
    assert part.relation_mask is not None
    assert part.edge_features is not None
    assert part.relation_mask.tolist() == [0, 0, 0, 0]
    assert part.edge_features.flatten().tolist() == [0, 0, 0, 0]


def test_moving_keeps_everything() -> None:
    graph = whole()
    assert graph.to("cpu") is graph
    moved = graph.to("meta")
    assert moved.device.type == "meta"
    assert moved.relation_mask is not None
    assert moved.edge_features is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 2], [0]), "indptr does not fit 1 edges"),
        (([1, 1], [0]), "indptr does not fit"),
        (([0, 2, 1], [0]), "indptr does not fit"),
        (([], []), "indptr does not fit"),
        (([0, 1], [1]), "indices go from 1 to 1; expected columns from 0 to 0"),
        (([0, 1], [-1]), "indices go from -1"),
        (([0, 1], [2], 2), "expected columns from 0 to 1"),
        (([0, 1], [0.5]), "expected whole numbers"),
        (([0, 1], [[0]]), "expected whole numbers in one dimension"),
        (([0, 1], [0], None, [1, 2]), "2 relation masks for 1 edges"),
        (([0, 1], [0], None, None, [1.0]), "expected 1 edges x features"),
        (([0, 1], [0], None, None, [[np.nan]]), "NaN"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arguments: tuple[list[int], ...], message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        AttentionGraph(*arguments)  # type: ignore[arg-type]


def test_positions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(FeatureError, match="positions of 2 edges; expected 1"):
        whole().part([0, 1], [0], [0, 1])
