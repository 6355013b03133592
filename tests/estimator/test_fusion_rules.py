"""The contract of every fusion rule, end to end: it fits, predicts, is read back and explains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bayesfuse import FeatureTable, FusionClassifier
from bayesfuse.config import CLASSIFIERS, FUSIONS, STEP_RULES
from bayesfuse.config.model import BERT_RULES, OWN_LOSSES
from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.estimator.contributions import log_odds, modality_contributions
from bayesfuse.estimator.training_warnings import training_warnings
from bayesfuse.graph.hiding import hide

NUM_ITEMS = 160
QUICK = ("gmu", "concat", "mult-gmu", "mmbt")
RULES = [pytest.param(f, marks=() if f in QUICK else pytest.mark.slow) for f in FUSIONS]
"""All rules; the slow tests go through those that the quick ones leave out."""

SETTINGS = {
    "hidden": 8,
    "classifier_hidden": 8,
    "dropout": 0.0,
    "epochs": 24,
    "annealing_epochs": 2,
    "learning_rate": 0.03,
    "classifier_learning_rate": 0.03,
    "batch_size": 40,
    "draws": 6,
    "val_draws": 3,
    "device": "cpu",
    "transformer_layers": 1,
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def items() -> tuple[FeatureTable, np.ndarray]:
    """Three modalities of which one in four is missing, and labels that hang on two of them."""
    rng = np.random.default_rng(0)
    widths = {"text": 4, "image": 3, "year": 1}
    values = {name: rng.normal(size=(NUM_ITEMS, width)) for name, width in widths.items()}
    observed = {name: rng.random(NUM_ITEMS) < 0.75 for name in widths}
    logits = np.stack([values["text"][:, 0], values["image"][:, 0]], axis=1)
    y = (rng.random(logits.shape) < 1 / (1 + np.exp(-5 * logits))).astype(int)
    return FeatureTable.from_arrays(values, observed), y


@pytest.fixture(scope="module")
def steps(items) -> tuple[FeatureTable, np.ndarray]:
    """The same labels, of texts of 0 to 5 steps and images of 6, beside a year."""
    vectors, y = items
    rng = np.random.default_rng(1)
    values, observed = vectors.batch(slice(None))
    lengths = {"text": rng.integers(0, 6, NUM_ITEMS), "image": np.full(NUM_ITEMS, 6)}
    arrays = {
        name: values[name][:, None] + 0.3 * rng.normal(size=(NUM_ITEMS, 6, values[name].shape[1]))
        for name in lengths
    }
    masks = {name: observed[:, column] for column, name in enumerate(vectors.names)}
    return FeatureTable.from_arrays(arrays | {"year": values["year"]}, masks, lengths), y


@pytest.fixture
def given(fusion, request) -> tuple[FeatureTable, np.ndarray]:
    """Items as a rule reads them: sequences, if it attends to steps."""
    found: tuple[FeatureTable, np.ndarray] = request.getfixturevalue(
        "steps" if fusion in STEP_RULES else "items"
    )
    return found


def nll(p: np.ndarray, y: np.ndarray) -> float:
    return float(-np.log(np.where(y == 1, p, 1 - p)).mean())


def fit(fusion: str, elbo: str, items: tuple[FeatureTable, np.ndarray]) -> FusionClassifier:
    changes: dict[str, object] = {}
    if fusion in BERT_RULES:
        changes = {"classifier_learning_rate": 0.01}
    elif fusion in ("centralnet", "swiglu", *STEP_RULES):
        # of so few items, priors of one scale leave nothing of a deep and narrow rule
        changes = {"prior_scale": "fan-in"}
    return FusionClassifier(fusion=fusion, elbo=elbo, **{**SETTINGS, **changes}).fit(*items)


@pytest.mark.parametrize("fusion", RULES)
def test_its_weights_have_a_posterior_and_it_is_read_back_as_it_was(given, fusion, tmp_path: Path):
    features, y = given
    fitted = fit(fusion, "annealed", given)
    sites = {site.name for site in fitted.model_.lifted.sites}
    weights = {f"fusion.{name}" for name, _ in fitted.model_.network.fusion.named_parameters()}
    if fusion in BERT_RULES:
        weights = {name for name in weights if name.startswith("fusion.absent.")}
    assert sites == weights
    p = fitted.predict_proba(features)
    assert nll(p, y) < 0.95 * nll(np.tile(y.mean(axis=0), (NUM_ITEMS, 1)), y)
    assert (fitted.sample_proba(features).std(axis=0) > 0).any()
    read = FusionClassifier.load(fitted.save(tmp_path / "run"), device="cpu")
    np.testing.assert_array_equal(read.predict_proba(features), p)
    assert read.model_.network.sequences == (("text", "image") if fusion in STEP_RULES else ())


@pytest.mark.parametrize("fusion", RULES)
def test_it_tells_without_a_modality_and_what_each_adds(given, fusion):
    features, y = given
    fitted = fit(fusion, "none", given)
    p = fitted.predict_proba(features)
    assert fitted.sample_proba(features).shape[0] == 1
    for name in ("text", "image"):
        without = fitted.predict_proba(hide(features, [name]))
        assert np.isfinite(without).all()
        assert nll(without, y) > nll(p, y)
    few = features.take(range(3))
    added = np.stack([one.mean.sum(axis=0) for one in modality_contributions(fitted, few)])
    nothing = log_odds(fitted, hide(few, ["text", "image", "year"]))
    np.testing.assert_allclose(added, (log_odds(fitted, few) - nothing)[0], atol=1e-4)


@pytest.mark.parametrize("elbo", ["annealed", "none"])
@pytest.mark.parametrize("fusion", RULES)
def test_it_takes_every_loss_and_an_adversary_and_is_read_back(given, fusion, elbo, tmp_path: Path):
    features, y = given
    beside = {"refiner": 0.1, "multi_similarity": 0.1, "contrastive": 0.1, "adversarial": 0.1}
    short = {**SETTINGS, "epochs": 3, "validation_fraction": 0.0}
    fitted = FusionClassifier(fusion=fusion, elbo=elbo, **short, **beside).fit(features, y)
    losses = fitted.model_.network.auxiliary
    assert {"refiner", "multi_similarity", "contrastive"} <= set(losses)
    assert ("own" in losses) == (fusion in OWN_LOSSES)
    before = FusionClassifier(fusion=fusion, elbo=elbo, **short).fit(features, y)
    p = fitted.predict_proba(features)
    assert not np.array_equal(p, before.predict_proba(features))
    told = any("refiner and multi-similarity" in w for w in training_warnings(fitted))
    assert told == (elbo != "none")
    read = FusionClassifier.load(fitted.save(tmp_path / "run"), device="cpu")
    np.testing.assert_array_equal(read.predict_proba(features), p)


@pytest.mark.parametrize("fusion", STEP_RULES)
def test_a_rule_that_reads_steps_joins_vectors_where_there_are_no_sequences(items, steps, fusion):
    features, _ = items
    short = {**SETTINGS, "epochs": 2, "annealing_epochs": 1}
    fits = [FusionClassifier(fusion=fusion, **short).fit(*given) for given in (items, steps)]
    words = "no modality is a sequence"
    told = [any(words in w for w in training_warnings(fitted)) for fitted in fits]
    assert told == [True, False]
    with pytest.raises(FeatureError, match="holds one vector an item; expected a sequence"):
        fits[1].predict_proba(features)
    hidden = fits[1].predict_proba(hide(steps[0], ["text"]))
    lacking = fits[1].predict_proba(steps[0].select(["image", "year"]))
    np.testing.assert_allclose(lacking, hidden, atol=1e-6)


@pytest.mark.parametrize("elbo", ["annealed", "none"])
@pytest.mark.parametrize("vectors", ["hadamard", "random"])
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_fixed_label_vectors_learn_and_are_read_back(
    items, classifier, vectors, elbo, tmp_path: Path
):
    features, y = items
    settings = {**SETTINGS, "classifier": classifier, "label_vectors": vectors}
    fitted = FusionClassifier(elbo=elbo, **settings).fit(features, y)
    p = fitted.predict_proba(features)
    assert nll(p, y) < 0.9 * nll(np.tile(y.mean(axis=0), (NUM_ITEMS, 1)), y)
    tensors = fitted.model_.tensors()
    assert "network.classifier.output.weight" in tensors
    learned = FusionClassifier(elbo=elbo, **{**settings, "label_vectors": "learned", "epochs": 1})
    fewer = learned.fit(features, y).model_.num_parameters["deterministic"]
    assert fewer - fitted.model_.num_parameters["deterministic"] == 8 * 2 - 1
    read = FusionClassifier.load(fitted.save(tmp_path / "run"), device="cpu")
    np.testing.assert_array_equal(read.predict_proba(features), p)


@pytest.fixture(scope="module")
def plain(items) -> FusionClassifier:
    return FusionClassifier(elbo="none", validation_fraction=0.0, **SETTINGS).fit(*items)


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "focal"},
        {"loss": "focal", "focal_alpha": 0.7},
        {"loss": "focal", "focal_gamma": 0.5},
        {"loss": "asymmetric"},
        {"label_smoothing": 0.2},
    ],
    ids=str,
)
def test_a_twin_learns_by_another_loss_and_a_posterior_does_not(
    items, plain, changes, tmp_path: Path
):
    features, y = items
    settings = {**SETTINGS, **changes, "validation_fraction": 0.0}  # 16 items choose no epoch
    fitted = FusionClassifier(elbo="none", **settings).fit(features, y)
    p = fitted.predict_proba(features)
    assert not np.allclose(p, plain.predict_proba(features), atol=1e-3)
    for label in range(2):
        there, away = p[y[:, label] == 1, label], p[y[:, label] == 0, label]
        assert (there[:, None] > away).mean() > 0.9  # the area under the ROC curve
    assert any("no likelihood" in warning for warning in training_warnings(fitted))
    read = FusionClassifier.load(fitted.save(tmp_path / "run"), device="cpu")
    assert {name: getattr(read, name) for name in changes} == changes
    with pytest.raises(ConfigError, match=r'no likelihood.*"annealed".*--elbo none'):
        FusionClassifier(**SETTINGS, **changes).fit(features, y)
