"""What a report shows of a run is what the run says of itself."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from bayesfuse.config import CatalogConfig, FitConfig
from bayesfuse.data.demo import make_demo, write_demo
from bayesfuse.estimator import catalogs
from bayesfuse.estimator.workflow import Run, evaluate_run, fit_run, open_run
from bayesfuse.evaluation.uncertainty import Predictive
from bayesfuse.report import ReportData
from bayesfuse.report.collect import LEFT_SHARE, collect
from bayesfuse.report.item_rows import SHOWN

DRAWS, SEED, ITEMS = 7, 3, 300
SETTINGS = {
    "hidden": 6,
    "classifier_hidden": 6,
    "epochs": 3,
    "annealing_epochs": 1,
    "draws": 4,
    "val_draws": 2,
    "device": "cpu",
    "temperature": 0.5,
    "modalities": "text",
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def small_demo() -> Iterator[None]:
    """Make the embedded catalogue one of 300 items, for the fit and for its truth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogs, "write_demo", functools.partial(write_demo, num_items=ITEMS))
        patch.setattr(
            "bayesfuse.report.collect.make_demo", functools.partial(make_demo, num_items=ITEMS)
        )
        yield


@pytest.fixture(scope="module")
def path(small_demo, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("report")
    return fit_run(None, place / "run", FitConfig.parse(SETTINGS)).path


@pytest.fixture(scope="module")
def run(path) -> Run:
    return open_run(path, None, CatalogConfig(), split="val", labelled=True)


@pytest.fixture(scope="module")
def data(path, run) -> ReportData:
    return collect(path, run, "val", DRAWS, SEED)


@pytest.fixture(scope="module")
def predictive(run) -> Predictive:
    return run.classifier.uncertainty(run.catalog.features.take(run.rows), DRAWS, SEED)


def test_what_was_evaluated(data, run):
    assert (data.split, data.num_items, data.num_draws) == ("val", 60, DRAWS)
    assert data.title == "demo: tags with honest probabilities"
    assert data.settings["hidden"] == 6
    assert "label_set" not in data.settings
    assert [row["epoch"] for row in data.history] == [0, 1, 2]
    assert data.best_epoch == run.classifier.result_.best_epoch
    assert data.versions["torch"] == torch.__version__


def test_scores_are_those_of_evaluate(data, run):
    scores = evaluate_run(run, draws=DRAWS, seed=SEED)
    assert data.metrics["macro_ap"] == pytest.approx(scores.average_precision.macro)
    assert data.metrics["nll"] == pytest.approx(scores.nll)
    assert data.metrics["brier"] == pytest.approx(scores.brier)
    assert data.metrics["ece_equal_mass"] == pytest.approx(scores.ece.equal_mass)
    assert data.metrics["ece_equal_width"] == pytest.approx(scores.ece.equal_width)
    assert scores.f1_at_thresholds is not None
    assert data.metrics["macro_f1"] == scores.f1_at_thresholds.macro
    assert set(data.metrics) >= {"micro_ap", "samples_ap", "micro_f1", "weighted_f1", "samples_f1"}


def test_labels_come_by_count_and_each_with_its_own_numbers(data, run):
    scores = {row.name: row for row in evaluate_run(run, draws=DRAWS, seed=SEED).labels}
    counts = [row.num_positives for row in data.labels]
    assert counts == sorted(counts, reverse=True)
    assert {row.name for row in data.labels} == set(run.catalog.label_names)
    for row in data.labels:
        score = scores[row.name]
        assert row.num_positives == score.positives
        assert row.base_rate == pytest.approx(score.positives / 60)
        assert row.brier == pytest.approx(score.brier)
        assert row.threshold == score.threshold
        assert row.f1 == pytest.approx(score.f1_at_threshold, nan_ok=True)
        assert row.average_precision == pytest.approx(score.average_precision, nan_ok=True)
    assert any(math.isnan(row.f1) for row in data.labels), "no label is without a positive here"
    assert not all(math.isnan(row.f1) for row in data.labels)


def test_curves_count_every_prediction(data):
    num_labels = len(data.labels)
    assert sum(data.reliability.count) == 60 * num_labels
    assert [curve.name for curve in data.label_reliability] == [row.name for row in data.labels]
    for curve, row in zip(data.label_reliability, data.labels, strict=True):
        assert sum(curve.count) == 60
        hits = np.dot(curve.observed, curve.count)
        assert hits == pytest.approx(row.num_positives)
        assert min(curve.count) > 0


def test_the_most_uncertain_items_come_first(data, run, predictive):
    total = predictive.total.sum(axis=1)
    expected = np.argsort(-total, kind="stable")
    assert [item.id for item in data.items] == run.catalog.ids[run.rows][expected].tolist()
    assert [item.uncertainty for item in data.items] == pytest.approx(total[expected].tolist())
    assert len(data.items) == 60
    assert data.num_left_to_person == round(LEFT_SHARE * 60)
    left = [item.left_to_person for item in data.items]
    assert left == [True] * 6 + [False] * 54
    titles = dict(zip(run.catalog.ids, run.catalog.titles, strict=True))
    assert all(item.title == titles[item.id] for item in data.items)


def test_tags_of_an_item(data, run, predictive):
    rows = {name: row for row, name in enumerate(run.catalog.ids[run.rows])}
    columns = {name: column for column, name in enumerate(run.classifier.label_names_)}
    labels = run.catalog.labels[run.rows]
    assert run.classifier.label_names_ == run.catalog.label_names
    for item in data.items:
        means = [tag.mean for tag in item.tags]
        assert means == sorted(means, reverse=True)
        shown = {tag.label for tag in item.tags}
        for label, c in columns.items():
            likely = predictive.quantiles[0.95][rows[item.id], c] >= SHOWN
            assert (likely or bool(labels[rows[item.id]][c])) == (label in shown)
        for tag in item.tags:
            place = rows[item.id], columns[tag.label]
            assert tag.mean == predictive.mean[place]
            assert tag.q05 == predictive.quantiles[0.05][place]
            assert tag.q95 == predictive.quantiles[0.95][place]
            assert tag.truth == bool(labels[place])
            assert tag.decision == (tag.mean > 0.5)


def test_the_decision_rule_can_be_chosen(path, run, data):
    other = collect(path, run, "val", DRAWS, SEED, decision="f1")
    cuts = dict(zip(run.classifier.label_names_, run.classifier.thresholds_, strict=True))
    tags = [tag for item in other.items for tag in item.tags]
    assert all(tag.decision == (tag.mean > cuts[tag.label]) for tag in tags)
    assert tags != [tag for item in data.items for tag in item.tags]


def test_epistemic_shares(data, predictive):
    expected = predictive.epistemic.sum(axis=1) / predictive.total.sum(axis=1)
    np.testing.assert_allclose(data.epistemic_shares, expected)
    assert ((expected > 0) & (expected < 1)).all()


def test_the_truth_of_the_embedded_demo(data, run, predictive):
    truth = make_demo(ITEMS).truth.set_index(["id", "label"])["text"]
    ids, labels = run.catalog.ids[run.rows], run.classifier.label_names_
    expected = [truth[(str(i), label)] for i in ids for label in labels]
    assert data.truth is not None
    assert list(data.truth.true) == expected
    assert list(data.truth.predicted) == predictive.mean.ravel().tolist()


def test_another_catalogue_has_no_known_truth(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_demo("demo", num_items=40, seed=1)  # by the same name, but not the same items
    other = open_run(path, "demo", CatalogConfig(), split="val", labelled=True)
    found = collect(path, other, "val", DRAWS, SEED)
    assert found.truth is None
    assert found.num_items == 8


def test_a_catalogue_named_by_a_dot_has_a_title(path, run):
    dotted = dataclasses.replace(run, catalog=dataclasses.replace(run.catalog, source="."))
    title = collect(path, dotted, "val", 1, SEED).title
    assert title == f"{Path.cwd().name}: tags with honest probabilities"


def test_every_warning_comes_once(path, run, data):
    assert any("temperature 0.5, not 1" in told for told in data.warnings)
    assert len(set(data.warnings)) == len(data.warnings)
    assert data.temperature == 0.5
    catalog = dataclasses.replace(run.catalog, warnings=("Half of it is missing.",))
    found = collect(path, dataclasses.replace(run, catalog=catalog), "val", 1, SEED)
    assert "Half of it is missing." in found.warnings


def test_the_run_can_be_fitted_again_from_what_is_told(data, path):
    assert data.command == (
        "bayesfuse fit --modalities text --hidden 6 --classifier-hidden 6 --temperature 0.5 "
        "--annealing-epochs 1 --epochs 3 --val-draws 2 --draws 4 --device cpu "
        "--out run-again"
    )
    assert data.typed == json.loads((path / "environment.json").read_text())["command"]


def test_an_environment_that_tells_nothing(path, run, tmp_path):
    bare = Path(shutil.copytree(path, tmp_path / "run"))
    (bare / "environment.json").write_text(json.dumps({}))
    found = collect(bare, run, "val", 1, SEED)
    assert (found.command, found.typed, found.versions) == ("", "", {})
    assert any("temperature 0.5, not 1" in told for told in found.warnings)


def test_the_twin_has_no_epistemic_share(tmp_path):
    twin = fit_run(None, tmp_path / "run", FitConfig.parse({**SETTINGS, "elbo": "none"})).path
    opened = open_run(twin, None, CatalogConfig(), split="val", labelled=True)
    assert set(collect(twin, opened, "val", 1, SEED).epistemic_shares) == {0.0}


def test_items_are_moved_where_that_is_asked_for_or_was_trained_for(path, run, data):
    assert data.statistics.robustness is None
    asked = collect(path, run, "val", 2, SEED, lengths=[0.2]).statistics.robustness
    assert [row.length for row in asked.rows] == [0, 0.2]
    trained = dataclasses.replace(run, config=run.config.model_copy(update={"adversarial": 0.1}))
    found = collect(path, trained, "val", 2, SEED).statistics.robustness
    assert [row.length for row in found.rows] == [0, 0.05, 0.1, 0.2]
    assert found.rows[3] == asked.rows[1]
