from __future__ import annotations

import dataclasses

import pytest

from bayesfuse.config import FitConfig, ModelConfig
from bayesfuse.inference.annealing import AnnealingSchedule
from bayesfuse.inference.history import Epoch, SVIResult, SVISettings

NOT_A_FLAG = {"annealing": "a schedule, of five flags", "precision": "a dtype, chosen by device"}


def test_every_setting_is_a_setting_of_the_configuration() -> None:
    names = {field.name for field in dataclasses.fields(SVISettings)}
    assert names - set(NOT_A_FLAG) <= set(ModelConfig.model_fields)
    assert names & set(NOT_A_FLAG) == set(NOT_A_FLAG)
    made = SVISettings(**{n: getattr(FitConfig(), n) for n in names - set(NOT_A_FLAG)})
    assert made.batch_size == FitConfig().batch_size


def test_the_columns_of_the_history_are_the_contract() -> None:
    assert Epoch._fields == (
        "epoch",
        "nll",
        "kl",
        "beta",
        "elbo",
        "val_nll",
        "val_macro_ap",
        "seconds",
        "val_macro_f1",  # written only where it chooses the epoch
    )


def test_settings_and_results_cannot_be_changed() -> None:
    result = SVIResult((), best_epoch=0, stopped="finished", annealed=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.best_epoch = 3  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        SVISettings().epochs = 3  # type: ignore[misc]


def test_the_default_annealing_ends_at_bayes() -> None:
    assert SVISettings().annealing == AnnealingSchedule()
    assert SVISettings().annealing.end == 1.0
