"""Attention to neighbours under draws: each layer's own, and over relations, 1 in all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from bayesfuse.data.blocks import Blocks
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import FeatureError
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.models.explaining import neighbour_attention
from bayesfuse.models.graph_branch import GraphSettings
from bayesfuse.models.network import FusionNetwork

NUM_ITEMS = 30


@pytest.fixture(scope="module")
def table() -> LinkedFeatures:
    rng = np.random.default_rng(0)
    people = {
        "director": [[f"d{rng.integers(8)}"] if i % 5 else [] for i in range(NUM_ITEMS)],
        "writer": [[f"w{rng.integers(8)}"] if i % 3 else [] for i in range(NUM_ITEMS)],
    }
    items = FeatureTable.from_arrays(
        {"text": rng.normal(size=(NUM_ITEMS, 4)), "image": rng.normal(size=(NUM_ITEMS, 3))}
    )
    return LinkedFeatures(items, items.select(("image",)), EntityGraph.from_people(people))


def make_network(table: LinkedFeatures, **changes: object) -> FusionNetwork:
    torch.manual_seed(0)
    settings = GraphSettings(**{"features": ("image",), "heads": 2, "width": 3, **changes})
    network = FusionNetwork({"text": 4, "image": 3}, 2, hidden=5, graph=settings)
    for parameter in network.gat.parameters():
        torch.nn.init.normal_(parameter)
    return network.eval()


def read(table: LinkedFeatures) -> tuple[dict[str, Tensor], Tensor, Blocks]:
    values, observed = table.batch(slice(None))
    inputs = {name: torch.from_numpy(array) for name, array in values.items()}
    return inputs, torch.from_numpy(observed), table.blocks(slice(None))


def draws(network: FusionNetwork, count: int) -> list[dict[str, Tensor]]:
    own = {n: p.detach() for n, p in network.named_parameters() if n.startswith("gat.")}
    return [{n: p + 0.3 * torch.randn_like(p) for n, p in own.items()} for _ in range(count)]


def sums(found: Tensor, blocks: Blocks) -> Tensor:
    rows = blocks.graphs[-1].rows
    return torch.zeros(len(found), NUM_ITEMS).index_add_(1, rows, found)


def test_a_draw_is_the_layers_own_attention_mean_over_heads(table):
    network = make_network(table)
    inputs, observed, blocks = read(table)
    weights = draws(network, 3)
    found = neighbour_attention(network, weights, inputs, observed, blocks)
    assert found.shape == (3, blocks.graphs[-1].num_edges)
    nodes, graphs = network.reads(inputs, observed, blocks)
    for attention, draw in zip(found, weights, strict=True):
        inside = {n.removeprefix("gat."): w for n, w in draw.items()}
        expected = network.gat.attention(nodes, graphs, inside)[-1].mean(dim=1)
        torch.testing.assert_close(attention, expected)
    assert not torch.equal(found[0], found[1])
    torch.testing.assert_close(sums(found, blocks), torch.ones(3, NUM_ITEMS))


def relational(table: LinkedFeatures, **changes: object) -> FusionNetwork:
    relations = table.heard_relations()
    return make_network(table, each=True, relations=relations, query=("text",), **changes)


def test_over_relations_it_is_their_attention_times_that_in_each(table):
    network = relational(table)
    inputs, observed, blocks = read(table)
    weights = draws(network, 2)
    found = neighbour_attention(network, weights, inputs, observed, blocks)
    torch.testing.assert_close(sums(found, blocks), torch.ones(2, NUM_ITEMS))
    share = network.relation_attention(weights, inputs, observed, blocks)
    last = blocks.graphs[-1]
    # an edge of one relation alone, of an item whose edges are all of one relation each
    for relation in range(2):
        only = last.relation_mask == 1 << relation
        total = torch.zeros(2, NUM_ITEMS).index_add_(1, last.rows[only], found[:, only])
        both = torch.zeros(NUM_ITEMS).index_add_(0, last.rows, (last.relation_mask == 3).float())
        plain = both == 0
        assert plain.sum() > 10
        alone = torch.zeros(NUM_ITEMS).index_add_(0, last.rows, (last.relation_mask == 0).float())
        heard = plain & (alone == 0)
        torch.testing.assert_close(total[:, heard], share[:, heard, relation])


def test_two_layers_and_no_random_weights(table):
    for network in (make_network(table, layers=2), relational(table, layers=2)):
        linked = LinkedFeatures(
            table, table.nodes, EntityGraph.from_people(PEOPLE), fan_out=(None, None)
        )
        inputs, observed, blocks = read(linked)
        found = neighbour_attention(network, [{}], inputs, observed, blocks)
        torch.testing.assert_close(sums(found, blocks), torch.ones(1, NUM_ITEMS))


PEOPLE = {"director": [[f"d{i % 7}"] for i in range(NUM_ITEMS)], "writer": [["w"]] * NUM_ITEMS}


def test_a_network_without_a_graph_is_refused(table):
    network = FusionNetwork({"text": 4, "image": 3}, 2, hidden=5)
    with pytest.raises(FeatureError, match=r"come with a graph; the network expects none"):
        neighbour_attention(network, [{}], *read(table))
