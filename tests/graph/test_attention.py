from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.func import vmap

from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.graph.attention import (
    gat_attention,
    gat_weights,
    gatv2_attention,
    gatv2_weights,
)
from bayesfuse.graph.attention_graph import AttentionGraph

HEADS, FEATURES = 3, 4


def of_dense(dense: Tensor) -> AttentionGraph:
    indptr = torch.cat([torch.zeros(1, dtype=torch.long), dense.sum(1).cumsum(0)])
    return AttentionGraph(indptr, dense.nonzero()[:, 1], dense.shape[1])


def hub() -> Tensor:
    """One node that listens to all and that all listen to."""
    found = torch.eye(30, dtype=torch.bool)
    found[7] = found[:, 7] = True
    return found


SHAPES: dict[str, Callable[[], Tensor]] = {
    "square": lambda: torch.rand(8, 8) < 0.4,
    "block": lambda: torch.rand(5, 9) < 0.4,
    "rows without edges": lambda: (torch.rand(8, 8) < 0.4) & (torch.arange(8) % 3 > 0)[:, None],
    "no edges": lambda: torch.zeros(4, 4, dtype=torch.bool),
    "no nodes": lambda: torch.zeros(0, 0, dtype=torch.bool),
    "one node": lambda: torch.ones(1, 1, dtype=torch.bool),
    "one node alone": lambda: torch.zeros(1, 1, dtype=torch.bool),
    "hub": hub,
}


@pytest.fixture(params=list(SHAPES))
def dense(request: pytest.FixtureRequest) -> Tensor:
    """Who listens to whom, rows x columns."""
    return SHAPES[request.param]()


