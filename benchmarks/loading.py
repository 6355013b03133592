"""The share of a training epoch that is spent waiting for batches.

    python benchmarks/loading.py [--items 8192] [--rounds 5]

Features lie on disk in float16 and are memory-mapped, as `bayesfuse encode` leaves them; an epoch
reads them in a random order. Waiting is all that passes between the end of one step and the begin
of the next one.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from setting import NUM_LABELS, WIDTHS, make_model

from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.estimator.model import svi_settings
from bayesfuse.inference.svi import SVI, TrainingRun

BATCH_SIZE = 512


@contextmanager
def stored(num_items: int) -> Iterator[Batches]:
    """Yield items whose features lie on disk."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        arrays = {}
        for name, width in WIDTHS.items():
            path = Path(folder) / f"{name}.npy"
            np.save(path, rng.standard_normal((num_items, width), np.float32).astype(np.float16))
            arrays[name] = np.load(path, mmap_mode="r")
        labels = (rng.random((num_items, NUM_LABELS)) < 0.1).astype(np.float32)
        yield Batches(FeatureTable.from_arrays(arrays), labels)


def measure(elbo: str, hidden: int, batches: Batches, rounds: int) -> tuple[float, float, float]:
    """Return milliseconds a step, milliseconds of waiting, and their share of both."""
    model, config = make_model(elbo, hidden)
    settings = svi_settings(config, torch.device("cpu"))
    run = TrainingRun(SVI(model.network, model.lifted, model.guide, settings), batches)
    model.network.train()
    order = np.random.default_rng(0)
    steps, waits = [], []
    for _ in range(rounds):
        before = time.perf_counter()
        for batch in batches.shuffled(BATCH_SIZE, order):
            here = time.perf_counter()
            run.take_step(batch, beta=1.0, epoch=0)
            after = time.perf_counter()
            steps.append(after - here)
            waits.append(here - before)
            before = after
    step, wait = (1000 * statistics.median(taken) for taken in (steps, waits))
    return step, wait, wait / (wait + step)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 1024])
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {BATCH_SIZE}\n")
    header = ["hidden", "network", "a step", "waiting for its batch", "share"]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    with stored(options.items) as batches:
        for hidden in options.hidden:
            for name, elbo in (("twin", "none"), ("laplace", "annealed")):
                step, wait, share = measure(elbo, hidden, batches, options.rounds)
                cells = [str(hidden), name, f"{step:.1f} ms", f"{wait:.1f} ms", f"{share:.1%}"]
                print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
