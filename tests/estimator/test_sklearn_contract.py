"""scikit-learn's own checks of an estimator, and the tools of scikit-learn around it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from bayesfuse import FusionClassifier

MODALITIES = {"text": slice(0, 3), "image": [3, 4]}


def estimator(**changes: object) -> FusionClassifier:
    """Return a network small enough for hundreds of fits that still learns what checks ask for."""
    settings: dict[str, object] = {
        "hidden": 16,
        "classifier_hidden": 16,
        "dropout": 0.0,
        "epochs": 6,
        "annealing_epochs": 2,
        "learning_rate": 0.02,
        "classifier_learning_rate": 0.02,
        "batch_size": 64,
        "draws": 8,
        "val_draws": 4,
        "device": "cpu",
    }
    return FusionClassifier(**{**settings, **changes})


@pytest.fixture(autouse=True)
def one_thread():
    """Run products of 16 x 16 on one thread: more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# No check is expected to fail. Two skip themselves: one for the array API, which scikit-learn only
# looks at where it is switched on, and one for `decision_function`, which probabilities replace.
@parametrize_with_checks([estimator()])
def test_scikit_learn_checks(estimator: FusionClassifier, check: Callable[..., None]) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """Return 2-D features of two modalities and three labels that hang on them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 5)) * [1, 5, 1, 10, 1] + [0, 0, 3, 0, 7]
    signs = (X - X.mean(axis=0)) @ rng.normal(size=(5, 3)) / X.std()
    return X, (signs + 0.3 * rng.normal(size=(150, 3)) > 0).astype(int)


def neg_log_loss(classifier: FusionClassifier, X: np.ndarray, y: np.ndarray) -> float:
    """Score probabilities of many labels, which scikit-learn's `neg_log_loss` does not take."""
    p = classifier.predict_proba(X)
    return -float(np.mean([log_loss(y[:, c], p[:, c], labels=[0, 1]) for c in range(y.shape[1])]))


def test_clone_has_the_parameters_and_nothing_that_was_fitted(data):
    original = estimator(modalities=MODALITIES, prior_scale={"fusion.*": 0.2}).fit(*data)
    copy = clone(original)
    assert copy.get_params() == original.get_params()
    assert not hasattr(copy, "model_")
    np.testing.assert_array_equal(
        copy.fit(*data).predict_proba(data[0]), original.predict_proba(data[0])
    )


def test_pipeline_with_a_scaler(data):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), estimator(modalities=MODALITIES)).fit(X, y)
    assert pipeline.predict_proba(X).shape == y.shape
    assert pipeline.score(X, y) > 2 * np.mean([np.mean((y == row).all(axis=1)) for row in y])
    assert pipeline[-1].n_features_in_ == 5


@pytest.mark.parametrize(
    "scoring",
    [neg_log_loss, make_scorer(lambda y, p: float((y == p).mean()))],
    ids=["probabilities", "tags"],
)
def test_grid_search_of_several_labels(data, scoring):
    grid = {
        "fusionclassifier__hidden": np.array([4, 8]),  # NumPy's own integers, as np.arange gives
        "fusionclassifier__prior_scale": [0.1, "fan-in"],
    }
    pipeline = make_pipeline(StandardScaler(), estimator(modalities=MODALITIES, epochs=3))
    search = GridSearchCV(pipeline, grid, scoring=scoring, cv=2, error_score="raise").fit(*data)
    assert search.best_params_["fusionclassifier__hidden"] in (4, 8)
    assert len(set(search.cv_results_["mean_test_score"])) > 1, "settings change nothing"
    assert search.predict(data[0]).shape == data[1].shape


def test_settings_that_are_numpy_scalars(data):
    of_numpy = estimator(hidden=np.int64(4), learning_rate=np.float32(0.5), seed=np.uint8(3))
    config = of_numpy.config()
    assert (config.hidden, config.learning_rate, config.seed) == (4, 0.5, 3)


def test_cross_validation(data):
    X, y = data
    probability = cross_val_predict(estimator(), X, y, cv=3, method="predict_proba")
    assert probability.shape == y.shape
    assert neg_log_loss_of(probability, y) < neg_log_loss_of(np.tile(y.mean(axis=0), (150, 1)), y)
    assert cross_val_score(estimator(), X, y, cv=2, scoring=neg_log_loss).shape == (2,)


def neg_log_loss_of(p: np.ndarray, y: np.ndarray) -> float:
    """Return the mean negative log likelihood of a label, in nats."""
    return float(-np.mean(np.log(np.where(y == 1, p, 1 - p))))
