"""Modalities hidden, and neighbours: of the items asked for, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import FeatureError
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.hiding import hide, hideable
from bayesfuse.graph.linked_features import LinkedFeatures

PEOPLE = {"director": [["A"], ["A"], ["B"], ["B"]], "writer": [["C"], [], ["C"], []]}


def make(self_loops: str = "none") -> LinkedFeatures:
    values = {"text": np.arange(8.0).reshape(4, 2), "image": np.ones((4, 3))}
    items = FeatureTable.from_arrays(values, {"image": [True, True, False, True]})
    graph = EntityGraph.from_people(PEOPLE, self_loops=self_loops)
    return LinkedFeatures(items, items.select(("image",)), graph)


def test_a_hidden_modality_is_unobserved_and_the_others_stay():
    table = make()
    found = hide(table, ["text"])
    assert isinstance(found, LinkedFeatures)
    assert not found.observed[:, 0].any()
    assert np.array_equal(found.observed[:, 1], table.observed[:, 1])
    assert not found.batch([1])[0]["text"].any()
    assert table.observed[:, 0].all()
    assert found.blocks([0]).graphs[0].num_edges == 2  # it hears as before


@pytest.mark.parametrize(("self_loops", "edges"), [("none", 0), ("isolated", 2), ("all", 2)])
def test_without_the_graph_items_are_as_isolated_ones(self_loops, edges):
    found = hide(make(self_loops), ["graph"]).take([2, 0])
    block = found.blocks(slice(None)).graphs[0]
    assert block.num_edges == edges
    assert block.indices.tolist() == [0, 1][:edges]
    assert not block.relation_mask.any()
    assert found.observed.tolist() == make().take([2, 0]).observed.tolist()


def test_names():
    assert hideable(make()) == ("text", "image", "graph")
    plain = FeatureTable.from_arrays({"text": [[1.0]]})
    assert hideable(plain) == ("text",)
    with pytest.raises(FeatureError, match=r'"grap"'):
        hide(make(), ["text", "grap"])
    with pytest.raises(FeatureError, match=r'"graph"; expected one of text'):
        hide(plain, ["graph"])
