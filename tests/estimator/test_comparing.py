"""Comparing: what is fitted, on what it is scored, and what is refused before anything is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bayesfuse import FeatureTable
from bayesfuse.config import FitConfig
from bayesfuse.errors import ConfigError, UserError
from bayesfuse.estimator.comparing import check_comparable, compare, compare_run
from bayesfuse.estimator.competitors import COMPETITORS
from bayesfuse.evaluation.metrics import average_precision, nll
from tests.estimator.competitors.conftest import SMALL, make_catalog

FAST = {**SMALL, "epochs": 2, "annealing_epochs": 1}


def test_scores_are_those_of_the_methods_on_the_split_asked_for():
    catalog, told = make_catalog(), []
    found = compare(
        catalog,
        FitConfig(**FAST, seed=3),
        only=["twin", "logistic"],
        seeds=2,
        scored="test",
        replicates=50,
        on_fit=lambda done, total: told.append((done, total)),
    )
    assert [row.name for row in found.rows] == ["bayesian", "twin", "logistic"]
    assert told == [(n, 6) for n in range(1, 7)]
    from bayesfuse import FusionClassifier

    rows = catalog.labelled_rows("test")
    expected = []
    for seed in (3, 4):
        twin = FusionClassifier(**FAST, seed=seed, elbo="none").fit(catalog)
        p = twin.predict_proba(catalog.features.take(rows))
        expected.append([nll(p, catalog.labels[rows]), average_precision(p, catalog.labels[rows])])
    row = found.rows[1]
    assert float(row.scores["nll"].estimate) == pytest.approx(np.mean([e[0] for e in expected]))
    macro = np.mean([e[1].macro for e in expected])
    assert float(row.scores["macro_ap"].estimate) == pytest.approx(macro)
    spread = np.std([e[0] for e in expected], ddof=1)
    assert row.seed_spread["nll"] == pytest.approx(spread, rel=1e-3)
    assert found.rows[2].seed_spread["nll"] == 0  # logistic regression knows no seed
    assert found.about["scored"] == "test"
    assert (found.about["items"], found.about["seeds"]) == (60, 2)


def test_noise_is_foreign_and_only_draws_can_tell():
    catalog = make_catalog()
    # features far narrower than they look one by one: noise is unlike any item
    text = np.random.default_rng(0).normal(size=(len(catalog), 1)) * np.ones((1, 6))
    labels = (text[:, :1] > np.array([[0.0, 0.5, -0.5, 1.0]])).astype(np.float32)
    features = FeatureTable.from_arrays({"text": text})
    catalog = dataclasses.replace(catalog, features=features, labels=labels)
    config = FitConfig(**{**FAST, "epochs": 15, "draws": 40})
    found = compare(catalog, config, only=["twin"], replicates=200)
    bayesian, twin = (row.scores["auroc_noise"] for row in found.rows)
    assert bayesian.interval().low > 0.5  # chance
    assert np.isnan(float(twin.estimate))
    assert np.isnan(found.difference(found.rows[1], "auroc_noise").low)
    assert "auroc_shuffled" not in found.rows[0].scores  # one modality has no pairs


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ({}, {"only": ["twinn"]}, '"twin"?'),
        ({}, {"scored": "train"}, "In --on"),
        ({}, {"seeds": 0}, "--seeds is 0"),
        ({}, {"replicates": 0}, "--replicates is 0"),
        ({"elbo": "none"}, {}, "it is the row twin"),
        ({"finetune": {"text": 1}}, {}, "same frozen features"),
    ],
)
def test_mistakes_are_told_before_anything_is_read(changes, options, said):
    with pytest.raises(ConfigError) as caught:
        compare_run("no such catalogue", FitConfig.parse({**FAST, **changes}), **options)
    assert said in str(caught.value)


def test_all_mistakes_at_once_and_the_order_of_rows():
    with pytest.raises(ConfigError, match=r"(?s)twinn.*--on"):
        check_comparable(FitConfig(), ["twinn"], 1, "train")
    assert check_comparable(FitConfig()) == list(COMPETITORS)
    asked = ["laplace", "twin", "bayesian"]
    assert check_comparable(FitConfig(), asked) == ["bayesian", "twin", "laplace"]


def test_nothing_to_score():
    catalog = make_catalog()
    catalog = dataclasses.replace(
        catalog, split=np.where(catalog.split == "test", "train", catalog.split)
    )
    with pytest.raises(UserError, match='in the split "test"'):
        compare(catalog, FitConfig(**FAST), scored="test")
