"""What ArviZ is told of a fitted classifier is what the classifier says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.estimator import FusionClassifier
from bayesfuse.estimator.inference_data import inference_data
from bayesfuse.inference.idata import has_inference_data, import_arviz, load, save

pytest.importorskip("xarray", reason="needs pip install 'bayesfuse[report]'")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

rng = np.random.default_rng(0)
X = {"text": rng.normal(size=(60, 4)), "image": rng.normal(size=(60, 3))}
Y = (X["text"][:, :3] + 0.2 * rng.normal(size=(60, 3)) > 0).astype(float)
IDS = np.array([f"f{i}" for i in range(60)])
KNOWN = np.arange(60) % 3 > 0
PART = np.where(KNOWN[:, None], Y, np.nan)


@pytest.fixture(scope="module")
def classifier() -> FusionClassifier:
    return FusionClassifier(hidden=6, epochs=4, annealing_epochs=2, draws=8, seed=5).fit(X, Y)


def test_every_group_is_what_the_classifier_says(classifier: FusionClassifier) -> None:
    found = inference_data(classifier, X, PART, ids=IDS)
    draws = classifier.sample_proba(X)
    told = found.posterior_predictive
    np.testing.assert_array_equal(told.probability.values[0], draws[:, KNOWN])
    np.testing.assert_array_equal(found.predictions.probability.values[0], draws[:, ~KNOWN])
    assert told.item.values.tolist() == IDS[KNOWN].tolist()
    assert found.predictions.item.values.tolist() == IDS[~KNOWN].tolist()
    np.testing.assert_array_equal(found.observed_data.y.values, Y[KNOWN])
    likely = np.where(Y[KNOWN] == 1, draws[:, KNOWN], 1 - draws[:, KNOWN])
    np.testing.assert_allclose(found.log_likelihood.y.values[0], np.log(likely), atol=1e-4)
    assert found.sample_stats.elbo.values.tolist() == [e.elbo for e in classifier.history_]
    predictive = classifier._predictive(5)
    for site, value in predictive.weights(3).items():
        np.testing.assert_array_equal(found.posterior[site].values[0, 3], value.numpy())
    assert found.attrs["seed"] == 5
    assert found.attrs["temperature"] == 1
    assert (found.attrs["loss"], found.attrs["beside_likelihood"]) == ("bce", "")


def test_the_prior_is_the_prior(classifier: FusionClassifier) -> None:
    found = inference_data(classifier, X, Y, draws=64)
    flat = np.concatenate([v.values.ravel() for v in found.prior.data_vars.values()])
    scale = classifier.config_.prior_scale
    assert isinstance(scale, float)
    # Laplace: mean absolute value b; its standard error is b / sqrt(n)
    assert abs(np.abs(flat).mean() / scale - 1) < 5 / flat.size**0.5
    posterior = np.concatenate([v.values.ravel() for v in found.posterior.data_vars.values()])
    assert abs(np.abs(posterior).mean() / scale - 1) > 5 / posterior.size**0.5
    prior = found.prior_predictive.probability.values
    assert prior.std(axis=1).mean() > found.posterior_predictive.probability.std(dim="draw").mean()


def test_replicates_are_drawn_from_the_probabilities(
    classifier: FusionClassifier, failure_rate: float
) -> None:
    told = inference_data(classifier, X, Y, draws=32).posterior_predictive
    p, y = told.probability.values.astype(float), told.y.values
    z = (y - p).sum() / np.sqrt((p * (1 - p)).sum())
    assert abs(z) < 4
    wrong = ((1 - y) - p).sum() / np.sqrt((p * (1 - p)).sum())
    assert abs(wrong) > abs(z)


def test_a_run_from_disk_says_the_same(classifier: FusionClassifier, tmp_path: Path) -> None:
    loaded = FusionClassifier.load(classifier.save(tmp_path / "run"))
    first = inference_data(classifier, X, PART, ids=IDS)
    path = save(inference_data(loaded, X, PART, ids=IDS), tmp_path / "idata.nc")
    again = load(path)
    for group in ("posterior", "prior", "posterior_predictive", "predictions", "log_likelihood"):
        assert again[group].equals(first[group]), group


def test_weights_are_thinned_when_large(classifier: FusionClassifier) -> None:
    found = inference_data(classifier, X, Y, draws=40, max_values=300)
    kept = sum(v.size for v in found.posterior.data_vars.values())
    assert kept < 2 * 300
    assert found.attrs["posterior_every_weight"] > 1
    assert found.attrs["posterior_draws_kept"] == found.posterior.sizes["draw"] == 20


def test_the_deterministic_twin_has_no_posterior() -> None:
    twin = FusionClassifier(hidden=4, epochs=2, elbo="none").fit(X, Y)
    found = inference_data(twin, X)
    assert "posterior" not in found
    assert "prior_predictive" not in found
    assert "observed_data" not in found
    assert found.predictions.sizes["draw"] == 1


def test_arviz_reads_it(classifier: FusionClassifier) -> None:
    arviz = import_arviz()
    if not has_inference_data(arviz):
        pytest.skip("ArviZ 1.x computes with other functions")
    found = inference_data(classifier, X, Y, draws=16)
    summary = arviz.summary(found, group="posterior", kind="stats")
    assert len(summary) == sum(v[0, 0].size for v in found.posterior.data_vars.values())


def test_mistakes_are_told(classifier: FusionClassifier) -> None:
    with pytest.raises(FeatureError, match=r"\(60, 3\)"):
        inference_data(classifier, X, Y[:, :2])
    with pytest.raises(FeatureError, match="5 ids"):
        inference_data(classifier, X, Y, ids=IDS[:5])
    with pytest.raises(ConfigError, match="draws is 0"):
        inference_data(classifier, X, Y, draws=0)
