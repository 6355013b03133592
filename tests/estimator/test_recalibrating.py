"""A recalibrated classifier: every probability is, the run keeps it, and the prior is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bayesfuse import FusionClassifier
from bayesfuse.errors import ConfigError, RunFolderError
from bayesfuse.estimator.recalibrating import FILE
from bayesfuse.evaluation.metrics import nll
from bayesfuse.evaluation.recalibration import METHODS
from bayesfuse.evaluation.thresholds import best_thresholds

rng = np.random.default_rng(0)
X = {"text": rng.normal(size=(240, 5))}
Y = (X["text"][:, :2] + rng.normal(size=(240, 2)) > 0.3).astype(int)
VAL = {"text": X["text"][160:]}


def fit(**changes: Any) -> FusionClassifier:
    settings = {"hidden": 8, "classifier_hidden": 8, "epochs": 6, "annealing_epochs": 1}
    made = FusionClassifier(**{**settings, "draws": 6, "val_draws": 2, "device": "cpu", **changes})
    return made.fit({"text": X["text"][:160]}, Y[:160], validation=(VAL, Y[160:]))


@pytest.fixture(scope="module")
def plain() -> FusionClassifier:
    return fit()


@pytest.fixture(scope="module", params=METHODS)
def changed(request: pytest.FixtureRequest) -> FusionClassifier:
    return fit(recalibrate=request.param)


def test_every_draw_is_the_plain_one_recalibrated(
    plain: FusionClassifier, changed: FusionClassifier
) -> None:
    assert plain.recalibration_ is None
    assert changed.recalibration_ is not None
    assert changed.recalibration_.method == changed.recalibrate
    draws = plain.sample_proba(X)
    np.testing.assert_array_equal(changed.sample_proba(X), changed.recalibration_(draws))
    assert not np.allclose(changed.sample_proba(X), draws, atol=1e-3)
    np.testing.assert_allclose(
        changed.predict_proba(X), changed.recalibration_(draws).mean(axis=0), rtol=1e-5
    )
    raw = np.concatenate(list(changed.iter_proba(X, recalibrated=False)), axis=1)
    np.testing.assert_array_equal(raw, draws)
    for one in (changed, plain):
        prior = np.concatenate(list(one.iter_proba(X, prior=True)), axis=1)
        raw = np.concatenate(list(one.iter_proba(X, prior=True, recalibrated=False)), axis=1)
        np.testing.assert_array_equal(prior, raw)


def test_it_is_fitted_on_val_and_thresholds_come_after_it(
    plain: FusionClassifier, changed: FusionClassifier
) -> None:
    assert nll(changed.predict_proba(VAL), Y[160:]) < nll(plain.predict_proba(VAL), Y[160:])
    mean = changed.sample_proba(VAL).mean(axis=0)
    np.testing.assert_allclose(changed.thresholds_, best_thresholds(mean, Y[160:]), atol=1e-6)


def test_the_run_folder_keeps_it(changed: FusionClassifier, tmp_path: Path) -> None:
    path = changed.save(tmp_path / "run")
    again = FusionClassifier.load(path)
    np.testing.assert_array_equal(again.sample_proba(X), changed.sample_proba(X))
    twice = FusionClassifier.load(again.save(tmp_path / "twice"))
    np.testing.assert_array_equal(twice.predict_proba(X), changed.predict_proba(X))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, f"lacks {FILE}"),
        ({"format": "bayesfuse-recalibration-9"}, "has the format"),
        ({"labels": ["other"]}, "does not fit the run"),
        ({"temperature": -1.0}, "does not fit the run"),
        ({"temperature": ...}, "does not fit the run"),
        ({"temperature": None, "knots": [{"from": [0, 1], "to": [0, 1]}]}, "does not fit the run"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, change: dict[str, Any] | None, said: str
) -> None:
    path = fit(recalibrate="temperature", epochs=1).save(tmp_path / "run")
    file = path / FILE
    if change is None:
        file.unlink()
    else:
        told = {**json.loads(file.read_text()), **change}
        file.write_text(json.dumps({name: v for name, v in told.items() if v is not ...}))
    with pytest.raises(RunFolderError, match=said):
        FusionClassifier.load(path)


def test_without_val_there_is_nothing_to_go_by() -> None:
    made = FusionClassifier(recalibrate="isotonic", validation_fraction=0.0)
    with pytest.raises(ConfigError, match="--recalibrate isotonic needs labelled items in val"):
        made.fit(X, Y)


def test_a_plain_fit_after_a_recalibrated_one_is_plain(plain: FusionClassifier) -> None:
    again = fit(recalibrate="temperature").set_params(recalibrate="none")
    again.fit({"text": X["text"][:160]}, Y[:160], validation=(VAL, Y[160:]))
    np.testing.assert_array_equal(again.predict_proba(X), plain.predict_proba(X))


def test_a_network_without_posterior_is_recalibrated_too() -> None:
    twin, plain = fit(elbo="none", recalibrate="temperature"), fit(elbo="none")
    assert twin.recalibration_ is not None
    np.testing.assert_array_equal(twin.sample_proba(X), twin.recalibration_(plain.sample_proba(X)))
