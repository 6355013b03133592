from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bayesfuse.errors import ConfigError, FeatureError, MissingExtraError
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.libraries import import_dgl, import_pyg
from bayesfuse.models.graph_attention_layer import VERSIONS, GraphAttentionLayer

IN, HEADS, WIDTH = 6, 3, 4


def random_graph(rows: int = 20, columns: int | None = None, **carried: Any) -> AttentionGraph:
    dense = torch.rand(rows, columns or rows) < 0.3
    dense[3] = False
    dense[5] = True
    indptr = torch.cat([torch.zeros(1, dtype=torch.long), dense.sum(1).cumsum(0)])
    return AttentionGraph(indptr, dense.nonzero()[:, 1], columns, **carried)


def make(version: str = "v1", **options: Any) -> GraphAttentionLayer:
    layer = GraphAttentionLayer(IN, heads=HEADS, width=WIDTH, version=version, **options)
    for parameter in layer.parameters():  # biases, too, which start at 0
        nn.init.normal_(parameter, std=0.5)
    return layer


def plain(layer: GraphAttentionLayer, x: Tensor, graph: AttentionGraph) -> Tensor:
    """Run the layer node by node and head by head, as its docstring writes it."""
    values = (x @ layer.weight.t()).view(-1, HEADS, WIDTH)
    rows = []
    for i in range(graph.num_rows):
        edges = range(int(graph.indptr[i]), int(graph.indptr[i + 1]))
        heard = torch.zeros(HEADS, WIDTH)
        for h in range(HEADS):
            logits = []
            for e in edges:
                j = int(graph.indices[e])
                bias = torch.zeros(())
                if layer.num_relations:
                    assert graph.relation_mask is not None
                    mask = int(graph.relation_mask[e])
                    for relation in range(layer.num_relations):
                        if mask >> relation & 1:
                            bias = bias + layer.relation_bias[h, relation]
                if layer.edge_features:
                    assert graph.edge_features is not None
                    bias = bias + layer.edge_weight[h] @ graph.edge_features[e]
                if layer.version == "v1":
                    score = layer.attn_src[h] @ values[j, h] + layer.attn_dst[h] @ values[i, h]
                    logits.append(nn.functional.leaky_relu(score + bias, layer.negative_slope))
                else:
                    target = (x[i] @ layer.target_weight.t()).view(HEADS, WIDTH)[h]
                    inside = nn.functional.leaky_relu(values[j, h] + target, layer.negative_slope)
                    logits.append(layer.attn[h] @ inside + bias)
            if logits:
                heard[h] = torch.stack(logits).softmax(0) @ values[graph.indices[list(edges)], h]
        out = (heard.mean(0) if layer.average else heard.flatten()) + layer.bias
        rows.append(out if layer.residual is None else out + layer.residual(x[i]))
    return torch.stack(rows)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("residual", [False, True])
def test_a_layer_is_what_its_equations_say(version: str, average: bool, residual: bool) -> None:
    layer = make(version, average=average, residual=residual, negative_slope=0.1)
    graph, x = random_graph(), torch.randn(20, IN)
    out = layer(x, graph)
    assert out.shape == (20, layer.out_features)
    torch.testing.assert_close(out, plain(layer, x, graph), rtol=1e-5, atol=1e-5)
    alone = layer.bias + (layer.residual(x[3]) if layer.residual is not None else 0)
    torch.testing.assert_close(out[3], alone)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_block_computes_its_first_columns(version: str) -> None:
    layer, graph, x = make(version), random_graph(7, 15), torch.randn(15, IN)
    out = layer(x, graph)
    assert out.shape == (7, HEADS * WIDTH)
    torch.testing.assert_close(out, plain(layer, x, graph), rtol=1e-5, atol=1e-5)


