"""Peak memory of `bayesfuse predict` against the number of items.

    python benchmarks/prediction_memory.py [--items 20000 200000] [--draws 64]

Fits a small network on 2,000 random items, and predicts catalogues of more in a process of its own
each; prints a Markdown row a size: items, seconds and peak resident memory in MB, of which the
catalogue's own features are a part.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WIDTHS = {"text": 16, "image": 16}
LABELS = [f"label {number}" for number in range(8)]
NAMES = ["--id", "id", "--labels", "labels"]


def write_catalog(folder: Path, num_items: int) -> list[str]:
    """Write a table and its features; return how `bayesfuse` is told of them."""
    rng = np.random.default_rng(0)
    arrays = {n: rng.normal(size=(num_items, w)).astype(np.float32) for n, w in WIDTHS.items()}
    columns = arrays["text"][:, :4], arrays["image"][:, :4]
    tagged = np.hstack(columns) + rng.normal(size=(num_items, len(LABELS))) > 1
    labels = [[LABELS[column] for column in np.flatnonzero(row)] for row in tagged]
    ids = [f"i{number}" for number in range(num_items)]
    split = np.where(np.arange(num_items) % 4 == 0, "val", "train")
    table = pa.table({"id": ids, "labels": labels, "split": split})
    pq.write_table(table, folder / "items.parquet")
    np.savez(folder / "features.npz", **arrays)
    features = ",".join(f"{name}={folder / 'features.npz'}:{name}" for name in WIDTHS)
    return [str(folder / "items.parquet"), "--features", features]


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--draws", type=int, default=64)
    parser.add_argument("--measure", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        from bayesfuse.cli import app

        app(options.measure, standalone_mode=False)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run = folder / "run"
        small = ["--hidden", "16", "--classifier-hidden", "16", "--epochs", "3", "--split", "split"]
        made = [*write_catalog(folder, 2000), *NAMES, *small, "--out", str(run)]
        bayesfuse = [sys.executable, "-m", "bayesfuse"]
        subprocess.run([*bayesfuse, "fit", *made], check=True, stdout=subprocess.DEVNULL)
        print("| items | seconds | peak MB |\n| --- | --- | --- |")
        for number, count in enumerate(options.items):
            own = folder / str(count)
            own.mkdir()
            told = [*write_catalog(own, count), *NAMES, "--split-column", "split"]
            asked = ["predict", str(run), *told, "--draws", str(options.draws)]
            arguments = [*asked, "-o", str(folder / f"{number}.parquet")]
            started = time.perf_counter()
            program = [sys.executable, __file__, "--measure", *arguments]
            done = subprocess.run(program, capture_output=True, text=True, check=True)
            seconds = time.perf_counter() - started
            peak = float(done.stdout.splitlines()[-1])
            print(f"| {count:,} | {seconds:.0f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
