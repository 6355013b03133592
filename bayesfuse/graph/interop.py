"""Entity graphs from and to DGL and PyTorch Geometric.

In both libraries an edge goes from who is heard to who hears: row i of an `EntityGraph` with the
neighbour j is their edge j → i. The relations of an edge are a bit mask in `relations` (DGL) or
`edge_relations` (PyG), int64, and its weight is `weight` or `edge_weight`; or each relation is an
edge type of its own between nodes of the type `item`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.findings import first_few
from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.graph.building import MAX_RELATIONS
from bayesfuse.graph.csr import Int64
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.libraries import import_dgl, import_pyg
from bayesfuse.graph.pairs import Masks

NODE_TYPE = "item"


def to_dgl(graph: EntityGraph, *, by_relation: bool = False) -> Any:
    """Return the graph as a `dgl.DGLGraph`, self-loops included.

    Args:
        graph: The graph.
        by_relation: Whether each relation is an edge type; weights are then left out.

    Raises:
        MissingExtraError: If DGL is not installed.
    """
    dgl = import_dgl()
    if by_relation:
        edges = {
            (NODE_TYPE, name, NODE_TYPE): (_tensor(rows.indices), _tensor(rows.rows()))
            for name, rows in graph.relations.items()
        }
        return dgl.heterograph(edges, num_nodes_dict={NODE_TYPE: graph.num_nodes})
    ends = (_tensor(graph.indices), _tensor(graph.adjacency.rows()))
    made = dgl.graph(ends, num_nodes=graph.num_nodes)
    made.edata["relations"] = _tensor(graph.relation_mask.view(np.int64))
    if graph.weights is not None:
        made.edata["weight"] = _tensor(graph.weights)
    return made


def from_dgl(
    graph: Any,
    *,
    relation_names: Sequence[str] | None = None,
    undirected: bool = True,
    self_loops: str = "isolated",
) -> EntityGraph:
    """Make an entity graph of a `dgl.DGLGraph` with one type of nodes.

    Args:
        graph: The graph. Its relations are its edge types; in a graph of one edge type they are
            the bits of `edata["relations"]`, or the numbers in `edata["_TYPE"]`, if it has either.
        relation_names: What the bits or numbers mean.
        undirected: Whether the reverse of each edge is added where it is missing.
        self_loops: `isolated`, `all` or `none`, whatever the graph has.

    Returns:
        The graph, in the same order of nodes; parallel edges are merged.

    Raises:
        ConfigError: If it has several types of nodes.
        FeatureError: If relations or weights do not fit.
        MissingExtraError: If DGL is not installed.
    """
    dgl = import_dgl()
    if len(graph.ntypes) != 1:
        raise _many_types(graph.ntypes)
    if len(graph.etypes) != 1:
        parts = {
            etype: tuple(map(_integers, graph.edges(etype=etype)))
            for _, etype, _ in graph.canonical_etypes
        }
        return _of_parts(graph.num_nodes(), parts, undirected, self_loops)
    source, target = map(_integers, graph.edges())
    return _of_edges(
        graph.num_nodes(),
        source,
        target,
        bits=graph.edata.get("relations"),
        types=graph.edata.get(dgl.ETYPE),
        weights=graph.edata.get("weight"),
        relation_names=relation_names,
        default="edge" if graph.etypes == ["_E"] else graph.etypes[0],
        undirected=undirected,
        self_loops=self_loops,
    )


def to_pyg(graph: EntityGraph, *, by_relation: bool = False) -> Any:
    """Return the graph as `torch_geometric.data.Data`, self-loops included.

    Args:
        graph: The graph.
        by_relation: Whether each relation is an edge type of `HeteroData`; weights are then left
            out.

    Raises:
        MissingExtraError: If PyTorch Geometric is not installed.
    """
    pyg = import_pyg()
    if by_relation:
        hetero = pyg.data.HeteroData()
        hetero[NODE_TYPE].num_nodes = graph.num_nodes
        for name, rows in graph.relations.items():
            edges = _tensor(np.stack([rows.indices, rows.rows()]))
            hetero[NODE_TYPE, name, NODE_TYPE].edge_index = edges
        return hetero
    data = pyg.data.Data(
        edge_index=_tensor(np.stack([graph.indices, graph.adjacency.rows()])),
        edge_relations=_tensor(graph.relation_mask.view(np.int64)),
        num_nodes=graph.num_nodes,
    )
    if graph.weights is not None:
        data.edge_weight = _tensor(graph.weights)
    return data


def from_pyg(
    data: Any,
    *,
    relation_names: Sequence[str] | None = None,
    undirected: bool = True,
    self_loops: str = "isolated",
) -> EntityGraph:
    """Make an entity graph of `Data`, or of `HeteroData` with one type of nodes.

    Args:
        data: The graph. Its relations are its edge types; in `Data` they are the bits of
            `edge_relations`, or the numbers in `edge_type`, if it has either.
        relation_names: What the bits or numbers mean.
        undirected: Whether the reverse of each edge is added where it is missing.
        self_loops: `isolated`, `all` or `none`, whatever the graph has.

    Returns:
        The graph, in the same order of nodes; parallel edges are merged.

    Raises:
        ConfigError: If it has several types of nodes, or no `edge_index`.
        FeatureError: If relations or weights do not fit.
        MissingExtraError: If PyTorch Geometric is not installed.
    """
    pyg = import_pyg()
    if isinstance(data, pyg.data.HeteroData):
        if len(data.node_types) != 1:
            raise _many_types(data.node_types)
        parts = {kind[1]: _ends(data[kind].get("edge_index")) for kind in data.edge_types}
        return _of_parts(data.num_nodes, parts, undirected, self_loops)
    source, target = _ends(data.get("edge_index"))
    return _of_edges(
        data.num_nodes,
        source,
        target,
        bits=data.get("edge_relations"),
        types=data.get("edge_type"),
        weights=data.get("edge_weight"),
        relation_names=relation_names,
        default="edge",
        undirected=undirected,
        self_loops=self_loops,
    )


def _of_edges(
    num_nodes: int,
    source: Int64,
    target: Int64,
    *,
    bits: Any,
    types: Any,
    weights: Any,
    relation_names: Sequence[str] | None,
    default: str,
    undirected: bool,
    self_loops: str,
) -> EntityGraph:
    masks = np.ones(len(source), dtype=np.uint64)
    if bits is not None:
        masks = _integers(bits).view(np.uint64)
    elif types is not None:
        numbers = _integers(types)
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < MAX_RELATIONS:
            raise FeatureError(
                f"The edge types go from {numbers.min()} to {numbers.max()}; expected numbers from "
                f"0 to {MAX_RELATIONS - 1}."
            )
        masks = np.left_shift(np.uint64(1), numbers.astype(np.uint64))
    used = int(np.bitwise_or.reduce(masks)).bit_length() if len(masks) else 0
    if relation_names is None:
        told = bits is not None or types is not None
        relation_names = [f"{default}_{k}" for k in range(used)] if told else [default]
    elif used > len(relation_names):
        raise FeatureError(
            f"{len(relation_names)} relation names ({first_few(list(relation_names))}), but the "
            f"edges have {used} relations."
        )
    values = None if weights is None else _weights(weights)
    for what, array in (("relations", masks), ("weights", values)):
        if array is not None and array.shape != source.shape:
            raise FeatureError(
                f"The edges' {what} have shape {array.shape}; expected one number for each of the "
                f"{len(source)} edges."
            )
    return _made(
        num_nodes, source, target, masks, values, tuple(relation_names), undirected, self_loops
    )


def _of_parts(
    num_nodes: int,
    parts: Mapping[str, tuple[Int64, ...]],
    undirected: bool,
    self_loops: str,
) -> EntityGraph:
    if not 0 < len(parts) <= MAX_RELATIONS:
        raise ConfigError(f"{len(parts)} edge types; expected 1 to {MAX_RELATIONS}.")
    source, target = (np.concatenate([part[end] for part in parts.values()]) for end in (0, 1))
    masks = np.concatenate(
        [
            np.full(len(part[0]), 1 << number, dtype=np.uint64)
            for number, part in enumerate(parts.values())
        ]
    )
    return _made(num_nodes, source, target, masks, None, tuple(parts), undirected, self_loops)


def _made(
    num_nodes: int,
    source: Int64,
    target: Int64,
    masks: Masks,
    weights: NDArray[np.float32] | None,
    relation_names: tuple[str, ...],
    undirected: bool,
    self_loops: str,
) -> EntityGraph:
    given = EntityGraph.from_pairs(
        num_nodes,
        target,
        source,
        relation_names=relation_names,
        masks=masks,
        weights=weights,
        self_loops=self_loops,
    )
    if not undirected or given.is_symmetric:
        return given
    both = EntityGraph.from_pairs(
        num_nodes,
        # As given first, so that the weight of a reverse is only used where there is none.
        np.concatenate([target, source]),
        np.concatenate([source, target]),
        relation_names=relation_names,
        masks=np.concatenate([masks, masks]),
        weights=None if weights is None else np.concatenate([weights, weights]),
        self_loops=self_loops,
    )
    added = (~both.adjacency.is_loop()).sum() - (~given.adjacency.is_loop()).sum()
    warning = f"{added:,} edges went one way only: their reverses were added."
    return replace(both, warnings=(warning,))


def _many_types(types: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"The graph has {len(types)} types of nodes ({', '.join(types)}); expected one, the items. "
        "Take the part between items, or join items that share a node of another type."
    )


def _ends(edge_index: Any) -> tuple[Int64, Int64]:
    if edge_index is None:
        raise ConfigError(
            "The graph has no edge_index (it may hold adj_t instead); expected edge_index, 2 x "
            "edges, such as torch_geometric.utils.to_edge_index makes of adj_t."
        )
    source, target = _integers(edge_index)
    return source, target


def _integers(tensor: Any) -> Int64:
    return np.asarray(tensor.detach().cpu().numpy()).astype(np.int64)


def _weights(tensor: Any) -> NDArray[np.float32]:
    values = np.asarray(tensor.detach().cpu().numpy()).astype(np.float32)
    if not np.isfinite(values).all():
        raise FeatureError("The edges' weights hold NaN or infinity; expected finite numbers.")
    return values


def _tensor(array: NDArray[Any]) -> Any:
    import torch

    return torch.from_numpy(array.copy())
