from __future__ import annotations

from itertools import product

import pytest
import torch

from bayesfuse.graph import batching
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.batching import fold, full_precision, group_size, groups, unfold

GRAPH = AttentionGraph([0, 10], range(10), 10)
A_HEAD = 4 * (6 * 10 + 2 * 11 * 3) + 1  # bytes, by the docstring of `groups`


@pytest.mark.parametrize(
    ("draws", "heads", "budget", "largest"),
    [
        (1, 1, 10**9, 1),
        (1, 4, 10**9, 4),
        (64, 4, 10**9, 256),
        (64, 4, 40 * A_HEAD, 40),
        (7, 4, 9 * A_HEAD, 8),  # whole draws only
        (3, 4, 3 * A_HEAD, 2),  # parts of one draw, as large as each other
        (3, 4, 0, 1),  # one in any case
        (0, 4, 10**9, 0),
    ],
)
def test_groups_cover_every_head_of_every_draw_once_within_the_budget(
    draws: int, heads: int, budget: int, largest: int
) -> None:
    found = list(groups(GRAPH, draws, heads, 3, 4, budget))
    covered = [
        pair for group in found for pair in product(range(draws)[group[0]], range(heads)[group[1]])
    ]
    assert covered == list(product(range(draws), range(heads)))
    assert max(map(group_size, found), default=0) == largest
    assert max(map(group_size, found), default=0) * A_HEAD <= max(budget, A_HEAD)


def test_no_more_run_together_than_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "EDGES_AT_ONCE", 3 * (10 + 11))
    assert max(map(group_size, groups(GRAPH, 8, 2, 3, 4, 10**9))) == 2


def test_folding_and_unfolding_a_batch() -> None:
    batched, shared = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 4)  # the batch is the third
    folded = fold(5, (2, None, None), (batched, shared, None))
    assert folded[2] is None
    assert folded[0] is not None
    assert folded[1] is not None
    assert folded[0].shape == (10, 3, 4)
    assert torch.equal(folded[0][2 * 3 + 1], batched[1, :, 3])
    assert torch.equal(folded[1].view(5, 2, 3, 4), shared.expand(5, 2, 3, 4))
    (back,), dims = unfold(5, [folded[0]])
    assert dims == (0,)
    assert torch.equal(back, batched.movedim(2, 0))


def test_sharing_a_tensor_over_a_batch_copies_nothing() -> None:
    shared = torch.randn(1, 3, 4)  # one draw, as the operator has it outside vmap
    (folded,) = fold(5, (None,), (shared,))
    assert folded is not None
    assert folded.data_ptr() == shared.data_ptr()


def test_full_precision_under_autocast() -> None:
    ones = torch.ones(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert (ones @ ones).dtype is torch.bfloat16
        with full_precision(ones.device):
            assert (ones @ ones).dtype is torch.float32
    with full_precision(torch.device("meta")):  # no autocast there, and no complaint
        assert (ones @ ones).dtype is torch.float32
