"""The bench trains each network once, and every competitor answers alike."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bayesfuse.config import FitConfig
from bayesfuse.errors import UserError
from bayesfuse.estimator.competitors import COMPETITORS
from bayesfuse.estimator.competitors.bench import Bench, stopwatch
from bayesfuse.evaluation.metrics import average_precision_per_label
from tests.estimator.competitors.conftest import SMALL


def test_a_network_is_trained_once(bench, monkeypatch):
    twin = bench.twin(0)

    def fit(*_, **__):
        raise AssertionError("training began")

    monkeypatch.setattr("bayesfuse.estimator.classifier.FusionClassifier.fit", fit)
    assert bench.twin(0) is twin
    with pytest.raises(AssertionError, match="training began"):
        bench.twin(99)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_labels_is_refused(catalog, split):
    split_names = np.where(catalog.split == split, "test", catalog.split)
    with pytest.raises(UserError, match=f'no labelled items in the split "{split}"'):
        Bench(dataclasses.replace(catalog, split=split_names), FitConfig())


def test_a_stopwatch_runs():
    with stopwatch() as elapsed:
        first = elapsed()
        assert elapsed() >= first >= 0


@pytest.mark.parametrize("kind", ["bench", "linked"])
@pytest.mark.parametrize("name", COMPETITORS)
def test_every_competitor_answers_alike(name, kind, request):
    bench = request.getfixturevalue(kind)
    rows = bench.catalog.labelled_rows("test")
    fitted = COMPETITORS[name](bench, 0)
    draws = fitted.draws(bench.catalog, rows)
    assert draws.shape[1:] == (len(rows), 4)
    many = {"bayesian": 6, "mc-dropout": 6, "laplace": 6, "ensemble": 5}
    assert len(draws) == many.get(name, 1)
    assert ((draws > 0) & (draws < 1)).all()
    assert fitted.seconds > 0
    assert fitted.num_parameters > 0
    np.testing.assert_array_equal(draws, fitted.draws(bench.catalog, rows))
    # the label that train never has is at its base rate, and the others were learned
    mean = draws.mean(axis=0, dtype=np.float64)
    assert mean[:, 3].max() < 0.05
    learned = average_precision_per_label(mean, bench.labels(rows))[:3]
    assert learned.mean() > bench.labels(rows)[:, :3].mean() + 0.1
    # a part of the items is predicted as within the whole, where draws are joint over items
    if name != "mc-dropout":
        few = fitted.draws(bench.catalog, rows[5:9])
        np.testing.assert_allclose(few, draws[:, 5:9], rtol=1e-4)


def test_a_mixture_is_held_against_single_points(catalog):
    changes = {"members": 2, "recalibrate": "temperature", "epochs": 1}
    bench = Bench(catalog, FitConfig.parse({**SMALL, **changes}))
    mixture, twin = bench.network(0).classifier, bench.twin(0).classifier
    assert (len(mixture.model_.members), len(twin.model_.members)) == (2, 1)
    assert mixture.recalibration_ is not None  # the twin's temperature has a row of its own
    assert twin.recalibration_ is None
