"""The graph as a modality: node features, and the network that hears its neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesfuse.data.batches import Batch, Batches
from bayesfuse.data.blocks import Blocks
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.csr import Adjacency
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.models.graph_branch import GraphSettings, build_gat, presence_of
from bayesfuse.models.network import FusionNetwork

WIDTHS = {"text": 3, "image": 2}
# 0 hears 1 and 2, 1 hears 0, 2 hears 0, 3 is isolated
GRAPH = Adjacency(np.array([0, 2, 3, 4, 5]), np.array([1, 2, 0, 0, 3]))


def build(layers: int = 1, features: tuple[str, ...] = ("image",), **options) -> FusionNetwork:
    torch.manual_seed(0)
    graph = GraphSettings(features, layers=layers, heads=2, width=3, **options)
    network = FusionNetwork(WIDTHS, 5, hidden=6, classifier_hidden=4, graph=graph)
    network.standardise.set_statistics("image", torch.ones(2), torch.full((2,), 2.0))
    network.standardise.set_gain("image", 3.0)
    return network.eval()


def table(
    observed=(True, True, True, True), values=None, layers: int = 1, features=("image",)
) -> LinkedFeatures:
    rng = np.random.default_rng(0)
    drawn = {"text": rng.normal(size=(4, 3)), "image": rng.normal(size=(4, 2))}
    items = FeatureTable.from_arrays({**drawn, **(values or {})}, {"image": np.array(observed)})
    return LinkedFeatures(items, items.select(features), GRAPH, fan_out=[None] * layers)


def read(linked: LinkedFeatures, rows: list[int]) -> Batch:
    return Batches(linked).read(np.array(rows))


def logits(network: FusionNetwork, linked: LinkedFeatures, rows: list[int]) -> torch.Tensor:
    batch = read(linked, rows)
    found: torch.Tensor = network(batch.inputs, batch.observed, batch.blocks)
    return found.detach()


def test_the_sites_are_named_after_the_graph():
    names = dict(build().named_parameters())
    shapes = {n: tuple(p.shape) for n, p in names.items() if n.startswith("gat.")}
    assert shapes == {
        "gat.0.weight": (6, 2),
        "gat.0.attn_src": (2, 3),
        "gat.0.attn_dst": (2, 3),
        "gat.0.bias": (6,),
    }
    assert names["fusion.graph.weight"].shape == (6, 6)
    assert "gat.1.residual.weight" not in dict(build(1).named_parameters())
    assert "gat.0.residual.weight" in dict(build(2).named_parameters())


def test_without_a_graph_nothing_is_new():
    torch.manual_seed(0)
    network = FusionNetwork(WIDTHS, 5)
    assert network.gat is None
    assert not [n for n in network.state_dict() if n.startswith("gat") or "graph" in n]


@pytest.mark.parametrize("features", [("image",), ("text",), ("text", "image"), ("image", "text")])
def test_what_is_heard_enters_the_fusion_beside_the_raw_modalities(features):
    network, linked = build(features=features), table(features=features)
    batch = read(linked, [0, 1, 2, 3])
    standardised = network.standardise(batch.inputs, batch.observed)
    nodes = torch.cat([standardised[name] for name in features], dim=1)
    heard = network.gat(nodes, AttentionGraph.of(GRAPH))
    seen = torch.cat([batch.observed, torch.ones(4, 1, dtype=torch.bool)], dim=1)
    expected = network.classifier(network.fusion({**standardised, "graph": heard}, seen))
    torch.testing.assert_close(logits(network, linked, [0, 1, 2, 3]), expected)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("rows", [[0], [2, 0], [3, 1], [0, 0, 3]], ids=str)
def test_an_item_does_not_depend_on_who_else_is_in_the_batch(layers, rows):
    network, linked = build(layers), table(layers=layers)
    together = logits(network, linked, [0, 1, 2, 3])
    torch.testing.assert_close(logits(network, linked, rows), together[rows])


def test_a_neighbour_is_heard_and_a_stranger_is_not():
    network = build()
    before = logits(network, table(), [0, 3])
    image = np.random.default_rng(0).normal(size=(7, 2))[:4]
    moved = table().batch(slice(None))[0]["image"].copy()
    moved[1] += 5 * image[1]
    after = logits(network, table(values={"image": moved}), [0, 3])
    assert not torch.allclose(before[0], after[0], atol=1e-4)
    assert torch.equal(before[1], after[1])


def test_a_modality_that_a_neighbour_lacks_is_zero_whatever_is_stored():
    network = build()
    hidden = (True, False, True, True)
    wild = table().batch(slice(None))[0]["image"].copy()
    wild[1] = 1e30
    first = logits(network, table(hidden), [0])
    assert torch.equal(first, logits(network, table(hidden, {"image": wild}), [0]))
    assert torch.isfinite(first).all()
    assert not torch.allclose(first, logits(network, table(), [0]), atol=1e-4)


def test_a_modality_that_is_hidden_of_an_item_is_hidden_of_its_node_too():
    network, linked = build(), table()
    batch = read(linked, [3])
    hidden = torch.tensor([[True, False]])
    moved = {**batch.inputs, "image": batch.inputs["image"] + 9}
    torch.testing.assert_close(
        network(batch.inputs, hidden, batch.blocks), network(moved, hidden, batch.blocks)
    )
    seen = torch.ones(1, 2, dtype=torch.bool)
    assert not torch.allclose(
        network(batch.inputs, seen, batch.blocks), network(moved, seen, batch.blocks), atol=1e-4
    )


@pytest.mark.parametrize("backend", ["torch", "dgl"])
def test_draws_in_one_call_are_draws_one_by_one(backend):
    if backend == "dgl":
        pytest.importorskip("dgl")
    network = build(2, backend=backend)
    batch = read(table(layers=2), [0, 3])
    assert batch.blocks is not None
    generator = torch.Generator().manual_seed(1)
    draws = [
        {n: torch.randn(p.shape, generator=generator) for n, p in network.named_parameters()}
        for _ in range(3)
    ]
    heard = network.hear_draws(draws, batch.inputs, batch.observed, batch.blocks)
    assert heard.shape == (3, 2, 6)
    for draw, found in zip(draws, heard, strict=True):
        one = torch.func.functional_call(
            network, draw, (batch.inputs, batch.observed, batch.blocks, found)
        )
        other = torch.func.functional_call(
            network, draw, (batch.inputs, batch.observed, batch.blocks)
        )
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    only_fusion = [{n: w for n, w in draw.items() if n.startswith("fusion")} for draw in draws]
    same = network.hear_draws(only_fusion, batch.inputs, batch.observed, batch.blocks)
    assert same.shape == (3, 2, 6)
    assert torch.equal(same[0], same[2])


# ---- a graph a relation

EACH = {"relations": {"director": 0, "writer": 1}, "each": True, "query": ("text",)}


def related(layers: int = 1) -> LinkedFeatures:
    """Return the same items and edges, of known relations."""
    whole = table(layers=layers)
    graph = EntityGraph(4, *GRAPH, ("director", "writer"), np.array([1, 2, 3, 2, 0], np.uint64))
    return LinkedFeatures(whole, whole.nodes, graph, fan_out=[None] * layers)


def test_relations_have_sites_of_their_own():
    network = build(**EACH)
    names = dict(network.named_parameters())
    assert names["gat.director.0.weight"].shape == names["gat.writer.0.weight"].shape == (6, 2)
    assert names["gat.relations.query.weight"].shape == (3, 3)
    assert names["fusion.graph.weight"].shape == (6, 6)
    assert network.relations == {"director": 0, "writer": 1}
    assert build().relations == {}
    biased = build(relations=EACH["relations"], edge_bias=True)
    assert dict(biased.named_parameters())["gat.0.relation_bias"].shape == (2, 2)


def test_what_each_relation_says_enters_the_fusion_as_one_modality():
    network, linked = build(**EACH), related()
    batch = read(linked, [0, 1, 2, 3])
    standardised = network.standardise(batch.inputs, batch.observed)
    whole = AttentionGraph.of(EntityGraph(4, *GRAPH, ("d", "w"), linked.relation_mask))
    heard = network.gat(standardised["image"], whole, standardised["text"])
    seen = torch.cat([batch.observed, torch.ones(4, 1, dtype=torch.bool)], dim=1)
    expected = network.classifier(network.fusion({**standardised, "graph": heard}, seen))
    torch.testing.assert_close(logits(network, linked, [0, 1, 2, 3]), expected)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("rows", [[0], [2, 0], [3, 1], [0, 0, 3]], ids=str)
def test_with_relations_an_item_does_not_depend_on_the_batch(layers, rows):
    network, linked = build(layers, **EACH), related(layers)
    together = logits(network, linked, [0, 1, 2, 3])
    torch.testing.assert_close(logits(network, linked, rows), together[rows])


@pytest.mark.parametrize("parts", ["", "fusion", "gat.writer", "gat.relations"])
def test_draws_of_relations_in_one_call_are_draws_one_by_one(parts):
    network = build(2, **EACH)
    batch = read(related(2), [0, 3, 2])
    draws = [
        {n: torch.randn(p.shape) for n, p in network.named_parameters() if n.startswith(parts)}
        for _ in range(3)
    ]
    reads = (batch.inputs, batch.observed, batch.blocks)
    heard = network.hear_draws(draws, *reads)
    told = network.relation_attention(draws, *reads)
    assert (heard.shape, told.shape) == ((3, 3, 6), (3, 3, 2))
    for draw, found, attention in zip(draws, heard, told, strict=True):
        one = torch.func.functional_call(network, draw, (*reads, found))
        other = torch.func.functional_call(network, draw, reads)
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
        inside = {n.removeprefix("gat."): w for n, w in draw.items() if n.startswith("gat.")}
        again = torch.func.functional_call(
            network.gat, inside, network._reads(network.standardise(*reads[:2]), reads[2])
        )
        torch.testing.assert_close(found, again, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(attention.sum(1), torch.tensor([1.0, 0.0, 1.0]))
        assert attention[2].tolist() == [0.0, 1.0]


def test_attention_is_told_without_dropout_and_training_goes_on():
    network = build(feature_dropout=0.5, attention_dropout=0.5, **EACH).train()
    batch = read(related(), [0, 1])
    reads = (batch.inputs, batch.observed, batch.blocks)
    first = network.relation_attention([{}], *reads)
    assert network.gat.training
    assert torch.equal(first, network.relation_attention([{}], *reads))
    assert not torch.equal(network.hear_draws([{}], *reads), network.hear_draws([{}], *reads))


def test_text_that_is_hidden_asks_as_unseen_text():
    network, batch = build(**EACH), read(related(), [0])
    hidden = torch.tensor([[False, True]])
    moved = {**batch.inputs, "text": batch.inputs["text"] + 9}
    weights = [{n: torch.randn_like(p) for n, p in network.named_parameters()}]
    told = [
        network.relation_attention(weights, inputs, observed, batch.blocks)
        for inputs in (batch.inputs, moved)
        for observed in (hidden, batch.observed)
    ]
    assert torch.equal(told[0], told[2])
    assert not torch.allclose(told[1], told[3], atol=1e-4)


def test_a_union_has_no_attention_over_relations():
    batch = read(table(), [0])
    with pytest.raises(ConfigError, match=r"one graph to it.*graph-relations each"):
        build().relation_attention([{}], batch.inputs, batch.observed, batch.blocks)


def test_the_relations_of_an_edge_may_add_to_its_attention():
    network = build(relations=EACH["relations"], edge_bias=True)
    before = logits(network, related(), [0, 1])
    with torch.no_grad():
        network.gat.layers[0].relation_bias += torch.tensor([[3.0, 0.0]])
    after = logits(network, related(), [0, 1])
    assert not torch.allclose(before[0], after[0], atol=1e-4)
    torch.testing.assert_close(before[1], after[1])  # it has one neighbour


def test_blocks_and_networks_that_do_not_fit():
    linked, plain = table(), FusionNetwork(WIDTHS, 5).eval()
    batch = read(linked, [0])
    with pytest.raises(FeatureError, match=r"come with no graph; the network expects one"):
        build()(batch.inputs, batch.observed)
    with pytest.raises(FeatureError, match=r"come with a graph; the network expects none"):
        plain(batch.inputs, batch.observed, batch.blocks)
    with pytest.raises(FeatureError, match=r"have the modalities image \(2\); expected text \(3\)"):
        logits(build(features=("text",)), linked, [0])
    assert batch.blocks is not None
    blocks = Blocks({}, batch.blocks.observed, batch.blocks.graphs)
    with pytest.raises(FeatureError, match=r"modalities none; expected image \(2\)"):
        build()(batch.inputs, batch.observed, blocks)
    with pytest.raises(ConfigError, match=r"Got 1 blocks for 2 layers"):
        logits(build(2), linked, [0])


def test_settings_that_do_not_fit():
    with pytest.raises(ConfigError, match=r'"imge".*Did you mean "image"'):
        build_gat(GraphSettings(("imge",)), WIDTHS)
    with pytest.raises(
        ConfigError, match=r"modalities for the graph's nodes are text, text; expected at"
    ):
        build_gat(GraphSettings(("text", "text")), WIDTHS)
    with pytest.raises(ConfigError, match=r"modalities for the graph's nodes are none; expected"):
        build_gat(GraphSettings(()), WIDTHS)
    with pytest.raises(ConfigError, match=r'modality "graph".*rename'):
        build_gat(GraphSettings(), {"graph": 3, "image": 2})
    with pytest.raises(ConfigError, match=r"for the graph's query \"txt\".*Did you mean"):
        build_gat(GraphSettings(relations={"a": 0}, each=True, query=("txt",)), WIDTHS)
    with pytest.raises(ConfigError, match=r"for the graph's query are none; expected"):
        build_gat(GraphSettings(relations={"a": 0}, each=True), WIDTHS)
    with pytest.raises(ConfigError, match=r"heads is 0"):
        build_gat(GraphSettings(heads=0), WIDTHS)


def test_who_hears_few_counts_for_less_and_who_hears_nobody_is_unobserved():
    graph = AttentionGraph([0, 2, 3, 3], [1, 2, 0])
    blocks = Blocks({}, torch.zeros(0, 0, dtype=torch.bool), (graph,))
    hears, presence = presence_of(GraphSettings(shrinkage=2.0), blocks)
    assert hears.tolist() == [True, True, False]
    assert presence["graph"].tolist() == [0.5, pytest.approx(1 / 3), 0.0]
    hears, presence = presence_of(GraphSettings(), blocks)
    assert (hears.tolist(), presence) == ([True, True, False], {})
