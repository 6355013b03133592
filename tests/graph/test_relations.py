"""The rows of one relation: every edge of it, no other, and self-loops by the graph's rule."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesfuse.errors import FeatureError
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.relations import has_relation, num_heard, relation_rows


@pytest.fixture(scope="module")
def people(make_people) -> dict[str, list[list[str]]]:
    return make_people(50, seed=1, num_names=40)


@pytest.mark.parametrize("self_loops", ["isolated", "all", "none"])
def test_the_rows_are_those_of_the_relation_by_itself(people, self_loops):
    graph = EntityGraph.from_people(people, self_loops=self_loops)
    whole = AttentionGraph.of(graph)
    assert len(graph.relation_names) > 1
    for bit, name in enumerate(graph.relation_names):
        found = relation_rows(whole, bit, loop_isolated=self_loops != "none")
        expected = EntityGraph.from_people({name: people[name]}, self_loops=self_loops)
        assert found.indptr.tolist() == expected.indptr.tolist()
        for row in range(graph.num_nodes):
            own = found.indices[found.indptr[row] : found.indptr[row + 1]]
            assert sorted(own.tolist()) == expected.neighbours(row).tolist()
        assert has_relation(whole, bit).tolist() == (expected.degrees() > 0).tolist()


def test_every_edge_is_in_each_of_its_relations():
    both = EntityGraph.from_people({"director": [["A"], ["A"]], "writer": [["B"], ["B"]]})
    whole = AttentionGraph.of(both)
    assert both.relation_mask.tolist() == [3, 3]
    for bit in (0, 1):
        assert relation_rows(whole, bit).indices.tolist() == [1, 0]


def test_rows_of_a_block_have_its_columns_and_its_edge_features():
    features = torch.arange(4.0)[:, None] + 1
    block = AttentionGraph([0, 2, 3, 4], [4, 2, 3, 0], 5, [1, 2, 2, 3], features)
    first, second = relation_rows(block, 0), relation_rows(block, 1)
    assert (first.num_rows, first.num_columns) == (3, 5)
    assert first.indices.tolist() == [4, 1, 0]
    assert first.edge_features.flatten().tolist() == [1.0, 0.0, 4.0]
    assert second.edge_features.flatten().tolist() == [2.0, 3.0, 4.0]
    assert relation_rows(block, 0, loop_isolated=False).indptr.tolist() == [0, 1, 1, 2]
    first._check()


def test_the_64th_relation_is_one_too():
    mask = np.array([1 << 63, 1], dtype=np.uint64)
    graph = AttentionGraph([0, 1, 2], [1, 0], relation_mask=mask.view(np.int64))
    assert has_relation(graph, 63).tolist() == [True, False]
    assert relation_rows(graph, 63).indices.tolist() == [1, 1]


def test_it_is_worked_out_once():
    graph = AttentionGraph([0, 1, 2], [1, 0], relation_mask=[1, 2])
    assert relation_rows(graph, 0) is relation_rows(graph, 0)
    assert relation_rows(graph, 0) is not relation_rows(graph, 0, loop_isolated=False)
    assert has_relation(graph, 1) is has_relation(graph, 1)


def test_without_relations_it_is_refused():
    graph = AttentionGraph([0, 1, 2], [1, 0])
    for asked in (relation_rows, has_relation):
        with pytest.raises(FeatureError, match=r"does not know the relations .* give an Entity"):
            asked(graph, 0)


def test_nodes_heard_by_some_relations_are_counted_once_and_self_loops_too():
    # row 0 hears 1 by both, 2 by the second; row 1 itself; row 2 hears 0 by a third
    graph = AttentionGraph([0, 2, 3, 4], [1, 2, 1, 0], relation_mask=[3, 2, 0, 4])
    assert num_heard(graph, (0, 1)).tolist() == [2, 1, 0]
    assert num_heard(graph, (0,)).tolist() == [1, 1, 0]
    assert num_heard(graph, (2,)).tolist() == [0, 1, 1]
    assert num_heard(graph, ()).tolist() == [0, 1, 0]
