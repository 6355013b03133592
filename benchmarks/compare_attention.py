"""Our graph attention beside DGL's and PyG's, interleaved, and the peak memory of each.

    python benchmarks/compare_attention.py [--version v2] [--rounds 11]

One layer, forwards and backwards, on a graph as large as the movies' union graph. The three take
turns, so that a machine whose speed drifts drifts for all; the fastest and the median step are
printed, and how many times as long as ours they take (of the medians, that of the paired steps).
Peak memory is that of a process of its own for each, torch and the graph included (read from
Linux's /proc). Threads that wait for each other sleep rather than spin (OMP_WAIT_POLICY), for all
three: else other work on the same cores is measured more than the layers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from graph_setting import EDGES, FEATURES, HEADS, NODES, WIDTH, LayerBench, make_graph

PACKAGES = {"ours": "torch", "dgl": "dgl", "pyg": "torch_geometric"}
LIBRARIES = [name for name, package in PACKAGES.items() if find_spec(package)]


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--version", choices=["v1", "v2"], default="v1", help="GAT or GATv2")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--part", choices=["times", *PACKAGES], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    version, rounds = arguments.version, arguments.rounds
    if arguments.part == "times":
        print(json.dumps(measure(version, rounds)))
        return
    if arguments.part:
        print(json.dumps(peak_memory(arguments.part, version)))
        return
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads; {NODES:,} nodes, "
        f"{EDGES:,} edges, {FEATURES} features, {HEADS} heads x {WIDTH}, {version}"
    )
    header = ["layer", "fastest", "times ours", "median", "times ours", "peak memory"]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header), flush=True)
    times = apart("times", version, rounds)
    for name in LIBRARIES:
        ratios = [other / own for other, own in zip(times[name], times["ours"], strict=True)]
        cells = [
            name,
            f"{min(times[name]):.3f} s",
            f"{min(times[name]) / min(times['ours']):.1f}",
            f"{statistics.median(times[name]):.3f} s",
            f"{statistics.median(ratios):.1f}",
            f"{apart(name, version):,.0f} MB",
        ]
        print("| " + " | ".join(cells) + " |", flush=True)


def apart(part: str, version: str, rounds: int = 0) -> Any:
    """Return the times of all libraries, or the peak memory of one, from a process of its own."""
    command = [sys.executable, __file__, "--part", part, "--version", version]
    done = subprocess.run(
        [*command, "--rounds", str(rounds)],
        env={"OMP_WAIT_POLICY": "passive", **os.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(version: str, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each step of each library."""
    graph = make_graph()
    benches = {name: LayerBench(name, version, graph) for name in LIBRARIES}
    times: dict[str, list[float]] = {name: [] for name in LIBRARIES}
    for number in range(rounds + 2):
        for name, bench in benches.items():
            started = time.perf_counter()
            bench.step()
            if number >= 2:  # the first ones warm up
                times[name].append(time.perf_counter() - started)
    return times


def peak_memory(library: str, version: str) -> float:
    """Return the peak resident memory of this process after a few steps, in MB."""
    bench = LayerBench(library, version)
    for _ in range(3):
        bench.step()
    # not ru_maxrss, which starts at what the parent process had
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    return int(status.split()[0]) / 1024


if __name__ == "__main__":
    main()
