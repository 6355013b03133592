from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor
from torch.func import grad, vmap

from bayesfuse.graph import batching
from bayesfuse.graph.attention_function import Attention, AttentionBackward, Settings
from bayesfuse.graph.attention_graph import AttentionGraph

GRAPH = AttentionGraph([0, 3, 3, 5], [0, 1, 3, 1, 2], 4)


def draw(draws: int = 2, heads: int = 3, batch: tuple[int, ...] = ()) -> list[Tensor]:
    """Draw values, both scores and a bias."""
    sizes = ((4, 2), (4,), (3,), (5,))
    return [torch.randn(*batch, draws, heads, *size, dtype=torch.float64) for size in sizes]


def run(*tensors: Tensor | None, settings: Settings | None = None) -> Tensor:
    out: Tensor = cast(Any, Attention).apply(*tensors, None, settings or Settings(GRAPH))[0]
    return out


def test_gradients_by_finite_differences() -> None:
    inputs = [tensor.requires_grad_() for tensor in draw()]
    assert torch.autograd.gradcheck(run, inputs)


@pytest.mark.parametrize("edges_at_once", [0, 20, 10**6])
@pytest.mark.parametrize("memory_budget", [0, 2000, 10**9])
def test_what_runs_together_changes_nothing(
    edges_at_once: int, memory_budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [tensor.requires_grad_() for tensor in draw(draws=3, heads=5)]
    monkeypatch.setattr(batching, "EDGES_AT_ONCE", 0)
    expected = run(*inputs, settings=Settings(GRAPH, memory_budget=0))
    cotangent = torch.randn_like(expected)
    gradients = torch.autograd.grad(expected, inputs, cotangent)
    monkeypatch.setattr(batching, "EDGES_AT_ONCE", edges_at_once)
    found = run(*inputs, settings=Settings(GRAPH, memory_budget=memory_budget))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, inputs, cotangent), gradients)


@pytest.mark.parametrize("in_dims", [(0, 0, 0, 0), (0, None, 0, None), (None, 1, None, 2)])
def test_vmap_is_a_loop_forwards_and_backwards(in_dims: tuple[int | None, ...]) -> None:
    batched, single = draw(batch=(6,)), draw()
    inputs = [
        one if dim is None else many.movedim(0, dim)
        for dim, many, one in zip(in_dims, batched, single, strict=True)
    ]

    def at(number: int) -> list[Tensor]:
        picked = zip(in_dims, batched, single, strict=True)
        return [one if dim is None else many[number] for dim, many, one in picked]

    torch.testing.assert_close(
        vmap(run, in_dims=in_dims)(*inputs), torch.stack([run(*at(k)) for k in range(6)])
    )
    gradient = grad(lambda *tensors: run(*tensors).square().sum(), argnums=(0, 1, 2, 3))
    found = vmap(gradient, in_dims=in_dims)(*inputs)
    expected = [torch.stack(parts) for parts in zip(*(gradient(*at(k)) for k in range(6)))]  # noqa: B905
    torch.testing.assert_close(list(found), expected)


def test_gradients_through_vmap_reach_what_the_batch_shares() -> None:
    values, *others = draw()
    batch = torch.randn(6, *values.shape, dtype=torch.float64)
    others[0].requires_grad_()
    vmap(lambda v: run(v, *others))(batch).square().sum().backward()
    found, others[0].grad = others[0].grad, None
    sum(run(v, *others).square().sum() for v in batch).backward()  # type: ignore[union-attr]
    torch.testing.assert_close(found, others[0].grad)


def test_batches_of_batches() -> None:
    inputs = draw(batch=(2, 3))
    found = vmap(vmap(run))(*inputs)
    expected = torch.stack(
        [torch.stack([run(*(t[i, j] for t in inputs)) for j in range(3)]) for i in range(2)]
    )
    torch.testing.assert_close(found, expected)


def test_only_what_needs_a_gradient_gets_one() -> None:
    inputs = draw()
    inputs[1].requires_grad_()
    run(*inputs).sum().backward()
    assert inputs[1].grad is not None
    assert [tensor.grad for tensor in (inputs[0], inputs[2], inputs[3])] == [None] * 3


def test_a_second_derivative_is_refused_rather_than_wrong() -> None:
    inputs = [tensor.requires_grad_() for tensor in draw()]
    (first,) = torch.autograd.grad(run(*inputs).square().sum(), inputs[:1], create_graph=True)
    with pytest.raises(NotImplementedError, match="no second derivative"):
        first.sum().backward()
    with pytest.raises(NotImplementedError):
        AttentionBackward.backward(None)


def test_memory_does_not_grow_with_edges_times_heads() -> None:
    graph = AttentionGraph([0, 5000], torch.zeros(5000, dtype=torch.int64), 1)
    values = torch.randn(1, 50, 1, 1, requires_grad=True)
    saved: list[int] = []
    scores = torch.randn(1, 50, 1)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()), lambda _: _):
        cast(Any, Attention).apply(values, scores, scores, None, None, Settings(graph))
    assert 0 < max(saved) <= 50
