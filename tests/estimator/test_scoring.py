"""A run with intervals, and items that are none of its own."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from bayesfuse.config import FitConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.classifier import FusionClassifier
from bayesfuse.estimator.scoring import score_run
from bayesfuse.estimator.workflow import Run, evaluate_run

SMALL: dict[str, Any] = {
    **{"hidden": 16, "classifier_hidden": 8, "epochs": 12, "annealing_epochs": 1, "draws": 30},
    **{"val_draws": 2, "graph_width": 4, "learning_rate": 0.02, "init_scale": "prior"},
}


def make_catalog(*names: str) -> Catalog:
    rng = np.random.default_rng(0)
    text, image = rng.normal(size=(2, 150, 5)).astype(np.float32)
    labels = (text[:, :2] + image[:, :2] > 0.2).astype(np.float32)
    features = FeatureTable.from_arrays({"text": text, "image": image})
    return Catalog(
        source="films.csv",
        raw={},
        encoders={},
        people={"director": [[f"d{i % 9}"] for i in range(150)]},
        ids=np.array([f"i{i}" for i in range(150)]),
        titles=None,
        features=features.select(names) if names else features,
        labels=labels,
        label_names=("A", "B"),
        labelled=np.arange(150) > 2,
        split=np.array(["val" if i % 3 == 0 else "train" for i in range(150)]),
    )


def make_run(catalog: Catalog, **settings: Any) -> Run:
    config = {**SMALL, **settings}
    classifier = FusionClassifier(**config).fit(catalog)
    linked = classifier.link(catalog)
    return Run(classifier, FitConfig(**config), linked, linked.labelled_rows("val"))


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run(make_catalog())


def test_scores_are_those_of_evaluate_and_have_intervals(run: Run) -> None:
    scored = score_run(run, replicates=40)
    assert scored.evaluation == evaluate_run(run)
    assert scored.intervals is not None
    assert scored.intervals.pooled["nll"].estimate == pytest.approx(scored.evaluation.nll)
    told = json.loads(json.dumps(scored.to_dict()))
    assert told["intervals"]["replicates"] == 40
    assert "outliers" not in told
    assert str(scored).startswith(str(scored.evaluation))
    plain = score_run(run, intervals=False)
    assert plain.to_dict() == scored.evaluation.to_dict()
    assert str(plain) == str(scored.evaluation)


def test_items_from_far_away_are_more_uncertain_and_ones_own_are_not(run: Run) -> None:
    far = dataclasses.replace(
        run.catalog,
        features=FeatureTable.from_arrays(
            {name: 12 * v for name, v in run.catalog.features.batch(slice(None))[0].items()}
        ),
    )
    others = {"far": dataclasses.replace(run, catalog=far), "own": run}
    scored = score_run(run, intervals=False, replicates=200, others=others)
    assert scored.outliers["far"].low > 0.6
    own = scored.outliers["own"]
    assert own.estimate == pytest.approx(0.5)
    assert own.low < 0.5 < own.high
    assert "far" in str(scored)
    assert scored.to_dict()["outliers"]["own"]["estimate"] == pytest.approx(0.5)  # type: ignore[index]


@pytest.mark.parametrize("settings", [{}, {"graph": "people", "neighbour_labels": True}])
def test_items_are_made_of_ones_own(settings: dict[str, Any]) -> None:
    run = make_run(make_catalog(), epochs=2, **settings)
    scored = score_run(run, intervals=False, replicates=20, made=("noise", "shuffled"))
    assert set(scored.outliers) == {"noise", "shuffled"}
    assert all(0 <= one.low <= one.high <= 1 for one in scored.outliers.values())


def test_what_cannot_be_told() -> None:
    alone = make_run(make_catalog("text"), epochs=1)
    with pytest.raises(ConfigError, match="one modality, so that there are no pairs"):
        score_run(alone, made=("shuffled",))
    plain = make_run(make_catalog(), epochs=1, elbo="none")
    with pytest.raises(ConfigError, match="--outliers asks how unsure the posterior is"):
        score_run(plain, made=("noise",))
