"""MC dropout drops while it predicts, and leaves the network as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bayesfuse.config import FitConfig
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.competitors import mc_dropout, twin
from bayesfuse.estimator.competitors.bench import Bench
from bayesfuse.estimator.competitors.mc_dropout import dropping
from tests.estimator.competitors.conftest import SMALL


def test_draws_differ_around_the_twin(bench, catalog):
    fitted = mc_dropout.fit(bench, 0)
    before = twin.fit(bench, 0).draws(catalog, bench.val)
    draws = fitted.draws(catalog, bench.val)
    assert (draws.std(axis=0)[:, :3] > 0).all()
    assert (draws.std(axis=0)[:, 3] == 0).all()  # a label that nothing was learned of
    # nothing is dropped afterwards
    np.testing.assert_array_equal(before, twin.fit(bench, 0).draws(catalog, bench.val))
    correlation = np.corrcoef(draws.mean(axis=0)[:, 0], before[0][:, 0])[0, 1]
    assert correlation > 0.9


def test_layers_drop_as_often_as_in_training():
    layer = nn.Sequential(nn.Dropout(0.25)).eval()
    ones = torch.ones(20_000)
    with dropping(layer):
        share = float((layer(ones) == 0).float().mean())
    assert share == pytest.approx(0.25, abs=0.02)
    assert bool((layer(ones) == 1).all())


def test_without_dropout_there_is_nothing_to_draw(catalog):
    bench = Bench(catalog, FitConfig(**{**SMALL, "dropout": 0.0}))
    with pytest.raises(ConfigError, match="--dropout is 0"):
        mc_dropout.fit(bench, 0)
