"""What the benchmarks of graph attention share: a graph like the movies', and layers over it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.models.graph_attention import GraphAttention

NODES, EDGES = 23_351, 1_400_000
FEATURES, HEADS, WIDTH = 256, 4, 64


def make_graph(nodes: int = NODES, edges: int = EDGES, seed: int = 0) -> AttentionGraph:
    """Return a symmetric graph of so many edges whose degrees have a heavy tail."""
    rng = np.random.default_rng(seed)
    weights = (1 + rng.pareto(1.5, nodes)).clip(max=100)
    weights /= weights.sum()
    pairs = np.empty(0, np.int64)
    while len(pairs) < edges // 2:
        ends = rng.choice(nodes, (2, edges), p=weights)
        low, high = ends.min(axis=0), ends.max(axis=0)
        pairs = np.unique(np.concatenate([pairs, (low * nodes + high)[low < high]]))
    pairs = rng.choice(pairs, edges // 2, replace=False)
    low, high = pairs // nodes, pairs % nodes
    both = np.sort(np.concatenate([low * nodes + high, high * nodes + low]))
    return AttentionGraph(np.searchsorted(both // nodes, np.arange(nodes + 1)), both % nodes)


class LayerBench:
    """A layer of a library with its step: forwards, then backwards to the layer's weights.

    Args:
        library: `ours`, `dgl` or `pyg`.
        version: `v1` for GAT, `v2` for GATv2.
        graph: What to run on; that of the issue if None.
    """

    def __init__(
        self, library: str, version: str = "v1", graph: AttentionGraph | None = None
    ) -> None:
        graph = graph or make_graph()
        torch.manual_seed(0)
        self.features = torch.randn(graph.num_columns, FEATURES)
        self.gradient = torch.randn(graph.num_rows, HEADS * WIDTH)
        self.layer, self.run = MAKERS[library](version, graph)

    def step(self) -> Tensor:
        """Take a step; return what the forward pass returned."""
        self.layer.zero_grad()
        out = self.run(self.features).flatten(1)
        out.backward(self.gradient)
        return out.detach()


Made = tuple[nn.Module, Callable[[Tensor], Tensor]]


def ours(version: str, graph: AttentionGraph) -> Made:
    layer = GraphAttention(FEATURES, heads=HEADS, width=WIDTH, version=version, residual=False)
    return layer, lambda features: layer(features, graph)


def dgl(version: str, graph: AttentionGraph) -> Made:
    os.environ.setdefault("DGLBACKEND", "pytorch")
    import dgl
    from dgl.nn.pytorch import GATConv, GATv2Conv

    edges = dgl.graph((graph.indices, graph.rows), num_nodes=graph.num_rows)
    edges = edges.formats(["coo", "csr", "csc"])
    edges.create_formats_()
    kind = GATConv if version == "v1" else GATv2Conv
    layer = kind(FEATURES, WIDTH, HEADS, allow_zero_in_degree=True)
    return layer, lambda features: layer(edges, features)


def pyg(version: str, graph: AttentionGraph) -> Made:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it still uses torch.jit.script
        from torch_geometric.nn import GATConv, GATv2Conv

    edges = torch.stack([graph.indices, graph.rows])
    kind = GATConv if version == "v1" else GATv2Conv
    layer = kind(FEATURES, WIDTH, heads=HEADS, add_self_loops=False)
    return layer, lambda features: layer(features, edges)


MAKERS = {"ours": ours, "dgl": dgl, "pyg": pyg}
