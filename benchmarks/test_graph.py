"""Time and memory of building the entity graph, against what it must reach.

make bench
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from graphs import draw_people

from bayesfuse.graph.csr import Adjacency
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.sampling import NeighbourSampler
from bayesfuse.graph.thinning import thin

PROGRAM = Path(__file__).with_name("graphs.py")


def build_apart(num_items: int, mean_degree: float) -> dict[str, float]:
    """Build a graph in a process of its own, so that the peak memory is its own."""
    arguments = [sys.executable, str(PROGRAM), str(num_items), str(mean_degree)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    print(", ".join(f"{name} {value:,.4g}" for name, value in found.items()))
    return found


@pytest.mark.benchmark(group="graph of 25,000 items, mean degree 59")
def test_graph_of_25_000_items(benchmark: Any) -> None:
    people = draw_people(25_000, 59)
    graph = benchmark.pedantic(EntityGraph.from_people, args=(people,), rounds=5, warmup_rounds=1)
    assert 50 < graph.degrees().mean() < 70
    assert benchmark.stats["median"] < 3


@pytest.mark.benchmark(group="graph of 1,000,000 items, mean degree 20")
def test_graph_of_1_000_000_items(benchmark: Any) -> None:
    found = benchmark.pedantic(build_apart, args=(1_000_000, 20), rounds=1)
    benchmark.extra_info.update(found)
    assert 18 < found["mean_degree"] < 22
    assert found["seconds"] < 120
    assert found["peak_gib"] < 6  # the lists of names included


@pytest.fixture(scope="module")
def graph() -> Adjacency:
    return EntityGraph.from_people(draw_people(25_000, 59)).adjacency


@pytest.mark.benchmark(group="neighbours of 25,000 items")
def test_thinning(benchmark: Any, graph: Adjacency) -> None:
    benchmark.pedantic(thin, args=(graph, 0), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="neighbours of 25,000 items")
@pytest.mark.parametrize("fan_out", [(10, 10), (None, None)], ids=["10-10", "all"])
def test_sampling_512_items(benchmark: Any, graph: Adjacency, fan_out: tuple[int | None]) -> None:
    sampler = NeighbourSampler(graph, fan_out, seed=0)
    benchmark.pedantic(sampler.sample, args=(range(512),), rounds=5, warmup_rounds=1)
