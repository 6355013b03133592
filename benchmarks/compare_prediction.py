"""What posterior draws cost beside one plain pass, and beside the products that they need.

    python benchmarks/compare_prediction.py

A plain pass is the deterministic twin's. All take turns, so that a machine whose speed drifts
drifts for all; medians of the paired ratios are printed. `error` is the largest difference between
the means of joint and marginal draws, in Monte Carlo standard errors of a difference.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bayesfuse.config import ModelConfig
from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.estimator.model import BayesianModel, build_model, set_data_statistics
from bayesfuse.inference.predictive import ITEMS_AT_ONCE, PosteriorPredictive

NUM_LABELS, HIDDEN, TILE = 23, 1024, ITEMS_AT_ONCE
WIDTHS = ({"text": 384, "image": 1280}, {"text": 300, "image": 4096})


class PredictionBench:
    """A twin and a posterior over the same random items."""

    def __init__(self, widths: Mapping[str, int], guide: str, num_items: int, hidden: int) -> None:
        rng = np.random.default_rng(0)
        arrays = {
            name: rng.normal(size=(num_items, width)).astype(np.float32)
            for name, width in widths.items()
        }
        self.features = FeatureTable.from_arrays(arrays)
        self.batches = Batches(self.features)
        self.hidden, self.num_items = hidden, num_items
        self.twin = self._model(widths, "none", guide)
        self.bayes = self._model(widths, "annealed", guide)
        layers = [m for m in self.bayes.network.modules() if isinstance(m, nn.Linear)]
        rows = min(num_items, TILE)
        self._products = [(layer, torch.randn(rows, layer.in_features)) for layer in layers]

    def _model(self, widths: Mapping[str, int], elbo: str, guide: str) -> BayesianModel:
        config = ModelConfig(elbo=elbo, hidden=self.hidden, guide=guide, device="cpu")
        model = build_model(widths, NUM_LABELS, self.num_items, config)
        positives = torch.full((NUM_LABELS,), self.num_items // 4)
        set_data_statistics(model.network, self.features, positives, config.feature_norm)
        return model

    def plain(self) -> None:
        """Predict by the twin."""
        self._predict(self.twin.predictive(0, torch.float32), 1)

    def draw(self, kind: str, draws: int) -> np.ndarray:
        """Make posterior draws."""
        return self._predict(self.bayes.predictive(0, torch.float32, kind=kind), draws)

    def _predict(self, predictive: PosteriorPredictive, draws: int) -> np.ndarray:
        return np.concatenate(list(predictive.chunks(self.batches, draws)), axis=1)

    @torch.no_grad()
    def products(self) -> None:
        """Do the matrix products that one network needs for these items."""
        for _ in range(-(-self.num_items // TILE)):
            for layer, x in self._products:
                F.linear(x, layer.weight, layer.bias)


def seconds(run: Callable[[], object]) -> float:
    """Return how long it takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def measure(
    widths: Mapping[str, int], guide: str, *, hidden: int, items: int, draws: int, rounds: int
) -> None:
    """Print one row of the table."""
    bench = PredictionBench(widths, guide, items, hidden)
    few = max(1, draws // 8)
    times = []
    for number in range(rounds + 1):
        row = (
            seconds(bench.plain),
            seconds(bench.products),
            seconds(lambda: bench.draw("marginal", draws)),
            seconds(lambda: bench.draw("joint", few)),
        )
        if number:  # the first one warms up
            times.append(row)
    plain = 1000 * statistics.median(row[0] for row in times)
    marginal = statistics.median(row[2] / row[0] for row in times)
    joint = statistics.median(row[3] / few * draws / row[0] for row in times)
    over = statistics.median(row[3] / (few * row[1]) for row in times)
    cells = [" + ".join(map(str, widths.values())), guide, f"{plain:.0f} ms"]
    cells += [f"{marginal:.1f}", f"{joint:.1f}", f"{over:.2f}", f"{_error(bench, draws):.1f}"]
    print("| " + " | ".join(cells) + " |", flush=True)


def _error(bench: PredictionBench, draws: int) -> float:
    """Return the largest difference of two means, in standard errors."""
    bench.batches = Batches(bench.features.take(np.arange(min(64, bench.num_items))))
    marginal, joint = bench.draw("marginal", draws), bench.draw("joint", draws)
    spread = np.sqrt((marginal.var(axis=0) + joint.var(axis=0)) / max(1, draws - 1))
    return float(np.abs((marginal.mean(axis=0) - joint.mean(axis=0)) / spread).max())


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hidden", type=int, default=HIDDEN)
    parser.add_argument("--items", type=int, default=2048)
    parser.add_argument("--draws", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--guides", nargs="+", default=["laplace", "laplace-tied"])
    options = parser.parse_args()
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, hidden {options.hidden}, "
        f"{options.items:,} items, {options.draws} draws, in plain passes"
    )
    header = ["text + image", "guide", "plain pass", "marginal", "joint"]
    header += ["joint / products", "error"]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for widths in WIDTHS:
        for guide in options.guides:
            measure(
                widths,
                guide,
                hidden=options.hidden,
                items=options.items,
                draws=options.draws,
                rounds=options.rounds,
            )


if __name__ == "__main__":
    main()
