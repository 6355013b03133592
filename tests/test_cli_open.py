"""What the commands on a run say of its posterior; opening one is tested in tests/cli/."""

from __future__ import annotations

from typing import Any

import pytest

from bayesfuse.cli_open import temperature_and_weights
from bayesfuse.config import FitConfig


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, ""),
        ({"temperature": 0.5}, ", temperature 0.5"),
        ({"temperature": 0.5, "elbo": "none"}, ""),
        ({"recalibrate": "isotonic"}, ", recalibrated on val (isotonic)"),
        ({"elbo": "none", "loss": "focal"}, ", loss focal: no probabilities"),
        ({"refiner": 0.1}, ", trained by refiner too"),
        ({"class_weights": "inverse"}, ", class weights inverse: of a reweighted problem"),
    ],
)
def test_what_is_not_bayes_own_is_said(settings: dict[str, Any], said: str) -> None:
    assert temperature_and_weights(FitConfig.parse(settings)) == said
