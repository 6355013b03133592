"""Which epoch is kept: by the score that is monitored, and by no other."""

from __future__ import annotations

import math

import pytest
import torch

from bayesfuse.config import MONITORS as NAMES
from bayesfuse.errors import ConfigError
from bayesfuse.inference.choosing import MONITORS, BestEpoch
from bayesfuse.inference.history import SVISettings, Validation

EPOCHS = [
    Validation(0.50, 0.20, 0.10),
    Validation(0.40, 0.30, 0.05),
    Validation(0.45, 0.40, 0.20),
    Validation(0.60, 0.35, 0.205),
]


def chosen(best: BestEpoch, epochs: list[Validation] = EPOCHS) -> int:
    for epoch, val in enumerate(epochs):
        if best.is_better(val):
            best.keep(epoch, val, [{"w": torch.tensor(float(epoch))}])
    return best.epoch


def test_the_names_are_those_of_the_configuration() -> None:
    assert MONITORS == NAMES
    with pytest.raises(ConfigError, match='Did you mean "macro-f1"'):
        BestEpoch("macro_f1")


@pytest.mark.parametrize(("monitor", "epoch"), [("nll", 1), ("macro-ap", 2), ("macro-f1", 3)])
def test_each_score_chooses_its_own_epoch(monitor: str, epoch: int) -> None:
    assert chosen(BestEpoch(monitor)) == epoch


def test_an_improvement_must_be_large_enough() -> None:
    best = BestEpoch.by(SVISettings(monitor="macro-f1", min_delta=0.01, patience=1))
    assert chosen(best) == 2
    assert not best.is_over(2)
    assert best.is_over(3)


def test_what_was_kept_comes_back() -> None:
    best, now = BestEpoch("nll"), {"w": torch.tensor(9.0)}
    assert not best.restore([now])
    assert float(now["w"]) == 9
    chosen(best)
    assert best.restore([now])
    assert float(now["w"]) == 1


def test_a_score_that_is_not_defined_is_never_better() -> None:
    best = BestEpoch("macro-f1", patience=2)
    assert chosen(best, [Validation(0.5, 0.2, math.nan)] * 3) == -1
    assert (best.is_over(0), best.is_over(1)) == (False, True)
