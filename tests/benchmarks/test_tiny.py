"""The benchmarks at sizes that take no time: they run, and no ratio is out of all proportion.

A busy machine, or a small size, may make any of them several times what `docs/performance.md`
says; what is caught here is a step or a draw that has become ten times as dear.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import compare_prediction
import loading
import numpy as np
import pytest
import scaling
import setting
import startup
import torch

ROOT = Path(__file__).parents[2]


def seconds(run: Callable[[], object], rounds: int = 5) -> float:
    """Return the least processor time of some rounds, after one that warms up."""
    run()
    taken = []
    for _ in range(rounds):
        started = time.process_time()
        run()
        taken.append(time.process_time() - started)
    return min(taken)


def test_a_step_beside_the_twins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting, "WIDTHS", {"text": 64, "image": 64})
    monkeypatch.setattr(setting, "NUM_ITEMS", 256)
    twin, bayes = (setting.StepBench(elbo, 128, 128) for elbo in ("none", "annealed"))
    assert seconds(bayes.step) < 15 * seconds(twin.step)


def test_draws_beside_a_plain_pass() -> None:
    bench = compare_prediction.PredictionBench({"text": 64, "image": 512}, "laplace", 256, 256)
    plain, products = seconds(bench.plain), seconds(bench.products)
    joint, marginal = (seconds(lambda k=k: bench.draw(k, 16), 3) for k in ("joint", "marginal"))
    assert joint < 16 * 4 * plain
    assert joint < 16 * 8 * products
    assert marginal < 2 * joint  # of far more features and items it is a fraction
    assert compare_prediction._error(bench, 16) < 8


def test_more_draws_cost_no_more_than_their_number() -> None:
    few, many = (
        min(scaling.measure(scaling.Size(128, 16, 16, draws), 3)[1] for _ in range(2))
        for draws in (8, 64)
    )
    assert many < 8 * 3 * few


@pytest.mark.parametrize("size", [scaling.Size(64, 8, 8, 2), scaling.Size(64, 8, 8, 2, edges=128)])
def test_what_the_scaling_study_measures(size: scaling.Size) -> None:
    epoch, prediction, _ = scaling.measure(size, 1)
    assert epoch > 0
    assert prediction > 0


def test_slopes() -> None:
    x = [1.0, 10.0, 100.0]
    assert scaling.slope(x, [3.0, 30.0, 300.0]) == pytest.approx(1)
    assert scaling.slope(x, [5.0, 5.0, 5.0]) == pytest.approx(0, abs=1e-9)
    assert scaling.slope(x, [1.0, 100.0, 10_000.0]) == pytest.approx(2)


def test_a_step_does_not_wait_for_its_batch() -> None:
    with loading.stored(1024) as batches:
        values, _ = batches.features.batch(np.arange(4))
        assert values["text"].dtype == np.float32  # which is on disk in half of that
        step, wait, share = loading.measure("none", 64, batches, 2)
    assert share == pytest.approx(wait / (wait + step))
    assert 0 < share < 0.8


def test_the_time_of_a_command_is_that_of_its_process() -> None:
    busy = [sys.executable, "-c", "import time\nwhile time.process_time() < 0.4: pass"]
    idle = [sys.executable, "-c", "import time; time.sleep(0.4)"]
    assert startup.processor_seconds(busy) >= 0.4
    assert startup.processor_seconds(idle) < 0.4


@pytest.mark.slow
def test_predicting_100_items_takes_less_than_six_seconds(tmp_path: Path) -> None:
    command = startup.prepare(tmp_path)
    taken = [
        startup.processor_seconds([*command, "-o", str(tmp_path / f"{number}.parquet")])
        for number in range(2)
    ]
    assert min(taken) < 6


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    [
        ["scaling.py", "--tiny", "--rounds", "1", "--axes", "items", "edges"],
        ["loading.py", "--items", "512", "--rounds", "1", "--hidden", "16"],
        ["prediction_memory.py", "--items", "100", "--draws", "4"],
        ["startup.py", "--rounds", "1"],
    ],
    ids=lambda program: program[0],
)
def test_programs_print_a_table(program: list[str]) -> None:
    script, *options = program
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *options],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "| --- |" in done.stdout
    assert torch.__version__.split("+")[0] in done.stdout or script not in {"scaling.py"}
