"""Members of a mixture: each as if it were alone, all of them in every prediction."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bayesfuse import FusionClassifier
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError, RunFolderError
from bayesfuse.estimator.explanations import iter_explanations
from bayesfuse.estimator.gate_means import iter_gates
from bayesfuse.estimator.inference_data import inference_data
from bayesfuse.estimator.model import of_member
from bayesfuse.evaluation.thresholds import best_thresholds
from bayesfuse.inference.history import Step

NUM_ITEMS = 80
SMALL = {
    **{"hidden": 6, "classifier_hidden": 6, "graph_heads": 2, "graph_width": 3, "device": "cpu"},
    **{"epochs": 2, "annealing_epochs": 1, "batch_size": 40, "draws": 6, "val_draws": 2},
    **{"init_scale": 0.1, "compile": "off"},
}


def make_catalog() -> Catalog:
    rng = np.random.default_rng(0)
    values = {m: rng.normal(size=(NUM_ITEMS, 3)).astype(np.float32) for m in ("text", "image")}
    return Catalog(
        source="items",
        ids=np.array([f"i{i}" for i in range(NUM_ITEMS)]),
        titles=None,
        label_names=("A", "B"),
        labels=(values["text"][:, :2] + rng.normal(size=(NUM_ITEMS, 2)) > 0).astype(np.float32),
        labelled=np.ones(NUM_ITEMS, dtype=np.bool_),
        split=rng.choice(["train", "val"], NUM_ITEMS, p=[0.8, 0.2]),
        features=FeatureTable.from_arrays(values),
        raw={},
        encoders={},
        people={"director": [[f"d{i % 9}"] if i % 4 else [] for i in range(NUM_ITEMS)]},
    )


def fit(**changes: object) -> FusionClassifier:
    return FusionClassifier(**{**SMALL, **changes}).fit(make_catalog())


@pytest.fixture(scope="module", params=["none", "people"])
def mixed(request: pytest.FixtureRequest) -> FusionClassifier:
    return fit(members=3, graph=request.param)


def test_draws_are_of_each_member_in_turn_and_as_if_it_were_alone(mixed):
    catalog = make_catalog()
    draws = mixed.sample_proba(catalog, 6)
    first = fit(graph=mixed.graph)  # of the same seed: the first member
    np.testing.assert_array_equal(draws[::3], first.sample_proba(catalog, 6)[::3])
    for number in (1, 2):  # each of the others has its own seed, and draws of the fit's
        alone = fit(graph=mixed.graph, seed=of_member(mixed.config_, number).seed)
        expected = alone.sample_proba(catalog, 6, seed=mixed.seed)[number::3]
        np.testing.assert_allclose(draws[number::3], expected, rtol=0, atol=1e-6)
        assert np.abs(expected - draws[::3]).max() > 0.01  # the control: members differ


def test_training_learns_what_share_of_the_sources_says_so() -> None:
    shown = np.random.default_rng(1).random((NUM_ITEMS, 2)) < 0.5
    shares = np.where(shown, 0.65, 0.35).astype(np.float32)
    sources = dataclasses.replace(
        make_catalog(),
        split=np.full(NUM_ITEMS, "train"),
        features=FeatureTable.from_arrays({"text": shown.astype(np.float32)}),
        labels=shown.astype(np.float32),
        label_shares=shares,
    )
    settings = {
        **SMALL,
        "elbo": "none",
        "epochs": 60,
        "dropout": 0.0,
        "classifier_learning_rate": 0.02,
    }
    told, hard = (
        FusionClassifier(**settings).fit(given)
        for given in (sources, dataclasses.replace(sources, label_shares=None))
    )
    error, control = (np.abs(m.predict_proba(sources) - shares).mean() for m in (told, hard))
    assert error < 0.04
    assert control > 0.1
    assert told.label_counts_.tolist() == np.rint(shares.sum(axis=0)).tolist()


def test_what_is_fitted_after_training_is_of_all_members(mixed):
    catalog = make_catalog()
    val = catalog.labelled_rows("val")
    probability = mixed.sample_proba(catalog).mean(axis=0)[val]
    np.testing.assert_allclose(
        mixed.thresholds_, best_thresholds(probability, catalog.labels[val]), atol=1e-6
    )
    assert len(mixed.results_) == 3
    assert mixed.result_ is mixed.results_[0]
    each = [dataclasses.replace(m, others=()).num_parameters for m in mixed.model_.members]
    assert mixed.model_.num_parameters["variational"] == sum(m["variational"] for m in each)


def test_a_mixture_is_saved_and_read_whole(mixed, tmp_path):
    catalog = make_catalog()
    mixed.save(tmp_path / "run")
    read = FusionClassifier.load(tmp_path / "run")
    np.testing.assert_array_equal(read.sample_proba(catalog), mixed.sample_proba(catalog))
    assert read.results_ == mixed.results_
    (tmp_path / "run" / "history-3.csv").unlink()
    with pytest.raises(RunFolderError, match="not complete"):
        FusionClassifier.load(tmp_path / "run")


def test_everything_that_looks_at_draws_takes_a_mixture(mixed):
    catalog = mixed.link(make_catalog())
    gates = np.concatenate(
        list(iter_gates(mixed, catalog.features, draws=3, seed=mixed.seed)), axis=1
    )
    assert gates.shape[:2] == (3, NUM_ITEMS)
    assert np.abs(gates[0] - gates[1]).max() > 1e-3
    kept = inference_data(mixed, catalog.features, draws=6).posterior
    assert set(kept.data_vars) == {site.name for site in mixed.model_.lifted.sites}
    if mixed.graph == "people":
        (table,) = iter_explanations(mixed, catalog, np.arange(NUM_ITEMS))
        assert max(table["attention_sd"].to_pylist()) > 0
    with pytest.raises(ConfigError, match="a mixture of 3 members"):
        mixed.sample_proba(catalog, 6, kind="marginal")
    with pytest.raises(ConfigError, match=r"draws is 2; expected at least 3"):
        mixed.sample_proba(catalog, 2)


def test_steps_tell_whose_they_are_and_an_interrupt_ends_all():
    seen: list[int] = []

    def look(step: Step) -> None:
        seen.append(step.member)
        if step.member == 1 and step.epoch == 1:
            raise KeyboardInterrupt

    mixed = FusionClassifier(**SMALL, members=4).fit(make_catalog(), on_step=look)
    assert sorted(set(seen)) == [0, 1]
    assert [result.stopped for result in mixed.results_] == ["finished", "interrupted"]
    assert len(mixed.sample_proba(make_catalog())) == 6


def test_an_interrupted_mixture_is_read_with_the_members_that_it_has(tmp_path):
    def interrupt(step: Step) -> None:
        if step.member == 1 and step.epoch == 1:
            raise KeyboardInterrupt

    mixed = FusionClassifier(**SMALL, members=4).fit(make_catalog(), on_step=interrupt)
    mixed.save(tmp_path / "run")
    read = FusionClassifier.load(tmp_path / "run")
    assert len(read.model_.members) == 2
    expected = mixed.sample_proba(make_catalog())
    np.testing.assert_array_equal(read.sample_proba(make_catalog()), expected)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"elbo": "none", "members": 2}, "--elbo none has no posterior"),
        ({"members": 9}, r"members is 9 and draws 6; .*Have --draws 9 or more"),
    ],
)
def test_members_that_cannot_be_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        fit(**changes)


def test_a_plateau_needs_items_to_wait_for():
    catalog = dataclasses.replace(make_catalog(), split=np.full(NUM_ITEMS, "train"))
    classifier = FusionClassifier(**SMALL, learning_rate_decay="plateau", elbo="none")
    with pytest.raises(ConfigError, match="waits for a score on val"):
        classifier.fit(catalog)


def test_the_score_that_is_monitored_is_measured_and_others_are_not():
    plain, told = (fit(elbo="none", monitor=name) for name in ("nll", "macro-f1"))
    assert all(np.isnan(row.val_macro_f1) for row in plain.history_)
    best = max(told.history_, key=lambda row: row.val_macro_f1)
    assert told.result_.best_epoch == best.epoch
