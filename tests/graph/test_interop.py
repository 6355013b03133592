from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from bayesfuse.errors import ConfigError, FeatureError, MissingExtraError
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.interop import from_dgl, from_pyg, to_dgl, to_pyg
from bayesfuse.graph.libraries import import_dgl, import_pyg

People = dict[str, list[list[str]]]
NAMES = ("director", "writer", "studio")


@pytest.fixture
def dgl() -> Any:
    try:
        return import_dgl()
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.fixture
def pyg() -> Any:
    try:
        return import_pyg()
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.fixture
def graph(make_people: Callable[..., People]) -> EntityGraph:
    return EntityGraph.from_people(make_people(40, seed=7))


@pytest.fixture
def weighted() -> EntityGraph:
    weights = np.array([0.5, 0.5, 2.0], dtype=np.float32)
    return EntityGraph.from_pairs(4, np.array([0, 1, 3]), np.array([1, 0, 0]), weights=weights)


def same(first: EntityGraph, second: EntityGraph) -> None:
    np.testing.assert_array_equal(first.indptr, second.indptr)
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(first.relation_mask, second.relation_mask)
    assert first.relation_names == second.relation_names
    if first.weights is None or second.weights is None:
        assert first.weights is second.weights
    else:
        np.testing.assert_array_equal(first.weights, second.weights)


def test_to_dgl_and_back(dgl: Any, graph: EntityGraph) -> None:
    made = to_dgl(graph)
    assert made.num_nodes() == 40
    assert made.num_edges() == len(graph.indices)
    same(from_dgl(made, relation_names=NAMES), graph)
    assert from_dgl(made).relation_names == ("edge_0", "edge_1", "edge_2")


def test_to_dgl_by_relation_and_back(dgl: Any, graph: EntityGraph) -> None:
    made = to_dgl(graph, by_relation=True)
    assert set(made.etypes) == set(NAMES)
    back = from_dgl(made)
    # DGL sorts its edge types.
    assert sorted(back.relation_names) == sorted(NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(back.relation(name).indices, graph.relation(name).indices)


def test_to_pyg_and_back(pyg: Any, graph: EntityGraph) -> None:
    data = to_pyg(graph)
    data.validate(raise_on_error=True)
    assert data.is_undirected()
    assert data.is_edge_attr("edge_relations")
    same(from_pyg(data, relation_names=NAMES), graph)
    hetero = to_pyg(graph, by_relation=True)
    hetero.validate(raise_on_error=True)
    same(from_pyg(hetero), graph)


def test_a_message_goes_from_the_neighbour_to_the_row(dgl: Any, pyg: Any) -> None:
    # Node 0 hears 1 and 2; nobody hears 0.
    graph = EntityGraph.from_pairs(3, np.array([0, 0]), np.array([1, 2]), self_loops="none")
    features = torch.tensor([[1.0], [10.0], [100.0]])
    made = to_dgl(graph)
    made.ndata["h"] = features
    made.update_all(dgl.function.copy_u("h", "m"), dgl.function.sum("m", "h"))
    assert made.ndata["h"].flatten().tolist() == [110, 0, 0]
    sums = pyg.nn.SimpleConv(aggr="sum")(features, to_pyg(graph).edge_index)
    assert sums.flatten().tolist() == [110, 0, 0]


@pytest.mark.parametrize("library", ["dgl", "pyg"])
def test_weights_and_one_way_edges(
    library: str, weighted: EntityGraph, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(library)
    to, of = (to_dgl, from_dgl) if library == "dgl" else (to_pyg, from_pyg)
    same(of(to(weighted), relation_names=("edge",), undirected=False), weighted)
    both = of(to(weighted), relation_names=("edge",))
    assert both.is_symmetric
    assert both.warnings == ("1 edges went one way only: their reverses were added.",)
    assert both.relations_of(0, 3) == ("edge",)
    assert both.weights is not None
    assert both.weights[both.indptr[0] : both.indptr[1]].tolist() == [0.5, 2.0]


@pytest.mark.parametrize("choice", ["isolated", "all", "none"])
def test_self_loops_are_by_the_option(pyg: Any, graph: EntityGraph, choice: str) -> None:
    back = from_pyg(to_pyg(graph), relation_names=NAMES, self_loops=choice)
    same(back, graph.with_self_loops(choice))


def test_numbered_edge_types_are_relations(dgl: Any, pyg: Any) -> None:
    edges = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0]])
    types = torch.tensor([0, 0, 2, 2])
    data = pyg.data.Data(edge_index=edges, edge_type=types, num_nodes=2)
    assert from_pyg(data, relation_names=NAMES).relations_of(0, 1) == ("director", "studio")
    made = dgl.graph((edges[0], edges[1]))
    made.edata[dgl.ETYPE] = types
    assert from_dgl(made, relation_names=NAMES).relations_of(0, 1) == ("director", "studio")
    data.edge_type = torch.tensor([0, 0, -1, 64])
    with pytest.raises(FeatureError, match="from -1 to 64"):
        from_pyg(data)


def test_a_plain_graph_has_one_relation(dgl: Any, pyg: Any) -> None:
    edges = torch.tensor([[0, 1], [1, 0]])
    assert from_pyg(pyg.data.Data(edge_index=edges, num_nodes=3)).relation_names == ("edge",)
    graph = from_dgl(dgl.graph((edges[0], edges[1]), num_nodes=3))
    assert graph.relation_names == ("edge",)
    assert graph.indices.tolist() == [1, 0, 2]


def test_several_types_of_nodes_are_refused(dgl: Any, pyg: Any) -> None:
    ends = (torch.tensor([0]), torch.tensor([0]))
    with pytest.raises(ConfigError, match=r"2 types of nodes \(movie, person\)"):
        from_dgl(dgl.heterograph({("movie", "by", "person"): ends}))
    hetero = pyg.data.HeteroData()
    hetero["movie"].num_nodes = hetero["person"].num_nodes = 1
    with pytest.raises(ConfigError, match=r"2 types of nodes \(movie, person\)"):
        from_pyg(hetero)


def test_what_does_not_fit_is_refused(pyg: Any, weighted: EntityGraph) -> None:
    data = to_pyg(weighted)
    data.edge_weight = data.edge_weight * torch.nan
    with pytest.raises(FeatureError, match="NaN"):
        from_pyg(data)
    data.edge_weight = torch.ones(1)
    with pytest.raises(FeatureError, match=r"weights have shape \(1,\)"):
        from_pyg(data)
    data = to_pyg(weighted)
    data.edge_relations = data.edge_relations * 4
    with pytest.raises(FeatureError, match="1 relation names"):
        from_pyg(data, relation_names=("edge",))
    with pytest.raises(ConfigError, match="no edge_index"):
        from_pyg(pyg.data.Data(num_nodes=2))
