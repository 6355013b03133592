from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bayesfuse.errors import ConfigError, MissingExtraError
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.backends import BACKENDS, backend
from bayesfuse.graph.libraries import import_dgl

HEADS, FEATURES = 3, 4

Draw = Callable[[AttentionGraph, torch.dtype], list[Tensor]]


def draw_gat(graph: AttentionGraph, dtype: torch.dtype) -> list[Tensor]:
    columns, rows = graph.num_columns, graph.num_rows
    sizes = ((columns, HEADS, FEATURES), (columns, HEADS), (rows, HEADS))
    return [torch.randn(size, dtype=dtype, requires_grad=True) for size in sizes]


def draw_gatv2(graph: AttentionGraph, dtype: torch.dtype) -> list[Tensor]:
    wide = (HEADS, FEATURES)
    sizes = ((graph.num_columns, *wide), (graph.num_rows, *wide), wide)
    return [torch.randn(size, dtype=dtype, requires_grad=True) for size in sizes]


DRAW: dict[str, Draw] = {"gat": draw_gat, "gatv2": draw_gatv2}


@pytest.fixture
def with_dgl() -> None:
    try:
        import_dgl()
    except MissingExtraError as error:
        pytest.skip(str(error))


def random_graph(rows: int = 40, columns: int = 50, share: float = 0.2) -> AttentionGraph:
    dense = torch.rand(rows, columns) < share
    dense[3] = False
    indptr = torch.cat([torch.zeros(1, dtype=torch.long), dense.sum(1).cumsum(0)])
    return AttentionGraph(indptr, dense.nonzero()[:, 1], columns)


@pytest.mark.usefixtures("with_dgl")
@pytest.mark.parametrize("kind", DRAW)
@pytest.mark.parametrize("share", [0.2, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_backends_agree_in_values_and_gradients(
    kind: str, share: float, dtype: torch.dtype
) -> None:
    graph = random_graph(share=share)
    bias = torch.randn(graph.num_edges, HEADS, dtype=dtype, requires_grad=True)
    inputs = [*DRAW[kind](graph, dtype), bias]
    cotangent = torch.randn(graph.num_rows, HEADS, FEATURES, dtype=dtype)
    results = []
    for name in BACKENDS:
        out = getattr(backend(name), kind)(*inputs[:3], graph, negative_slope=0.1, edge_bias=bias)
        results.append((out, *torch.autograd.grad(out, inputs, cotangent)))
        assert not out[3].any()
    assert len(results) == 2
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("with_dgl")
@pytest.mark.parametrize("kind", DRAW)
def test_dgl_in_half_precision_and_with_dropout(kind: str) -> None:
    graph = random_graph()
    dgl = getattr(backend("dgl"), kind)
    halves = DRAW[kind](graph, torch.bfloat16)
    out = dgl(*halves, graph)
    assert out.dtype is torch.bfloat16
    torch.testing.assert_close(
        out, getattr(backend("torch"), kind)(*halves, graph), rtol=0.05, atol=0.05
    )
    inputs = DRAW[kind](graph, torch.float32)
    assert torch.equal(dgl(*inputs, graph, dropout=0.0), dgl(*inputs, graph))
    assert not torch.equal(dgl(*inputs, graph, dropout=0.5), dgl(*inputs, graph))


@pytest.mark.usefixtures("with_dgl")
def test_dgl_makes_its_graph_once() -> None:
    graph = random_graph()
    inputs = draw_gat(graph, torch.float32)
    backend("dgl").gat(*inputs, graph)
    made = graph.kept["dgl"]
    backend("dgl").gat(*inputs, graph)
    assert graph.kept["dgl"] is made


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'Unknown graph backend "dlg".*Did you mean "dgl"'):
        backend("dlg")


def test_without_dgl_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dgl", None)
    with pytest.raises(MissingExtraError, match=r"bayesfuse\[dgl\]"):
        backend("dgl")
    assert backend("torch").name == "torch"
