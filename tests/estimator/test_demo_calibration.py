"""The embedded catalogue's true probabilities against what the estimator says, as it comes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from bayesfuse import FusionClassifier
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.demo import write_demo
from bayesfuse.data.features import FeatureTable
from bayesfuse.encoders.catalogues import encode_catalog
from bayesfuse.evaluation import expected_calibration_error

pytestmark = pytest.mark.slow

SLOPE_SLACK = np.log(1.25)
"""How far logits may be too large or too small on the whole: a quarter."""

NLL_GAP = 0.1
"""Nats a label more than the exact probabilities: TF-IDF and colour histograms of 1,200 items do
not say all that the words and palettes say. Base rates have 0.23 more, a fit about 0.08."""

Array = NDArray[np.float64]


class Demo(NamedTuple):
    """The encoded catalogue, and its test items with their exact probabilities."""

    catalog: Catalog
    items: FeatureTable
    exact: Array
    labels: Array

    def rows(self, split: str) -> tuple[FeatureTable, NDArray[np.int64]]:
        rows = self.catalog.rows(split)
        return self.catalog.features.take(rows), self.catalog.labels[rows].astype(np.int64)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = write_demo(tmp_path_factory.mktemp("calibration") / "demo")
    catalog, _ = encode_catalog(Catalog.read(folder))
    truth = pd.read_parquet(folder / "truth.parquet")
    table = truth.pivot(index="id", columns="label", values="text_image")
    exact = table.loc[catalog.ids, list(catalog.label_names)].to_numpy()
    test = catalog.rows("test")
    return Demo(catalog, catalog.features.take(test), exact[test], catalog.labels[test])


@pytest.fixture(scope="module")
def fitted(demo: Demo) -> FusionClassifier:
    return FusionClassifier().fit(demo.catalog)


@pytest.fixture(scope="module")
def predicted(demo: Demo, fitted: FusionClassifier) -> Array:
    return fitted.predict_proba(demo.items)


def cross_entropy(exact: Array, predicted: Array) -> float:
    """Return the expected NLL of predictions over all labels that could be drawn, nats a label."""
    p = predicted.clip(1e-7, 1 - 1e-7)
    return float(-(exact * np.log(p) + (1 - exact) * np.log1p(-p)).mean())


def log_slope(exact: Array, predicted: Array) -> float:
    """Return log b of the fit logit p = a + b logit(predicted): 0 where it is calibrated."""
    x = logit(predicted.clip(1e-6, 1 - 1e-6)).ravel()
    p = exact.ravel()
    labels = np.repeat([1, 0], p.size)
    fit = LogisticRegression(C=np.inf).fit(
        np.tile(x, 2)[:, None], labels, sample_weight=np.concatenate([p, 1 - p])
    )
    return float(np.log(fit.coef_[0, 0]))


def calibration_faults(demo: Demo, predicted: Array, failure_rate: float) -> set[str]:
    """Return which of four looks at the predictions of the test items find them wrong.

    Bounds by sampling are those of a normal tail at the failure rate, its mean and spread from
    redrawn labels (ECE) or items (slope, mean).
    """
    rng = np.random.default_rng(0)
    tail = float(stats.norm.isf(failure_rate / 2))
    faults = set()

    def ece(labels: Array) -> float:
        return expected_calibration_error(predicted, labels)

    true_to_word = [ece(rng.random(predicted.shape) < predicted) for _ in range(200)]
    if ece(demo.labels) > np.mean(true_to_word) + tail * np.std(true_to_word):
        faults.add("ece")

    redrawn = rng.integers(len(predicted), size=(40, len(predicted)))
    slopes = [log_slope(demo.exact[rows], predicted[rows]) for rows in redrawn]
    if abs(log_slope(demo.exact, predicted)) > SLOPE_SLACK + tail * np.std(slopes):
        faults.add("slope")

    of_items = (predicted - demo.exact).mean(axis=1)
    standard_error = of_items.std() / len(of_items) ** 0.5
    if abs(of_items.mean()) > 0.02 + tail * standard_error:
        faults.add("mean")

    if cross_entropy(demo.exact, predicted) > cross_entropy(demo.exact, demo.exact) + NLL_GAP:
        faults.add("nll")
    return faults


def test_default_settings_are_calibrated(demo: Demo, predicted: Array, failure_rate: float) -> None:
    assert calibration_faults(demo, predicted, failure_rate) == set()


def test_exact_probabilities_are_calibrated(demo: Demo, failure_rate: float) -> None:
    assert calibration_faults(demo, demo.exact, failure_rate) == set()


def test_broken_predictions_are_found_out(
    demo: Demo, predicted: Array, failure_rate: float
) -> None:
    logits = logit(predicted.clip(1e-6, 1 - 1e-6))
    broken = {
        "sharpened": (expit(2 * logits), {"ece", "slope"}),
        "flattened": (expit(0.4 * logits), {"ece", "slope", "mean"}),
        "too high": (0.9 * predicted + 0.1, {"ece", "mean"}),
        "base rates": (np.tile(demo.exact.mean(axis=0), (len(predicted), 1)), {"nll"}),
        "of other items": (predicted[::-1], {"slope", "nll"}),
    }
    for name, (probability, faults) in broken.items():
        assert calibration_faults(demo, probability, failure_rate) >= faults, name


def test_overfitted_twin_is_found_out(demo: Demo, failure_rate: float) -> None:
    # neither posterior, nor dropout, nor an epoch chosen by the val split
    twin = FusionClassifier(elbo="none", dropout=0.0, validation_fraction=0.0)
    predicted = twin.fit(*demo.rows("train")).predict_proba(demo.items)
    faults = calibration_faults(demo, predicted, failure_rate)
    assert faults >= {"ece", "slope", "nll"}


def test_probabilities_are_nearer_than_base_rates(
    demo: Demo, predicted: Array, failure_rate: float
) -> None:
    # paired by item: half of the distance that base rates have is gone
    def p_value(probability: Array) -> float:
        found = np.abs(probability - demo.exact).mean(axis=1)
        base = np.abs(demo.exact.mean(axis=0) - demo.exact).mean(axis=1)
        return float(stats.ttest_rel(found, base / 2, alternative="greater").pvalue)

    assert p_value(predicted) > failure_rate
    assert p_value(predicted[::-1]) < failure_rate
    assert p_value(0.7 * predicted + 0.3 * demo.exact.mean(axis=0)) < failure_rate


def test_label_that_no_training_item_has_is_at_its_base_rate(demo: Demo) -> None:
    catalog = demo.catalog
    labels = catalog.labels.copy()
    learned = ~np.isin(catalog.split, ["test"])
    labels[learned, 2] = 0
    labels[learned, 5] = 0
    labels[np.flatnonzero(catalog.split == "train")[0], 5] = 1  # one is enough to learn from
    without = dataclasses.replace(catalog, labels=labels)
    fitted = FusionClassifier(epochs=2, annealing_epochs=1).fit(without)
    probability = fitted.predict_proba(demo.items)
    num_train = len(catalog.rows("train"))
    assert probability[:, 2] == pytest.approx(0.5 / (num_train + 1), rel=0.05)
    assert np.ptp(probability[:, 2]) == 0
    assert np.ptp(probability[:, 5]) > 0
    assert (probability[:, 2] > 0).all()


def mutual_information(fitted: FusionClassifier, items: FeatureTable) -> Array:
    """Return the epistemic uncertainty of every item, mean over labels, in nats."""
    return fitted.uncertainty(items).epistemic.mean(axis=1)


def hide(items: FeatureTable, name: str) -> FeatureTable:
    """Return the same items as if one modality had not been observed."""
    arrays, observed = items.batch(np.arange(items.num_items))
    masks = dict(zip(items.names, observed.T, strict=True))
    return FeatureTable.from_arrays(arrays, masks | {name: np.zeros_like(masks[name])})


def complete(items: FeatureTable) -> FeatureTable:
    return items.take(np.flatnonzero(items.observed.all(axis=1)))


@pytest.fixture
def wider_without(demo: Demo) -> Callable[[FusionClassifier, str], float]:
    """Return the p-value of hiding a modality making the same items no more uncertain."""

    def test(fitted: FusionClassifier, name: str) -> float:
        items = complete(demo.items)
        more = mutual_information(fitted, hide(items, name)) - mutual_information(fitted, items)
        return float(stats.wilcoxon(more, alternative="greater").pvalue)

    return test


def test_items_without_a_plot_or_a_poster_are_less_certain(
    demo: Demo, fitted: FusionClassifier, failure_rate: float
) -> None:
    information = mutual_information(fitted, demo.items)
    rng = np.random.default_rng(0)
    for column, name in enumerate(demo.items.names):
        lacks = ~demo.items.observed[:, column]

        def p_value(lacks: NDArray[np.bool_]) -> float:
            test = stats.mannwhitneyu(
                information[lacks], information[~lacks], alternative="greater"
            )
            return float(test.pvalue)

        assert p_value(lacks) < failure_rate, name
        assert p_value(rng.permutation(lacks)) > failure_rate, name


@pytest.mark.parametrize("name", ["text", "image"])
def test_hiding_a_modality_widens_the_same_items(
    fitted: FusionClassifier,
    wider_without: Callable[[FusionClassifier, str], float],
    name: str,
    failure_rate: float,
) -> None:
    assert wider_without(fitted, name) < failure_rate


def test_a_modality_that_no_training_item_lacked_stays_as_wide_as_its_prior(
    demo: Demo, wider_without: Callable[[FusionClassifier, str], float], failure_rate: float
) -> None:
    table, labels = demo.rows("train")
    rows = np.flatnonzero(table.observed.all(axis=1))
    train, val = (table.take(rows), labels[rows]), demo.rows("val")
    fitted = FusionClassifier(epochs=20).fit(*train, validation=val)
    for name in train[0].names:
        assert wider_without(fitted, name) < failure_rate
    # a guide that starts narrow everywhere never learns that it knows nothing there
    narrow = FusionClassifier(epochs=20, init_scale=0.003).fit(*train, validation=val)
    assert wider_without(narrow, "text") > failure_rate
