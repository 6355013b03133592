"""Seconds and memory against items, features, hidden units, draws and edges, with log-log slopes.

    python benchmarks/scaling.py [--axes items hidden] [--rounds 3]

One of them grows at a time and the others stay. An epoch trains on all items, a prediction makes
all draws of all items; the median of the rounds counts. Memory is the peak of a process of its own
(Linux), less what it had before it made its first item. A slope is that of the least-squares line
through the logarithms: 1 is proportional, 0 is flat.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from bayesfuse.config import ModelConfig
from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.estimator.model import build_model, set_data_statistics, svi_settings
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.inference.svi import SVI, TrainingRun

NUM_LABELS, BATCH_SIZE = 21, 512


@dataclasses.dataclass(frozen=True)
class Size:
    """How large everything is.

    Attributes:
        items: Items to train on, and to predict.
        features: Features of an item, of two modalities together.
        hidden: Hidden units.
        draws: Posterior draws of a prediction.
        edges: Directed edges between items; 0 for a network without a graph.
    """

    items: int = 2048
    features: int = 512
    hidden: int = 256
    draws: int = 8
    edges: int = 0


AXES = {
    "items": (Size(), (1024, 4096, 16_384)),
    "features": (Size(), (512, 2048, 8192)),
    "hidden": (Size(), (256, 1024, 4096)),
    "draws": (Size(), (4, 16, 64)),
    "edges": (Size(), (16_384, 65_536, 262_144)),
}
TINY = {
    "items": (Size(64, 8, 8, 2), (64, 128)),
    "features": (Size(64, 8, 8, 2), (8, 16)),
    "hidden": (Size(64, 8, 8, 2), (8, 16)),
    "draws": (Size(64, 8, 8, 2), (2, 4)),
    "edges": (Size(64, 8, 8, 2), (64, 128)),
}
"""Axis to the sizes that stay, and the values that it takes; for a study, and for a test."""


def measure(size: Size, rounds: int) -> tuple[float, float, float]:
    """Return seconds of an epoch and of a prediction, and MB that they took."""
    before = _memory("VmRSS")
    graph = "people" if size.edges else "none"
    config = ModelConfig(
        hidden=size.hidden,
        device="cpu",
        batch_size=BATCH_SIZE,
        graph=graph,
        graph_features=("text", "image"),
    )
    rng = np.random.default_rng(0)
    half = size.features // 2
    arrays = {
        name: rng.standard_normal((size.items, half), np.float32).astype(np.float16)
        for name in ("text", "image")
    }
    labels = (rng.random((size.items, NUM_LABELS)) < 0.1).astype(np.float32)
    table = FeatureTable.from_arrays(arrays)
    model = build_model({name: half for name in arrays}, NUM_LABELS, size.items, config)
    set_data_statistics(model.network, table, torch.full((NUM_LABELS,), 5), config.feature_norm)
    items: FeatureTable | LinkedFeatures = table
    if size.edges:
        first, second = rng.integers(0, size.items, (2, size.edges // 2))
        rows, heard = np.concatenate([first, second]), np.concatenate([second, first])
        entities = EntityGraph.from_pairs(size.items, rows, heard, self_loops="none")
        items = LinkedFeatures(table, table, entities)
    svi = SVI(model.network, model.lifted, model.guide, svi_settings(config, torch.device("cpu")))
    training = Batches(items, labels)
    run = TrainingRun(svi, training)
    predictive = model.predictive(0, torch.float32)
    epochs, predictions = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        model.network.train()
        for batch in training.shuffled(BATCH_SIZE, rng):
            run.take_step(batch, beta=1.0, epoch=0)
        epochs.append(time.perf_counter() - started)
        started = time.perf_counter()
        for _ in predictive.chunks(Batches(items), size.draws):
            pass
        predictions.append(time.perf_counter() - started)
    took = statistics.median(epochs), statistics.median(predictions)
    return *took, _memory("VmHWM") - before


def slope(values: list[float], found: list[float]) -> float:
    """Return the slope of the least-squares line through the logarithms."""
    return float(np.polyfit(np.log(values), np.log(np.maximum(found, 1e-9)), 1)[0])


def study(axes: dict[str, tuple[Size, tuple[int, ...]]], names: list[str], rounds: int) -> None:
    """Print a Markdown table of the named axes."""
    header = ["grows", "to", "an epoch", "a prediction", "memory"]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for name in names:
        base, values = axes[name]
        rows = []
        for value in values:
            size = dataclasses.asdict(dataclasses.replace(base, **{name: value}))
            told = [sys.executable, __file__, "--measure", json.dumps(size), str(rounds)]
            done = subprocess.run(told, capture_output=True, text=True, check=True)
            row = [float(cell) for cell in done.stdout.split()]
            rows.append(row)
            cells = [name, f"{value:,}", f"{row[0]:.2f} s", f"{row[1]:.2f} s", f"{row[2]:.0f} MB"]
            print("| " + " | ".join(cells) + " |", flush=True)
        points = [float(value) for value in values]
        slopes = [slope(points, list(column)) for column in zip(*rows, strict=True)]
        cells = [f"**{name}**", "slope", *(f"**{one:.2f}**" for one in slopes)]
        print("| " + " | ".join(cells) + " |", flush=True)


def _memory(field: str) -> float:
    """Return a figure of this process's memory in MB; not ru_maxrss, which a child inherits."""
    status = Path("/proc/self/status").read_text().split(f"{field}:")[1]
    return int(status.split()[0]) / 1024


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--axes", nargs="+", default=list(AXES), choices=list(AXES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="small enough for a test")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        size, rounds = options.measure
        print(*measure(Size(**json.loads(size)), int(rounds)))
        return
    axes = TINY if options.tiny else AXES
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {BATCH_SIZE}\n")
    study(axes, options.axes, options.rounds)


if __name__ == "__main__":
    main()
