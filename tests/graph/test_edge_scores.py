from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor
from torch.func import grad, vmap

from bayesfuse.graph import edge_scores, products
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.edge_scores import EdgeScores, EdgeScoresBackward

GRAPH = AttentionGraph([0, 3, 3, 5], [0, 1, 3, 1, 2], 4)


def draw(batch: tuple[int, ...] = ()) -> list[Tensor]:
    """Draw source, target and attention vector."""
    sizes = ((2, 3, 4, 2), (2, 3, 3, 2), (2, 3, 2))
    return [torch.randn(*batch, *size, dtype=torch.float64) for size in sizes]


def run(*tensors: Tensor, slope: float = 0.2) -> Tensor:
    out: Tensor = cast(Any, EdgeScores).apply(*tensors, GRAPH, slope)
    return out


def plain(source: Tensor, target: Tensor, attention: Tensor, slope: float = 0.2) -> Tensor:
    inside = target[:, :, GRAPH.rows] + source[:, :, GRAPH.indices]
    return (torch.where(inside > 0, inside, slope * inside) * attention[:, :, None]).sum(-1)


@pytest.fixture(autouse=True)
def _several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "CHUNK", 4)


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_scores_and_gradients_against_whole_tensors(slope: float) -> None:
    inputs = [tensor.requires_grad_() for tensor in draw()]
    found, expected = run(*inputs, slope=slope), plain(*inputs, slope=slope)
    torch.testing.assert_close(found, expected)
    cotangent = torch.randn_like(found)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, cotangent),
        torch.autograd.grad(expected, inputs, cotangent),
    )
    assert torch.autograd.gradcheck(lambda *tensors: run(*tensors, slope=slope), inputs)


@pytest.mark.parametrize("in_dims", [(0, 0, 0), (None, 0, None), (1, None, 2)])
def test_vmap_is_a_loop_forwards_and_backwards(in_dims: tuple[int | None, ...]) -> None:
    batched, single = draw((5,)), draw()
    inputs = [
        one if dim is None else many.movedim(0, dim)
        for dim, many, one in zip(in_dims, batched, single, strict=True)
    ]
    loop = [
        [one if dim is None else many[k] for dim, many, one in zip(in_dims, batched, single)]  # noqa: B905
        for k in range(5)
    ]
    found = vmap(run, in_dims=in_dims)(*inputs)
    torch.testing.assert_close(found, torch.stack([run(*one) for one in loop]))
    gradient = grad(lambda *tensors: run(*tensors).square().sum(), argnums=(0, 1, 2))
    expected = [torch.stack(parts) for parts in zip(*(gradient(*one) for one in loop))]  # noqa: B905
    torch.testing.assert_close(list(vmap(gradient, in_dims=in_dims)(*inputs)), expected)


def test_features_at_edges_are_never_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    inner = edge_scores._sums

    def watched(*arguments: Any) -> Tensor:
        found = inner(*arguments)
        sizes.append(found.numel())
        return found

    monkeypatch.setattr(edge_scores, "_sums", watched)
    inputs = [tensor.requires_grad_() for tensor in draw()]
    run(*inputs).sum().backward()
    assert max(sizes) <= 4 < GRAPH.num_edges * 2


def test_a_second_derivative_is_refused_rather_than_wrong() -> None:
    inputs = [tensor.requires_grad_() for tensor in draw()]
    (first,) = torch.autograd.grad(run(*inputs).square().sum(), inputs[:1], create_graph=True)
    with pytest.raises(NotImplementedError, match="no second derivative"):
        first.sum().backward()
    with pytest.raises(NotImplementedError):
        EdgeScoresBackward.backward(None)
