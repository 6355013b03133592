"""Blocks hold what the items hear, whoever else is in the batch; nothing else gets in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats

from bayesfuse.data.batches import Batches
from bayesfuse.data.blocks import Blocks
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.csr import Adjacency
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.linked_features import LinkedFeatures

People = dict[str, list[list[str]]]
NUM_ITEMS = 60


@pytest.fixture(scope="module")
def graph(make_people: Callable[..., People]) -> Adjacency:
    return EntityGraph.from_people(make_people(NUM_ITEMS, seed=3, num_names=60)).adjacency


@pytest.fixture(scope="module")
def items() -> FeatureTable:
    rng = np.random.default_rng(0)
    values = {"text": rng.normal(size=(NUM_ITEMS, 3)), "image": rng.normal(size=(NUM_ITEMS, 2))}
    return FeatureTable.from_arrays(values, {"image": rng.random(NUM_ITEMS) < 0.8})


@pytest.fixture(scope="module")
def linked(items: FeatureTable, graph: Adjacency) -> LinkedFeatures:
    return LinkedFeatures(items, items.select(["image"]), graph)


def mean_of(graph: AttentionGraph, values: torch.Tensor) -> torch.Tensor:
    """Return the mean of what each row of a graph hears."""
    sums = torch.zeros(graph.num_rows, values.shape[1]).index_add(
        0, graph.rows, values[graph.indices]
    )
    return sums / graph.degrees[:, None]


def heard(table: FeatureTable, rows: object) -> torch.Tensor:
    """Return what items hear if every layer takes means."""
    blocks = table.blocks(rows)  # type: ignore[arg-type]
    assert isinstance(blocks, Blocks)
    own = torch.from_numpy(table.batch(rows)[0]["image"])  # type: ignore[arg-type]
    values = torch.cat([own, blocks.inputs["image"]])
    for graph in blocks.graphs:
        values = mean_of(graph, values)
    return values


def plain(items: FeatureTable, graph: Adjacency, layers: int) -> torch.Tensor:
    values = torch.from_numpy(items.batch(slice(None))[0]["image"])
    for _ in range(layers):
        values = mean_of(AttentionGraph.of(graph), values)
    return values


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(
    "rows", [[5], [7, 3, 59, 0], [2, 2, 9, 2], slice(10, 40), slice(None)], ids=str
)
def test_items_hear_what_the_whole_graph_says(items, graph, layers, rows):
    table = LinkedFeatures(items, items.select(["image"]), graph, fan_out=[None] * layers)
    torch.testing.assert_close(heard(table, rows), plain(items, graph, layers)[rows])


def test_the_blocks_fit_each_other_and_the_items_come_first(items, graph):
    table = LinkedFeatures(items, items.select(["image"]), graph, fan_out=[None, None])
    blocks = table.blocks([4, 4, 8])
    first, last = blocks.graphs
    assert (first.num_rows, last.num_rows) == (last.num_columns, 3)
    assert first.num_columns == 3 + len(blocks.observed)
    assert list(blocks.inputs) == ["image"]
    first._check()
    last._check()
    assert last.degrees.tolist() == np.diff(graph.indptr)[[4, 4, 8]].tolist()


def test_what_is_unobserved_of_a_neighbour_is_zero(items, linked):
    blocks = linked.blocks(slice(0, 5))
    assert not bool(blocks.observed.all())
    assert not bool(blocks.inputs["image"][~blocks.observed[:, 0]].any())


def test_an_isolated_item_hears_itself_alone(items):
    alone = EntityGraph.from_people({"director": [["A"], ["B"], ["A"]]}).adjacency
    table = LinkedFeatures(items.take([0, 1, 2]), items.take([0, 1, 2]), alone)
    blocks = table.blocks([1])
    assert blocks.inputs["image"].shape == (0, 2)
    assert blocks.graphs[0].indices.tolist() == [0]


# ---- relations


def masks_of(graph: EntityGraph) -> dict[tuple[int, int], int]:
    pairs = zip(graph.adjacency.rows().tolist(), graph.indices.tolist(), strict=True)
    return dict(zip(pairs, graph.relation_mask.tolist(), strict=True))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("most", [None, 2])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_blocks_know_the_relations_of_their_edges(items, make_people, layers, most, share):
    graph = EntityGraph.from_people(make_people(NUM_ITEMS, seed=3, num_names=60))
    # the first feature of a node is its number, by which it is known again in a block
    numbered = {"image": np.arange(NUM_ITEMS, dtype=np.float32)[:, None]}
    table = FeatureTable.from_arrays(numbered)
    linked = LinkedFeatures(table, table, graph, fan_out=[most] * layers).thinned(share, 0)
    masks, rows = masks_of(graph), np.array([5, 5, 0, 17])
    seen = set()
    for _ in range(NUM_ITEMS):
        blocks = linked.blocks(rows)
        nodes = [*rows.tolist(), *blocks.inputs["image"][:, 0].long().tolist()]
        for block in blocks.graphs:
            pairs = zip(block.rows.tolist(), block.indices.tolist(), strict=True)
            for (row, column), mask in zip(pairs, block.relation_mask.tolist(), strict=True):
                assert mask == masks.get((nodes[row], nodes[column]), 0)
                assert mask or row == column
                seen.add(mask)
    assert {1, 2} <= seen


def test_the_relations_in_which_items_have_neighbours_are_known(items):
    people = {
        "director": [["A"], ["A"], []],
        "writer": [[], ["W"], ["W"]],
        "cook": [["C"], ["D"], []],
    }
    graph, three = EntityGraph.from_people(people), items.take([0, 1, 2])
    table = LinkedFeatures(three, three.select(["image"]), graph)
    assert table.relation_names == ("director", "writer", "cook")
    assert table.heard_relations() == {"director": 0, "writer": 1}
    assert table.take([0]).heard_relations() == {"director": 0}
    assert table.take(np.zeros(0, np.int64)).heard_relations() == {}
    unknown = LinkedFeatures(three, three.select(["image"]), graph.adjacency)
    assert (unknown.relation_names, unknown.heard_relations()) == ((), {})
    assert unknown.blocks([0]).graphs[0].relation_mask is None


def test_batches_carry_blocks_and_labels_of_the_items_only(linked):
    labels = np.eye(NUM_ITEMS, 4, dtype=np.float32)
    batch = Batches(linked, labels).read(np.array([3, 1]))
    assert batch.blocks is not None
    assert batch.labels is not None
    assert batch.labels.shape == (2, 4)
    assert len(batch.observed) == 2
    assert batch.blocks.graphs[-1].num_rows == 2
    plain_batch = Batches(linked.nodes, labels).read(np.array([3, 1]))
    assert plain_batch.blocks is None


def test_no_label_reaches_a_batch(linked):
    labels = np.random.default_rng(0).integers(0, 2, (NUM_ITEMS, 4)).astype(np.float32)
    first, second = (Batches(linked, y).read(slice(0, 9)) for y in (labels, labels[::-1].copy()))
    assert not torch.equal(first.labels, second.labels)
    assert first.blocks is not None
    assert second.blocks is not None
    for name, values in first.inputs.items():
        assert torch.equal(values, second.inputs[name])
    assert torch.equal(first.blocks.inputs["image"], second.blocks.inputs["image"])
    assert torch.equal(first.blocks.graphs[0].indices, second.blocks.graphs[0].indices)


def test_taking_selecting_and_adding_keep_the_nodes(items, graph, linked):
    taken = linked.take([9, 2, 5]).take([2, 0])
    assert isinstance(taken, LinkedFeatures)
    torch.testing.assert_close(heard(taken, slice(None)), plain(items, graph, 1)[[5, 9]])
    selected = linked.select(["image"])
    torch.testing.assert_close(heard(selected, [4]), plain(items, graph, 1)[[4]])
    added = selected.with_modality("year", np.zeros((NUM_ITEMS, 1)))
    assert added.names == ("image", "year")
    torch.testing.assert_close(heard(added, [4]), plain(items, graph, 1)[[4]])
    assert linked.names == ("text", "image")  # not in place
    assert linked.statistics().keys() == items.statistics().keys()


def test_an_item_that_came_later_is_seen_as_it_is_and_heard_by_none(items, graph):
    # a row more, which hears nodes 4 and 7; an item whose own features are those of item 9
    indptr = np.append(graph.indptr, graph.indptr[-1] + 2)
    later = Adjacency(indptr, np.append(graph.indices, [4, 7]))
    table = LinkedFeatures(items.take([9]), items.select(["image"]), later, np.array([NUM_ITEMS]))
    values = plain(items, graph, 0)
    torch.testing.assert_close(heard(table, [0]), values[[4, 7]].mean(0, keepdim=True))


@pytest.mark.parametrize("layers", [1, 2])
def test_a_larger_fan_out_is_nearer_to_all_neighbours_and_at_last_exact(items, graph, layers):
    exact = plain(items, graph, layers)
    nodes = items.select(["image"])
    errors = []
    for most in (1, 2, 8, 10**6):
        tables = [
            LinkedFeatures(items, nodes, graph, fan_out=[most] * layers, seed=seed)
            for seed in range(12)
        ]
        found = torch.stack([heard(table, slice(None)) for table in tables])
        errors.append(float((found - exact).square().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 2 * errors[1]
    assert errors[-1] < 1e-12


def test_a_sampled_table_says_the_same_each_time_and_a_training_table_does_not(items, graph):
    table = LinkedFeatures(items, items.select(["image"]), graph, fan_out=[1], seed=5)
    assert torch.equal(heard(table, slice(None)), heard(table, slice(None)))
    training = table.thinned(0.0, seed=0)
    assert not torch.equal(heard(training, slice(None)), heard(training, slice(None)))
    again = table.thinned(0.0, seed=0)
    assert torch.equal(heard(again, slice(None)), heard(table.thinned(0.0, 0), slice(None)))


# ---- thinning ----


def degrees(table: FeatureTable) -> np.ndarray:
    blocks = table.blocks(slice(None))
    assert blocks is not None
    (block,) = blocks.graphs
    loops = block.indices == block.rows
    return np.bincount(block.rows[~loops].numpy(), minlength=NUM_ITEMS)


def test_without_thinning_training_sees_all_neighbours(linked, graph):
    np.testing.assert_array_equal(degrees(linked.thinned(0.0, seed=0)), graph.degrees())


def test_thinning_leaves_none_few_or_all_at_the_rates_asked_for(linked, graph, failure_rate):
    share, epochs = 0.6, 60
    thinned = linked.thinned(share, seed=1)
    crowded = graph.degrees() >= 8
    assert crowded.sum() > 3
    found = np.stack([degrees(thinned) for _ in range(epochs)])[:, crowded]
    full = np.broadcast_to(graph.degrees()[crowded], found.shape)
    # of 8 neighbours or more, few are not none with probability 0.94, and never all but by a freak
    all_of_them = int((found == full).sum())
    assert stats.binomtest(all_of_them, found.size, 1 - share).pvalue > failure_rate / 2
    assert stats.binomtest(all_of_them, found.size, 1 - share / 2).pvalue < failure_rate
    none = (found == 0).mean()
    assert share / 2 <= none + 0.05
    assert none < share / 2 + 0.15
    assert not np.array_equal(found[0], found[1])


def test_thinning_is_of_an_epoch_and_of_the_seed(linked):
    one, other = (linked.thinned(0.8, seed=2) for _ in range(2))
    whole = degrees(one)
    parts = [other.blocks(slice(i, i + 20)) for i in range(0, NUM_ITEMS, 20)]
    counts = [
        np.bincount(b.graphs[0].rows[b.graphs[0].indices != b.graphs[0].rows].numpy(), minlength=20)
        for b in parts
    ]
    np.testing.assert_array_equal(np.concatenate(counts), whole)
    assert not np.array_equal(degrees(linked.thinned(0.8, seed=3)), whole)
    assert not np.array_equal(degrees(one), whole)  # the next epoch


def test_an_item_that_lost_all_neighbours_hears_itself(linked):
    thinned = linked.thinned(1.0, seed=0)
    blocks = thinned.blocks(slice(None))
    assert blocks is not None
    assert bool((blocks.graphs[0].degrees > 0).all())


def test_the_plain_table_stays_as_it_was(linked, graph):
    linked.thinned(1.0, seed=0).blocks(slice(None))
    np.testing.assert_array_equal(degrees(linked), graph.degrees())


# ---- memory and mistakes ----


def test_numbers_an_item_count_neighbours_of_large_graphs_only(items, graph, monkeypatch):
    small = LinkedFeatures(items, items.select(["image"]), graph)
    assert small.numbers_an_item == items.numbers_an_item == 5
    monkeypatch.setattr("bayesfuse.graph.linked_features.SMALL", 10)
    mean = len(graph.indices) / NUM_ITEMS
    assert small.numbers_an_item == 5 + round(mean * 2)
    sampled = LinkedFeatures(items, items.select(["image"]), graph, fan_out=[2, 3])
    assert sampled.numbers_an_item == 5 + 2 * 3 * 2


def test_parts_that_do_not_fit(items, graph):
    nodes = items.select(["image"])
    other = FeatureTable.from_arrays({"sound": np.zeros((NUM_ITEMS, 2))})
    with pytest.raises(FeatureError, match=r"hear sound of each other; expected .* text, image"):
        LinkedFeatures(items, other, graph)
    with pytest.raises(FeatureError, match=r"rows of 2 items; expected 60"):
        LinkedFeatures(items, nodes, graph, np.array([0, 1]))
    with pytest.raises(FeatureError, match=r"rows from 0 to 60; the graph has 60"):
        LinkedFeatures(items, nodes, graph, np.append(np.arange(NUM_ITEMS - 1), 60))
    with pytest.raises(FeatureError, match=r"hears node 5., but only 50 have features"):
        LinkedFeatures(items, nodes.take(slice(0, 50)), graph)
    with pytest.raises(ConfigError, match="fan-out"):
        LinkedFeatures(items, nodes, graph, fan_out=[0])
    with pytest.raises(ConfigError, match="share of thinned nodes is 2"):
        LinkedFeatures(items, nodes, graph).thinned(2, 0)