def test_where_widths_agree_the_residual_is_the_node_itself() -> None:
    layer = GraphAttentionLayer(HEADS * WIDTH, heads=HEADS, width=WIDTH)
    assert isinstance(layer.residual, nn.Identity)
    x = torch.randn(2, HEADS * WIDTH)
    torch.testing.assert_close(layer(x, AttentionGraph([0, 0, 0], [])), x)


@pytest.mark.parametrize("version", VERSIONS)
def test_relations_and_features_of_edges_change_who_is_heard(version: str) -> None:
    bare, x = random_graph(), torch.randn(20, IN)
    mask, features = torch.randint(0, 8, (bare.num_edges,)), torch.randn(bare.num_edges, 2)
    graph = AttentionGraph(bare.indptr, bare.indices, None, mask, features)
    layer = make(version, num_relations=3, edge_features=2)
    out = layer(x, graph)
    torch.testing.assert_close(out, plain(layer, x, graph), rtol=1e-5, atol=1e-5)
    out.square().sum().backward()
    assert layer.relation_bias.shape == (HEADS, 3)
    for name in ("relation_bias", "edge_weight"):
        gradient = layer.get_parameter(name).grad
        assert gradient is not None
        assert bool((gradient != 0).all())
        with torch.no_grad():
            layer.get_parameter(name).add_(1)
        assert not torch.allclose(layer(x, graph), out)


def test_biases_of_edges_start_at_nothing() -> None:
    bare, x = random_graph(), torch.randn(20, IN)
    graph = AttentionGraph(bare.indptr, bare.indices, None, torch.ones(bare.num_edges).long())
    torch.manual_seed(0)
    with_relations = GraphAttentionLayer(IN, num_relations=1)
    torch.manual_seed(0)
    without = GraphAttentionLayer(IN)
    assert torch.equal(with_relations(x, graph), without(x, graph))


@pytest.mark.parametrize("version", VERSIONS)
def test_explaining_returns_the_attention_without_dropout(version: str) -> None:
    layer = make(version, attention_dropout=0.5, feature_dropout=0.5, residual=False)
    graph, x = random_graph(), torch.randn(20, IN)
    weights = layer(x, graph, explain=True)
    assert weights.shape == (graph.num_edges, HEADS)
    values = (x @ layer.weight.t()).view(-1, HEADS, WIDTH)[graph.indices]
    heard = torch.zeros(20, HEADS, WIDTH).index_add(0, graph.rows, weights[..., None] * values)
    torch.testing.assert_close(heard.flatten(1) + layer.bias, layer.eval()(x, graph))


@pytest.mark.parametrize("option", ["attention_dropout", "feature_dropout"])
def test_dropout_is_for_training_only(option: str) -> None:
    layer = make("v1", **{option: 0.5})
    graph, x = random_graph(), torch.randn(20, IN)
    assert not torch.equal(layer(x, graph), layer(x, graph))
    layer.eval()
    assert torch.equal(layer(x, graph), layer(x, graph))


def rival(library: str, version: str, graph: AttentionGraph) -> tuple[nn.Module, Any, Any]:
    """Return another library's layer, how to run it, and its names of our parameters."""
    try:
        loaded = import_pyg() if library == "pyg" else import_dgl()
    except MissingExtraError as error:
        pytest.skip(str(error))
    if library == "pyg":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            from torch_geometric.nn import GATConv, GATv2Conv

        edges = torch.stack([graph.indices, graph.rows])
        if version == "v1":
            theirs = GATConv(IN, WIDTH, HEADS, add_self_loops=False)
            names = {"weight": "lin.weight", "attn_src": "att_src", "attn_dst": "att_dst"}
        else:
            theirs = GATv2Conv(IN, WIDTH, HEADS, add_self_loops=False)
            names = {"weight": "lin_l.weight", "target_weight": "lin_r.weight", "attn": "att"}
        return theirs, lambda x: theirs(x, edges), names | {"bias": "bias"}
    from dgl.nn.pytorch import GATConv as DglGATConv
    from dgl.nn.pytorch import GATv2Conv as DglGATv2Conv

    whole = loaded.graph((graph.indices, graph.rows), num_nodes=graph.num_rows)
    kind = DglGATConv if version == "v1" else DglGATv2Conv
    theirs = kind(IN, WIDTH, HEADS, allow_zero_in_degree=True)
    if version == "v1":
        names = {"weight": "fc.weight", "attn_src": "attn_l", "attn_dst": "attn_r", "bias": "bias"}
    else:
        names = {"weight": "fc_src.weight", "target_weight": "fc_dst.weight", "attn": "attn"}
    return theirs, lambda x: theirs(whole, x).flatten(1), names


