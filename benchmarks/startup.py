"""Processor time of short commands: `bayesfuse --help`, and `bayesfuse predict` of 100 items.

    python benchmarks/startup.py [--rounds 5]

User and system time of a process from its start to its end, the least of the rounds, which no
other program has drawn out; the modules that took longest to import are printed below.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from prediction_memory import NAMES, write_catalog

BAYESFUSE = [sys.executable, "-m", "bayesfuse"]
SMALL = ["--hidden", "16", "--classifier-hidden", "16", "--epochs", "2", "--split", "split"]


def processor_seconds(command: list[str]) -> float:
    """Return the user and system time that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def prepare(folder: Path, num_items: int = 100) -> list[str]:
    """Fit a small network; return a command that predicts items, but for its output."""
    run = folder / "run"
    catalog = write_catalog(folder, num_items)
    fit = [*BAYESFUSE, "fit", *catalog, *NAMES, *SMALL, "--out", str(run)]
    subprocess.run(fit, check=True, capture_output=True)
    return [*BAYESFUSE, "predict", str(run), *catalog, *NAMES, "--split-column", "split"]


def slow_imports(arguments: list[str], count: int = 12) -> list[tuple[str, float]]:
    """Return the modules that `bayesfuse` spends most time in importing, with milliseconds."""
    program = [sys.executable, "-X", "importtime", "-m", "bayesfuse", *arguments]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    rows = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", done.stderr)
    total: dict[str, float] = {}
    for own, name in rows:
        package = name.partition(".")[0]
        total[package] = total.get(package, 0.0) + int(own) / 1000
    return sorted(total.items(), key=lambda row: -row[1])[:count]


def main() -> None:
    """Measure and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        predict = prepare(folder)
        outputs = [folder / f"{number}.parquet" for number in range(options.rounds + 1)]
        commands = {
            "bayesfuse --help": [[*BAYESFUSE, "--help"]] * options.rounds,
            "bayesfuse predict, 100 items": [[*predict, "-o", str(out)] for out in outputs[1:]],
        }
        print("| command | processor seconds |\n| --- | --- |")
        for name, runs in commands.items():
            print(f"| `{name}` | {min(map(processor_seconds, runs)):.2f} |", flush=True)
        print("\n| imported by predict | own milliseconds |\n| --- | --- |")
        for package, taken in slow_imports([*predict[3:], "-o", str(outputs[0])]):
            print(f"| {package} | {taken:.0f} |")


if __name__ == "__main__":
    main()
