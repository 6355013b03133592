from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bayesfuse.graph import products
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.products import (
    chunked_sampled_product,
    chunked_sparse_product,
    edge_chunks,
    sampled_product,
    sparse_product,
)

Product = Callable[[AttentionGraph, Tensor, Tensor], Tensor]


@pytest.fixture(params=[torch.float32, torch.float64], ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    found: torch.dtype = request.param
    return found


@pytest.fixture(params=[True, False], ids=["edges", "no edges"])
def graph(request: pytest.FixtureRequest) -> AttentionGraph:
    dense = torch.rand(6, 9) < 0.5
    dense[2] = False
    dense &= request.param
    indptr = torch.cat([torch.zeros(1, dtype=torch.long), dense.sum(1).cumsum(0)])
    return AttentionGraph(indptr, dense.nonzero()[:, 1], 9)


@pytest.mark.parametrize("product", [sparse_product, chunked_sparse_product])
def test_sparse_times_dense(
    product: Product, graph: AttentionGraph, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "CHUNK", 20)  # several chunks, and one that is not full
    weights = torch.randn(graph.num_edges, dtype=dtype)
    values = torch.randn(9, 4, dtype=dtype)
    found = product(graph, weights, values)
    torch.testing.assert_close(found, graph.matrix(weights).to_dense() @ values)
    assert found[2].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("product", [sampled_product, chunked_sampled_product])
def test_dense_times_dense_where_the_graph_is(
    product: Product, graph: AttentionGraph, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "CHUNK", 20)
    left, right = torch.randn(6, 4, dtype=dtype), torch.randn(9, 4, dtype=dtype)
    expected = (left @ right.t())[graph.rows, graph.indices]
    torch.testing.assert_close(product(graph, left, right), expected)


def test_chunks_cover_every_edge_once_and_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "CHUNK", 12)
    graph = AttentionGraph([0, 10], range(10), 10)
    chunks = edge_chunks(graph, 4)
    covered = torch.cat([torch.arange(10)[part] for part in chunks])
    assert covered.tolist() == list(range(10))
    assert max(len(torch.arange(10)[part]) for part in chunks) * 4 <= 12
    assert len(edge_chunks(graph, 10**9)) == 10  # an edge alone at the least