@pytest.mark.parametrize("library", ["pyg", "dgl"])
@pytest.mark.parametrize("version", VERSIONS)
def test_other_libraries_layers_agree_in_values_and_gradients(library: str, version: str) -> None:
    graph = random_graph()
    theirs, run, names = rival(library, version, graph)
    ours = make(version, residual=False)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.zero_()  # biases that we do not have
        for own, other in names.items():
            target = theirs.get_parameter(other)
            target.copy_(ours.get_parameter(own).view_as(target))
        if "bias" not in names:
            ours.bias.zero_()
    x = torch.randn(20, IN, requires_grad=True)
    cotangent = torch.randn(20, HEADS * WIDTH)
    found, expected = ours(x, graph), run(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert float(found.detach().abs().max()) > 0.5
    mine = torch.autograd.grad(found, [x, *(ours.get_parameter(n) for n in names)], cotangent)
    other = torch.autograd.grad(
        expected, [x, *(theirs.get_parameter(n) for n in names.values())], cotangent
    )
    for one, two in zip(mine, other, strict=True):
        torch.testing.assert_close(one, two.view_as(one), rtol=1e-5, atol=1e-5)


def test_autocast_computes_scores_in_full_precision() -> None:
    layer, graph, x = make("v1"), random_graph(), torch.randn(20, IN)
    exact = layer(x, graph, explain=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x, graph, explain=True), exact)
        rough = layer(x, graph)
    torch.testing.assert_close(rough.float(), layer(x, graph), rtol=0.05, atol=0.05)
    assert not torch.equal(rough.float(), layer(x, graph))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": "v3"}, 'Unknown version of graph attention "v3"'),
        ({"heads": 0}, "heads is 0"),
        ({"width": 0}, "width is 0"),
        ({"num_relations": -1}, "num_relations is -1"),
        ({"num_relations": 64}, "expected 63 at most"),
        ({"edge_features": -1}, "edge_features is -1"),
        ({"attention_dropout": 1.0}, "attention_dropout is 1.0"),
        ({"feature_dropout": -0.1}, "feature_dropout is -0.1"),
        ({"negative_slope": 2.0}, r"negative_slope is 2.0"),
        ({"backend": "dlg"}, 'Unknown graph backend "dlg"'),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GraphAttentionLayer(IN, **options)


def test_inputs_that_do_not_fit_are_refused() -> None:
    graph, x = random_graph(), torch.randn(20, IN)
    with pytest.raises(FeatureError, match=r"\(19, 6\); expected 20 nodes of the graph x 6"):
        make()(x[:19], graph)
    with pytest.raises(FeatureError, match="20 rows and 3 columns"):
        make()(torch.randn(3, IN), AttentionGraph([0] * 21, [], 3))
    with pytest.raises(FeatureError, match="does not know the relations"):
        make(num_relations=2)(x, graph)
    with pytest.raises(FeatureError, match="no features of edges; expected 2"):
        make(edge_features=2)(x, graph)
    masked = AttentionGraph(graph.indptr, graph.indices, None, torch.full((graph.num_edges,), 4))
    with pytest.raises(FeatureError, match="more than 2 relations"):
        make(num_relations=2)(x, masked)
