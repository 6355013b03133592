"""A Bayesian training step beside its deterministic twin's, interleaved, and the peak memory.

    python benchmarks/compare_step.py

All take turns, so that a machine whose speed drifts drifts for both; medians and the median of
the paired ratios are printed. Peak memory is that of a process
of its own for each (read from Linux's /proc).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from setting import StepBench

WAYS = {
    "twin": ("none", "off"),
    "by torch": ("annealed", "off"),
    "compiled": ("annealed", "on"),
}
"""Name to the ELBO, and whether draws of the weights are compiled."""


def measure(hidden: int, batch_size: int, rounds: int, graph: str = "none") -> None:
    """Print one row: seconds a step of each way, ratios to the twin, and peak memory."""
    benches = {
        name: StepBench(elbo, hidden, batch_size, c, graph) for name, (elbo, c) in WAYS.items()
    }
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(rounds + 3):
        for name, bench in benches.items():
            started = time.perf_counter()
            bench.step()
            if number >= 3:  # the first ones warm up
                times[name].append(time.perf_counter() - started)
    ratios = {
        name: statistics.median(b / t for b, t in zip(times[name], times["twin"], strict=True))
        for name in WAYS
    }
    memory = [peak_memory(name, hidden, batch_size, graph) for name in WAYS]
    cells = [
        f"{hidden}" if graph == "none" else f"{hidden}, GAT",
        f"{batch_size}",
        *(f"{1000 * statistics.median(times[name]):.1f} ms" for name in WAYS),
        *(f"{ratio:.2f}" for name, ratio in ratios.items() if name != "twin"),
        *(f"{megabytes:.0f} MB" for megabytes in memory),
    ]
    print("| " + " | ".join(cells) + " |", flush=True)


def peak_memory(name: str, hidden: int, batch_size: int, graph: str) -> float:
    """Return the peak resident memory of a process that takes a few steps, in MB."""
    arguments = [sys.executable, __file__, "--memory-of", name, str(hidden), str(batch_size), graph]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--memory-of", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        name, hidden, batch_size, graph = arguments.memory_of
        elbo, compile_draws = WAYS[name]
        bench = StepBench(elbo, int(hidden), int(batch_size), compile_draws, graph)
        for _ in range(5):
            bench.step()
        # not ru_maxrss, which starts at what the parent process had
        status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
        print(int(status.split()[0]) / 1024)
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, text 384 + image 1280")
    header = ["hidden", "batch", *WAYS, *(f"{name} / twin" for name in list(WAYS)[1:])]
    header += [f"peak of {name}" for name in WAYS]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for setting in (
        (256, 128, 21),
        (256, 512, 21),
        (1024, 512, 21),
        (3000, 512, 9),
        (256, 512, 15, "people"),
    ):
        measure(*setting)


if __name__ == "__main__":
    main()
