"""Speed by pytest-benchmark: one training step and one prediction, beside the twin's.

make bench
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from setting import StepBench, make_batches, make_model


@pytest.mark.benchmark(group="training step, batch 128")
@pytest.mark.parametrize("hidden", [256, 1024])
@pytest.mark.parametrize("elbo", ["none", "annealed"], ids=["twin", "annealed"])
def test_training_step(benchmark: Any, elbo: str, hidden: int) -> None:
    bench = StepBench(elbo, hidden, batch_size=128)
    benchmark.pedantic(bench.step, rounds=15, warmup_rounds=3)


@pytest.mark.benchmark(group="prediction, 1,024 items")
@pytest.mark.parametrize(("elbo", "draws"), [("none", 1), ("annealed", 64)], ids=["twin", "64"])
def test_prediction(benchmark: Any, elbo: str, draws: int) -> None:
    model, config = make_model(elbo, hidden=256)
    batches = make_batches(1024)
    batches.labels = None
    predictive = model.predictive(config.seed, torch.float32)
    benchmark.pedantic(predictive.mean, args=(batches, draws), rounds=3, warmup_rounds=1)
