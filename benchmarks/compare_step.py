"""A Bayesian training step beside its deterministic twin's, interleaved, and the peak memory.

    python benchmarks/compare_step.py

The two take turns, so that a machine whose speed drifts drifts for both; medians and the median of
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

ROUNDS = 21


def measure(hidden: int, batch_size: int) -> None:
    """Print one row: seconds a step of both, their ratio, and peak memory of both."""
    twin, bayes = (StepBench(elbo, hidden, batch_size) for elbo in ("none", "annealed"))
    times: dict[str, list[float]] = {"twin": [], "bayes": []}
    for number in range(ROUNDS + 3):
        for name, bench in (("twin", twin), ("bayes", bayes)):
            started = time.perf_counter()
            bench.step()
            if number >= 3:  # the first ones warm up
                times[name].append(time.perf_counter() - started)
    ratios = [b / t for b, t in zip(times["bayes"], times["twin"], strict=True)]
    memory = [peak_memory(elbo, hidden, batch_size) for elbo in ("none", "annealed")]
    cells = [
        f"{hidden}",
        f"{batch_size}",
        f"{1000 * statistics.median(times['twin']):.1f} ms",
        f"{1000 * statistics.median(times['bayes']):.1f} ms",
        f"{statistics.median(ratios):.2f}",
        *(f"{megabytes:.0f} MB" for megabytes in memory),
    ]
    print("| " + " | ".join(cells) + " |", flush=True)


def peak_memory(elbo: str, hidden: int, batch_size: int) -> float:
    """Return the peak resident memory of a process that takes a few steps, in MB."""
    arguments = [sys.executable, __file__, "--memory-of", elbo, str(hidden), str(batch_size)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--memory-of", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        elbo, hidden, batch_size = arguments.memory_of
        bench = StepBench(elbo, int(hidden), int(batch_size))
        for _ in range(5):
            bench.step()
        # not ru_maxrss, which starts at what the parent process had
        status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
        print(int(status.split()[0]) / 1024)
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, text 384 + image 1280")
    header = ["hidden", "batch", "twin", "annealed", "ratio", "twin's peak", "annealed's peak"]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for hidden, batch_size in ((256, 128), (256, 512), (1024, 512)):
        measure(hidden, batch_size)


if __name__ == "__main__":
    main()