def draw_gat(dense: Tensor, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    rows, columns = dense.shape
    sizes = ((columns, HEADS, FEATURES), (columns, HEADS), (rows, HEADS), (int(dense.sum()), HEADS))
    return [torch.randn(size, dtype=dtype, requires_grad=True) for size in sizes]


def draw_gatv2(dense: Tensor, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    rows, columns = dense.shape
    wide = (HEADS, FEATURES)
    sizes = ((columns, *wide), (rows, *wide), wide, (int(dense.sum()), HEADS))
    return [torch.randn(size, dtype=dtype, requires_grad=True) for size in sizes]


def gat(graph: AttentionGraph, *tensors: Tensor, **options: float) -> Tensor:
    return gat_attention(*tensors[:3], graph, edge_bias=tensors[3], **options)  # type: ignore[arg-type]


def gatv2(graph: AttentionGraph, *tensors: Tensor, **options: float) -> Tensor:
    return gatv2_attention(*tensors[:3], graph, edge_bias=tensors[3], **options)  # type: ignore[arg-type]


def dense_bias(dense: Tensor, bias: Tensor) -> Tensor:
    zeros = torch.zeros(*dense.shape, bias.shape[1], dtype=bias.dtype)
    return zeros.index_put(tuple(dense.nonzero().t()), bias)


def dense_hear(dense: Tensor, values: Tensor, logits: Tensor) -> Tensor:
    """Attend with whole matrices `rows x columns x heads`."""
    powers = logits.masked_fill(~dense[..., None], -torch.inf).exp()
    total = powers.sum(1, keepdim=True)
    weights = powers / torch.where(total > 0, total, 1)
    return torch.einsum("ijh,jhf->ihf", weights, values)


def dense_gat(
    dense: Tensor, values: Tensor, source: Tensor, target: Tensor, bias: Tensor
) -> Tensor:
    logits = target[:, None] + source[None] + dense_bias(dense, bias)
    return dense_hear(dense, values, torch.where(logits > 0, logits, 0.2 * logits))


def dense_gatv2(
    dense: Tensor, source: Tensor, target: Tensor, vector: Tensor, bias: Tensor
) -> Tensor:
    inside = target[:, None] + source[None]
    logits = (torch.where(inside > 0, inside, 0.2 * inside) * vector).sum(-1)
    return dense_hear(dense, source, logits + dense_bias(dense, bias))


KINDS = {"v1": (draw_gat, gat, dense_gat), "v2": (draw_gatv2, gatv2, dense_gatv2)}


@pytest.mark.parametrize("version", KINDS)
def test_values_and_gradients_are_those_of_whole_matrices(dense: Tensor, version: str) -> None:
    draw, sparse, whole = KINDS[version]
    inputs = draw(dense)
    found, expected = sparse(of_dense(dense), *inputs), whole(dense, *inputs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert not found[dense.sum(1) == 0].any()
    cotangent = torch.randn_like(found)
    gradients = (torch.autograd.grad(o, inputs, cotangent) for o in (found, expected))
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


@pytest.mark.parametrize("version", KINDS)
def test_single_precision_agrees_with_double(dense: Tensor, version: str) -> None:
    draw, sparse, whole = KINDS[version]
    inputs = draw(dense, torch.float32)
    found = sparse(of_dense(dense), *inputs)
    assert found.dtype is torch.float32
    doubles = [tensor.detach().double().requires_grad_() for tensor in inputs]
    expected = whole(dense, *doubles)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    cotangent = torch.randn_like(found)
    ours = torch.autograd.grad(found, inputs, cotangent)
    theirs = torch.autograd.grad(expected, doubles, cotangent.double())
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("version", KINDS)
@pytest.mark.parametrize("shape", ["block", "rows without edges", "no edges", "one node"])
def test_gradients_by_finite_differences(shape: str, version: str) -> None:
    dense = SHAPES[shape]()
    draw, sparse, _ = KINDS[version]
    graph = of_dense(dense)
    assert torch.autograd.gradcheck(lambda *tensors: sparse(graph, *tensors), draw(dense))


def test_gradients_of_a_hub_by_finite_differences() -> None:
    dense = hub()[:, :12][:12]
    graph = of_dense(dense)
    assert torch.autograd.gradcheck(lambda *tensors: gat(graph, *tensors), draw_gat(dense))


@pytest.mark.parametrize("version", KINDS)
@pytest.mark.parametrize("memory_budget", [0, 10**9])
def test_draws_in_one_call_are_a_loop_over_draws(version: str, memory_budget: int) -> None:
    dense = SHAPES["block"]()
    draw, sparse, _ = KINDS[version]
    graph, inputs = of_dense(dense), draw(dense)
    first = torch.randn(6, *inputs[0].shape, dtype=torch.float64)
    third = torch.randn(6, *inputs[2].shape, dtype=torch.float64)
    expected = torch.stack(
        [sparse(graph, a, inputs[1], b, inputs[3]) for a, b in zip(first, third, strict=True)]
    )
    found = sparse(graph, first, inputs[1], third, inputs[3], memory_budget=memory_budget)
    torch.testing.assert_close(found, expected)
    batched = vmap(lambda a, b: sparse(graph, a, inputs[1], b, inputs[3]))(first, third)
    torch.testing.assert_close(batched, expected)
    assert not torch.equal(found[0], found[1])


def test_draws_of_any_tensor_alone() -> None:
    dense = SHAPES["square"]()
    graph, inputs = of_dense(dense), draw_gat(dense)
    for number in range(4):
        many = torch.randn(3, *inputs[number].shape, dtype=torch.float64)
        found = gat(graph, *inputs[:number], many, *inputs[number + 1 :])
        expected = [gat(graph, *inputs[:number], one, *inputs[number + 1 :]) for one in many]
        torch.testing.assert_close(found, torch.stack(expected))


@pytest.mark.parametrize("version", KINDS)
def test_the_attention_itself_explains_the_output(dense: Tensor, version: str) -> None:
    draw, sparse, _ = KINDS[version]
    graph, inputs = of_dense(dense), draw(dense)
    weigh = {
        "v1": lambda _, *tensors: gat_weights(*tensors[:2], graph, edge_bias=tensors[2]),
        "v2": lambda *tensors: gatv2_weights(*tensors[:3], graph, edge_bias=tensors[3]),
    }[version]
    weights = weigh(*inputs)
    assert weights.shape == (graph.num_edges, HEADS)
    messages = weights[..., None] * inputs[0][graph.indices]
    heard = torch.zeros(graph.num_rows, HEADS, FEATURES, dtype=torch.float64)
    torch.testing.assert_close(
        heard.index_add(0, graph.rows, messages), sparse(graph, *inputs), rtol=0, atol=1e-12
    )
    many = [torch.stack([tensor, 2 * tensor]) for tensor in inputs]
    both = torch.stack([weights, weigh(*(2 * tensor for tensor in inputs))])
    torch.testing.assert_close(weigh(*many), both)


@pytest.mark.parametrize("version", KINDS)
def test_a_given_mask_drops_attention_and_scales_the_rest(version: str) -> None:
    dense = SHAPES["block"]()
    draw, sparse, _ = KINDS[version]
    graph, inputs = of_dense(dense), draw(dense)
    keep = torch.rand(graph.num_edges, HEADS) < 0.6
    found = sparse(graph, *inputs, keep=keep, dropout=0.4)  # type: ignore[arg-type]
    weights = (
        gat_weights(*inputs[1:3], graph, edge_bias=inputs[3])
        if version == "v1"
        else gatv2_weights(*inputs[:3], graph, edge_bias=inputs[3])
    )
    messages = (weights * keep / 0.6)[..., None] * inputs[0][graph.indices]
    expected = torch.zeros_like(found).index_add(0, graph.rows, messages)
    torch.testing.assert_close(found, expected)
    cotangent = torch.randn_like(found)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, cotangent, retain_graph=True),
        torch.autograd.grad(expected, inputs, cotangent),
    )
    assert not torch.equal(found, sparse(graph, *inputs))


def test_dropout_drops_at_its_rate_and_keeps_the_mean(failure_rate: float) -> None:
    # every row hears one node that says 1, so a row's output is its mask / (1 - dropout)
    graph = AttentionGraph(range(20_001), torch.zeros(20_000, dtype=torch.long), 1)
    ones, scores = torch.ones(1, 1, 1), torch.zeros(1, 1)
    out = gat_attention(ones, scores, torch.zeros(20_000, 1), graph, dropout=0.3).flatten()
    assert sorted(set(out.tolist())) == pytest.approx([0, 1 / 0.7])
    kept = int((out > 0).sum())
    assert stats.binomtest(kept, 20_000, 0.7).pvalue > failure_rate
    assert stats.binomtest(kept, 20_000, 0.68).pvalue < failure_rate


def test_each_draw_of_vmap_drops_its_own() -> None:
    graph = AttentionGraph(range(501), torch.zeros(500, dtype=torch.long), 1)
    scores, targets = torch.zeros(1, 1), torch.zeros(500, 1)

    def run(values: Tensor) -> Tensor:
        return gat_attention(values, scores, targets, graph, dropout=0.5)

    out = vmap(run, randomness="different")(torch.ones(2, 1, 1, 1))
    assert not torch.equal(out[0], out[1])
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(run)(torch.ones(2, 1, 1, 1))


def test_large_scores_do_not_overflow() -> None:
    graph = AttentionGraph([0, 2, 4], [0, 1, 0, 1])
    values = torch.tensor([1.0, 3.0]).reshape(2, 1, 1).requires_grad_()
    source = torch.tensor([[1e4], [1e4]], requires_grad=True)
    target = torch.tensor([[1e4], [-1e6]], requires_grad=True)
    out = gat_attention(values, source, target, graph)
    assert out.flatten().tolist() == [2.0, 2.0]
    out.sum().backward()
    for tensor in (values, source, target):
        assert tensor.grad is not None
        assert bool(tensor.grad.isfinite().all())


def test_half_precision_is_summed_in_single() -> None:
    dense = SHAPES["square"]()
    graph, inputs = of_dense(dense), draw_gat(dense, torch.bfloat16)
    found = gat(graph, *inputs)
    assert found.dtype is torch.bfloat16
    full = gat(graph, *(tensor.detach().float() for tensor in inputs))
    assert torch.equal(found, full.bfloat16())
    found.float().sum().backward()
    assert inputs[0].grad is not None
    assert inputs[0].grad.dtype is torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        again = gat(graph, *(tensor.detach().float() for tensor in inputs))
    assert again.dtype is torch.float32
    assert torch.equal(again, full)


def test_a_graph_of_nobody_hears_nothing_and_nan_is_not_hidden() -> None:
    graph = AttentionGraph([0, 1, 1, 2], [0, 2])
    values = torch.tensor([torch.nan, 1.0, 2.0]).reshape(3, 1, 1)
    scores = torch.zeros(3, 1)
    out = gat_attention(values, scores, scores, graph).flatten()
    assert math.isnan(out[0])
    assert out[1:].tolist() == [0, 2]


GRAPH = AttentionGraph([0, 1, 2], [1, 0])


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"values": torch.ones(3, 1, 2)}, FeatureError, r"\(3, 1, 2\); expected 2 nodes x heads"),
        ({"values": torch.ones(2, 2)}, FeatureError, "expected 2 nodes x heads x features"),
        ({"source_score": torch.ones(2, 2)}, FeatureError, "source_score has shape.*2 x 1"),
        ({"target_score": torch.ones(1, 1)}, FeatureError, "target_score has shape"),
        ({"edge_bias": torch.ones(3, 1)}, FeatureError, "edge_bias has shape"),
        ({"keep": torch.ones(2, 1)}, FeatureError, "expected torch.bool"),
        ({"dropout": 1.0}, ConfigError, "dropout is 1.0"),
        ({"negative_slope": -0.1}, ConfigError, r"negative_slope is -0.1"),
        ({"source_score": torch.ones(2, 1, device="meta")}, FeatureError, "on meta and the graph"),
        (
            {"values": torch.ones(2, 2, 1, 2), "target_score": torch.ones(3, 2, 1)},
            FeatureError,
            "of 2 and of 3 draws",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    changed: dict[str, Tensor], error: type[Exception], message: str
) -> None:
    arguments = {
        "values": torch.ones(2, 1, 2),
        "source_score": torch.ones(2, 1),
        "target_score": torch.ones(2, 1),
    }
    with pytest.raises(error, match=message):
        gat_attention(**(arguments | changed), graph=GRAPH)  # type: ignore[arg-type]
