"""Which kernels attention runs on: our own on plain torch, or those of DGL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.graph.attention import NEGATIVE_SLOPE, gat_attention, gatv2_attention
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.libraries import import_dgl


@dataclass(frozen=True)
class Backend:
    """What attention runs on.

    Attributes:
        name: What the command line calls it.
        gat: As `gat_attention`.
        gatv2: As `gatv2_attention`.
        batched: Whether `torch.func.vmap` works over it.
    """

    name: str
    gat: Callable[..., Tensor]
    gatv2: Callable[..., Tensor]
    batched: bool


def backend(name: str) -> Backend:
    """Return the backend of a name in `BACKENDS`, once it is known to run.

    Raises:
        ConfigError: If the name is unknown.
        MissingExtraError: If its package is not installed, or does not work here.

    Example:
        >>> backend("torch").batched
        True
    """
    if name not in BACKENDS:
        raise ConfigError(unknown_option("graph backend", name, BACKENDS))
    if name == "dgl":
        import_dgl()
    return BACKENDS[name]


def dgl_gat_attention(
    values: Tensor,
    source_score: Tensor,
    target_score: Tensor,
    graph: AttentionGraph,
    *,
    negative_slope: float = NEGATIVE_SLOPE,
    edge_bias: Tensor | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Return what `gat_attention` does, by the kernels of DGL; no draws, no mask."""
    dgl, block = import_dgl(), _block(graph)
    logits = dgl.ops.u_add_v(block, source_score, target_score)
    if edge_bias is not None:
        logits = logits + edge_bias
    return _hear(block, values, F.leaky_relu(logits, negative_slope), dropout)


def dgl_gatv2_attention(
    source: Tensor,
    target: Tensor,
    attention: Tensor,
    graph: AttentionGraph,
    *,
    negative_slope: float = NEGATIVE_SLOPE,
    edge_bias: Tensor | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Return what `gatv2_attention` does, by the kernels of DGL.

    It holds tensors `edges x heads x features`, as DGL's own layer does.
    """
    dgl, block = import_dgl(), _block(graph)
    inside = F.leaky_relu(dgl.ops.u_add_v(block, source, target), negative_slope)
    logits = (inside * attention).sum(-1)
    if edge_bias is not None:
        logits = logits + edge_bias
    return _hear(block, source, logits, dropout)


def _hear(block: Any, values: Tensor, logits: Tensor, dropout: float) -> Tensor:
    dgl, full = import_dgl(), torch.promote_types(values.dtype, torch.float32)
    weights = F.dropout(dgl.ops.edge_softmax(block, logits.unsqueeze(-1).to(full)), dropout)
    found: Tensor = dgl.ops.u_mul_e_sum(block, values.to(full), weights)
    return found.to(values.dtype)


def _block(graph: AttentionGraph) -> Any:
    """Return the graph as DGL's, made once."""
    if "dgl" not in graph.kept:
        dgl = import_dgl()
        # its kernels fail where the numbers of the edges are left to be understood
        numbers = torch.arange(graph.num_edges, device=graph.device)
        rows = ("csc", (graph.indptr, graph.indices, numbers))
        graph.kept["dgl"] = dgl.create_block(rows, graph.num_columns, graph.num_rows)
    return graph.kept["dgl"]


BACKENDS = {
    "torch": Backend("torch", gat_attention, gatv2_attention, batched=True),
    "dgl": Backend("dgl", dgl_gat_attention, dgl_gatv2_attention, batched=False),
}
"""Every backend by name."""
