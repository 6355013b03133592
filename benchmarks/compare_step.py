"""A Bayesian training step beside its deterministic twin's, interleaved, and the peak memory.

    python benchmarks/compare_step.py [--rounds 21]
    python benchmarks/compare_step.py --noise [--cpu-time]

The second compares guides and where the noise enters (`fit --noise`), at 1,024 units. All take
turns, so that a machine whose speed drifts drifts for all; medians and the median of the paired
ratios are printed. Peak memory is that of a process of its own for each (read from Linux's /proc).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from setting import StepBench

WAYS = {
    "twin": ("none", "off"),
    "by torch": ("annealed", "off"),
    "compiled": ("annealed", "on"),
}
"""Name to the ELBO, and whether draws of the weights are compiled."""

NOISES = {
    "twin": {"elbo": "none"},
    **{
        f"{guide}, {noise}": {"guide": guide, "noise": noise}
        for guide in ("laplace", "laplace-tied", "normal")
        for noise in ("weights", "local", "flipout")
    },
}
"""Name to the settings; compiled where that can be."""


def measure(hidden: int, batch_size: int, rounds: int, graph: str = "none") -> None:
    """Print one row: seconds a step of each way, ratios to the twin, and peak memory."""
    benches = {
        name: StepBench(elbo, hidden, batch_size, c, graph) for name, (elbo, c) in WAYS.items()
    }
    times, ratios = take_turns(benches, rounds)
    memory = [peak_memory(name, hidden, batch_size, graph) for name in WAYS]
    cells = [
        f"{hidden}" if graph == "none" else f"{hidden}, GAT",
        f"{batch_size}",
        *(f"{1000 * statistics.median(times[name]):.1f} ms" for name in WAYS),
        *(f"{ratio:.2f}" for name, ratio in ratios.items() if name != "twin"),
        *(f"{megabytes:.0f} MB" for megabytes in memory),
    ]
    print("| " + " | ".join(cells) + " |", flush=True)


def measure_noises(
    hidden: int, batch_size: int, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> None:
    """Print a row a guide and noise: seconds a step, and the ratio to the twin's."""
    benches = {}
    for name, settings in NOISES.items():
        rest = {key: value for key, value in settings.items() if key != "elbo"}
        elbo = settings.get("elbo", "annealed")
        benches[name] = StepBench(elbo, hidden, batch_size, "on", **rest)
    times, ratios = take_turns(benches, rounds, clock)
    print("| guide, noise | a step | times the twin's |\n| --- | --- | --- |")
    for name, seconds in times.items():
        print(f"| {name} | {1000 * statistics.median(seconds):.1f} ms | {ratios[name]:.2f} |")


def take_turns(
    benches: dict[str, StepBench],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return the seconds of each step, and the medians of their ratios to the twin's."""
    times: dict[str, list[float]] = {name: [] for name in benches}
    for number in range(rounds + 3):
        for name, bench in benches.items():
            started = clock()
            bench.step()
            if number >= 3:  # the first ones warm up
                times[name].append(clock() - started)
    ratios = {
        name: statistics.median(b / t for b, t in zip(times[name], times["twin"], strict=True))
        for name in benches
    }
    return times, ratios


def peak_memory(name: str, hidden: int, batch_size: int, graph: str) -> float:
    """Return the peak resident memory of a process that takes a few steps, in MB."""
    arguments = [sys.executable, __file__, "--memory-of", name, str(hidden), str(batch_size), graph]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--noise", action="store_true", help="compare guides and noises instead")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="with --noise, on a machine that is busy: count the processor's time, of all threads",
    )
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
    if arguments.noise:
        clock = time.process_time if arguments.cpu_time else time.perf_counter
        measure_noises(1024, 512, arguments.rounds, clock)
        return
    header = ["hidden", "batch", *WAYS, *(f"{name} / twin" for name in list(WAYS)[1:])]
    header += [f"peak of {name}" for name in WAYS]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    rounds = arguments.rounds
    few = max(3, rounds * 2 // 5)
    measure(256, 128, rounds)
    measure(256, 512, rounds)
    measure(1024, 512, rounds)
    measure(3000, 512, few)
    measure(256, 512, few, "people")


if __name__ == "__main__":
    main()
