"""Speed and memory of graph attention, against what they must reach.

make bench
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from compare_attention import LIBRARIES, apart
from graph_setting import FEATURES, HEADS, WIDTH, LayerBench, make_graph
from torch import Tensor
from torch.func import functional_call

from bayesfuse.models.graph_attention import GraphAttention

LEAD = {"dgl": 2.5, "pyg": 4.0}
"""How many times as long as ours another library's layer must take."""


@pytest.mark.benchmark(group="graph attention, forwards and backwards")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_step(benchmark: Any, version: str) -> None:
    bench = LayerBench("ours", version)
    benchmark.pedantic(bench.step, rounds=7, warmup_rounds=2)


@pytest.mark.skipif(len(LIBRARIES) < 3, reason="needs DGL and PyG")
@pytest.mark.benchmark(group="graph attention beside others, interleaved")
def test_lead(benchmark: Any) -> None:
    times = benchmark.pedantic(apart, args=("times", "v1", 5), rounds=1)
    ratios = {name: min(times[name]) / min(times["ours"]) for name in LEAD}
    benchmark.extra_info.update(ratios)
    for name, lead in LEAD.items():
        assert ratios[name] >= lead, f"{name} takes {ratios[name]:.2f} times as long as ours"


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.benchmark(group="graph attention, peak memory")
def test_memory(benchmark: Any, version: str) -> None:
    megabytes = benchmark.pedantic(apart, args=("ours", version), rounds=1)
    benchmark.extra_info["megabytes"] = megabytes
    assert megabytes < 1000


@pytest.mark.benchmark(group="graph attention, 64 draws on 500 nodes")
@pytest.mark.parametrize("how", ["one call", "a loop"])
def test_draws(benchmark: Any, how: str) -> None:
    graph = make_graph(500, 5000)
    torch.manual_seed(0)
    layer = GraphAttention(FEATURES, heads=HEADS, width=WIDTH)
    features = torch.randn(graph.num_columns, FEATURES)
    weights = {n: p.detach() + torch.randn(64, *p.shape) for n, p in layer.named_parameters()}

    def loop() -> Tensor:
        draws = [{name: draws[k] for name, draws in weights.items()} for k in range(64)]
        return torch.stack([functional_call(layer, draw, (features, graph)) for draw in draws])

    def one_call() -> Tensor:
        return layer.forward_draws(weights, features, graph)

    with torch.no_grad():
        torch.testing.assert_close(one_call(), loop(), rtol=1e-4, atol=1e-4)
        benchmark.pedantic(one_call if how == "one call" else loop, rounds=15, warmup_rounds=2)
