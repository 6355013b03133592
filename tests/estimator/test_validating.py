"""Scores on the validation items."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from bayesfuse.config import ModelConfig
from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.estimator.model import build_model
from bayesfuse.estimator.validating import Validator
from bayesfuse.evaluation import metrics
from bayesfuse.inference.class_weights import ClassWeights
from bayesfuse.inference.losses import Loss


@pytest.fixture
def items() -> Batches:
    rng = np.random.default_rng(0)
    table = FeatureTable.from_arrays({"text": rng.normal(size=(20, 3))})
    return Batches(table, (rng.random((20, 2)) < 0.3).astype(np.float32))


def validator(items: Batches, weights: ClassWeights | None = None) -> Validator:
    config = ModelConfig(hidden=4, classifier_hidden=4, device="cpu", init_scale=0.3)
    model = build_model({"text": 3}, 2, 20, config)
    return Validator(items, model.predictive(0, torch.float32), 5, weights=weights)


def test_the_score_is_that_of_the_mean_over_draws(items: Batches) -> None:
    made = validator(items)
    assert items.labels is not None
    probability = made.probability(5)
    found = made()
    assert found.nll == pytest.approx(metrics.nll(probability, items.labels))
    assert found.macro_ap == metrics.average_precision(probability, items.labels).macro
    assert not np.array_equal(probability, made.probability(2))
    draws = made.draws_of_probability(5)
    assert draws.shape == (5, 20, 2)
    np.testing.assert_allclose(draws.mean(axis=0), probability, rtol=1e-6)


def test_the_nll_is_weighted_as_training_is(items: Batches) -> None:
    weights = ClassWeights(torch.tensor([3.0, 2.0]), torch.tensor([1.0, 0.5]))
    made = validator(items, weights)
    labels, p = np.asarray(items.labels, np.float64), made.probability(5).astype(np.float64)
    terms = labels * [3.0, 2.0] * np.log(p) + (1 - labels) * [1.0, 0.5] * np.log(1 - p)
    assert made().nll == pytest.approx(-terms.mean())
    assert made().macro_ap == validator(items)().macro_ap


def test_macro_f1_is_there_if_it_is_wanted(items: Batches) -> None:
    made = validator(items)
    assert items.labels is not None
    assert math.isnan(made().macro_f1)
    with torch.no_grad():
        made.predictive.network.get_submodule("classifier").get_parameter("output.bias").fill_(1)
    found = dataclasses.replace(made, with_f1=True)().macro_f1
    assert found == metrics.f1(made.probability(5), items.labels).macro
    assert found > 0


def test_another_loss_takes_the_place_of_the_nll(items: Batches) -> None:
    made = dataclasses.replace(validator(items), loss=Loss("focal"))
    y, p = np.asarray(items.labels, np.float64), made.probability(5).astype(np.float64)
    there, away = 0.25 * (1 - p) ** 2 * np.log(p), 0.75 * p**2 * np.log(1 - p)
    assert made().nll == pytest.approx(-(y * there + (1 - y) * away).mean())
