from __future__ import annotations

import pytest
import torch

from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.segments import segment_max, segment_softmax, segment_sum, spread

GRAPH = AttentionGraph([0, 3, 3, 4, 9], [0, 1, 2, 3, 0, 1, 2, 3, 4], 5)
ROWS = [slice(0, 3), slice(3, 3), slice(3, 4), slice(4, 9)]


@pytest.mark.parametrize("shape", [(9,), (9, 3)])
def test_sums_maxima_and_softmax_are_those_of_each_row(shape: tuple[int, ...]) -> None:
    values = torch.randn(shape, dtype=torch.float64)
    sums, tops, parts = (f(values, GRAPH) for f in (segment_sum, segment_max, segment_softmax))
    for i, row in enumerate(ROWS):
        torch.testing.assert_close(sums[i], values[row].sum(0))
        torch.testing.assert_close(parts[row], values[row].softmax(0))
        if i != 1:
            assert torch.equal(tops[i], values[row].amax(0))
    assert bool((tops[1] == -torch.inf).all())
    assert bool((segment_max(values, GRAPH, empty=0.0)[1] == 0).all())


def test_spread_repeats_a_row_for_each_of_its_edges() -> None:
    assert spread(torch.tensor([1.0, 2, 3, 4]), GRAPH).tolist() == [1, 1, 1, 3, 4, 4, 4, 4, 4]


def test_softmax_of_large_logits_does_not_overflow() -> None:
    logits = torch.tensor([1e30, 1e30, -1e30, 88.0, 1e4, 1e4, 1e4, 1e4, 0])
    found = segment_softmax(logits, GRAPH)
    assert found.tolist() == [0.5, 0.5, 0, 1, 0.25, 0.25, 0.25, 0.25, 0]


def test_edges_of_minus_infinity_do_not_count() -> None:
    logits = torch.zeros(9)
    logits[:3] = logits[4] = -torch.inf
    found = segment_softmax(logits, GRAPH)
    assert found.tolist() == [0, 0, 0, 1, 0, 0.25, 0.25, 0.25, 0.25]


def test_nan_is_not_hidden() -> None:
    logits = torch.zeros(9)
    logits[5] = torch.nan
    found = segment_softmax(logits, GRAPH)
    assert bool(found[4:].isnan().all())
    assert not found[:4].isnan().any()


@pytest.mark.parametrize("shape", [(9,), (9, 2)])
def test_gradients(shape: tuple[int, ...]) -> None:
    values = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    for function in (segment_sum, segment_softmax):
        assert torch.autograd.gradcheck(lambda v, f=function: f(v, GRAPH), values)


def test_no_edges() -> None:
    graph = AttentionGraph([0, 0, 0], [])
    assert segment_sum(torch.ones(0), graph).tolist() == [0, 0]
    assert segment_softmax(torch.ones(0, 3), graph).shape == (0, 3)
