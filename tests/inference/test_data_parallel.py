from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from bayesfuse import FusionClassifier
from bayesfuse.errors import ConfigError, TrainingError
from bayesfuse.inference import distributed
from bayesfuse.inference.data_parallel import DataParallel
from bayesfuse.inference.distributed import Processes
from bayesfuse.inference.svi import TrainingRun
from tests.conftest import FAILURE_RATE
from tests.inference.several import in_processes

N, VAL = 101, 40
"""Training items, of which no number of equal batches or shares can be made."""

SMALL: dict[str, Any] = {
    "hidden": 6, "classifier_hidden": 5, "epochs": 3, "annealing_epochs": 1, "batch_size": 26,
    "dropout": 0.0, "val_draws": 4, "draws": 4, "device": "cpu",
}  # fmt: skip

CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "trace": {"elbo": "trace", "guide": "normal"},
    "penalties": {"l1": 0.3, "l2": 0.2, "max_norm": 1.0, "weight_decay": 0.1},
    "no posterior": {"elbo": "none", "clip": 1e-4},
    "auxiliary losses": {"fusion": "centralnet"},
    "tied, particles": {"guide": "laplace-tied", "num_particles": 2},
    "members": {"members": 2},
    "linear": {"classifier": "linear", "prior": "horseshoe"},
}


def data(seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    x = {"text": rng.normal(size=(N + VAL, 5)), "image": rng.normal(size=(N + VAL, 3)) + 2}
    y = (x["text"][:, :3] + 0.3 * rng.normal(size=(N + VAL, 3)) > 0).astype(int)
    train, val = ({n: v[rows] for n, v in x.items()} for rows in (slice(N), slice(N, None)))
    return train, y[:N], (val, y[N:])


def fitted(**options: Any) -> tuple[dict[str, Tensor], list[list[float]]]:
    """Return all tensors and the history of a fit, without its seconds."""
    x, y, validation = data()
    done = FusionClassifier(**SMALL | options).fit(x, y, validation=validation)
    history = [[v for k, v in e._asdict().items() if k != "seconds"] for e in done.history_]
    return {k: v.clone() for k, v in done.model_.tensors().items()}, history


def all_cases(names: list[str]) -> list[Any]:
    return [fitted(**CASES[name]) for name in names]


def same(first: Any, second: Any) -> bool:
    """Return whether tensors and histories are equal to rounding."""
    try:
        torch.testing.assert_close(first[0], second[0], rtol=2e-4, atol=2e-5, equal_nan=True)
        np.testing.assert_allclose(first[1], second[1], rtol=1e-4)
    except AssertionError:
        return False
    return True


@pytest.mark.slow
def test_two_processes_with_common_noise_are_one(tmp_path: Path) -> None:
    first, second = in_processes(all_cases, tmp_path, ["plain"], common=True)
    alone = fitted()
    torch.testing.assert_close(first[0][0], alone[0], rtol=2e-4, atol=2e-5, equal_nan=True)
    np.testing.assert_allclose(first[0][1], alone[1], rtol=1e-4)
    # the two hold the very same model
    torch.testing.assert_close(first[0], second[0], rtol=0, atol=0, equal_nan=True)


def broken(which: str) -> Any:
    """Return a fit in which something is not done as it ought to be."""
    with pytest.MonkeyPatch.context() as patch:
        if which == "KL twice":
            beta = TrainingRun.beta
            patch.setattr(TrainingRun, "beta", lambda run: 2 * beta(run))
        else:
            patch.setattr(
                "bayesfuse.inference.data_parallel._whole_batch", lambda norm, *_: norm.forward
            )
        return fitted()


def losses_where_it_stands(kl: int = 1) -> list[float]:
    """Return many steps' losses of a model that does not move, in nats an item, the KL so often."""
    x, y, _ = data()
    found: list[float] = []
    options = {"epochs": 60, "annealing_epochs": 0, "batch_size": N, "classifier": "linear"}
    still = {"learning_rate": 1e-12, "classifier_learning_rate": 1e-12, "weight_decay": 0.0}
    loss = TrainingRun.loss

    def with_kl(run: TrainingRun, objective: Any, batch: Any, beta: float, *shift: Any) -> Any:
        return loss(run, objective, batch, kl * beta, *shift)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingRun, "loss", with_kl)
        FusionClassifier(**SMALL | options | still, init_scale=1.0, validation_fraction=0).fit(
            x, y, on_step=lambda step: found.append(step.nll + step.beta * step.kl)
        )
    return found


def diverging() -> str:
    x, y, _ = data()
    x["text"][:] = 1e30
    try:
        FusionClassifier(**SMALL | {"learning_rate": 1e38}, validation_fraction=0).fit(x, y)
    except TrainingError as error:
        return str(error)
    return "went well"


def everything() -> dict[str, Any]:
    found: dict[str, Any] = dict(zip(CASES, all_cases(list(CASES)), strict=True))
    found |= {which: broken(which) for which in ("KL twice", "norms alone")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            distributed, "_now", dataclasses.replace(distributed._now, common_noise=False)
        )
        found |= {"own": losses_where_it_stands(), "own, KL twice": losses_where_it_stands(2)}
        found["diverging"] = diverging()
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Return what each of two processes found; they are slow to start."""
    return in_processes(everything, tmp_path_factory.mktemp("both"), common=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_so_they_are_whatever_is_trained(name: str, both: list[Any]) -> None:
    assert same(both[0][name], fitted(**CASES[name]))


@pytest.mark.slow
@pytest.mark.parametrize("which", ["KL twice", "norms alone"])
def test_the_comparison_tells_what_is_wrong(which: str, both: list[Any]) -> None:
    assert same(both[0]["plain"], fitted())
    assert not same(both[0][which], fitted())


@pytest.mark.slow
def test_with_noise_of_their_own_the_elbo_is_the_same_on_average(both: list[Any]) -> None:
    own, twice = both[0]["own"], both[0]["own, KL twice"]
    assert own == both[1]["own"]
    alone = losses_where_it_stands()
    assert stats.ttest_ind(own, alone, equal_var=False).pvalue > FAILURE_RATE
    assert stats.ttest_ind(twice, alone, equal_var=False).pvalue < FAILURE_RATE
    # as many draws as there are processes: half of the variance
    ratio = float(np.var(own) / np.var(alone))
    bounds = 0.5 * stats.f(59, 59).ppf([FAILURE_RATE / 2, 1 - FAILURE_RATE / 2])
    assert bounds[0] < ratio < min(1.0, bounds[1])


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_all_with_the_same_words(both: list[Any]) -> None:
    first, second = (found["diverging"] for found in both)
    assert "loss" in first
    assert first == second


def test_a_process_needs_two_items_of_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_now", Processes(0, 4))
    with pytest.raises(ConfigError, match=r"--batch-size 6: .* 4 processes .* --batch-size 8"):
        DataParallel([], num_items=60, batch_size=6)


def test_alone_nothing_is_shared() -> None:
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))
    together = DataParallel([network], num_items=8, batch_size=1)
    with together.normalising():
        loss = network(torch.rand(4, 2)).mean()
    found = together.step(loss, list(network.parameters()), 4, [1.5])
    assert found == (4, (1.5,))
    assert network[1].weight.grad is not None
    assert together.mean(math.pi) == math.pi
