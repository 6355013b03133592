"""From a goal to a rule: what is chosen, on which items, and what is said of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bayesfuse.config import DecideConfig, FitConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.classifier import FusionClassifier
from bayesfuse.estimator.deciding import Decided, achieved_by, decide_run
from bayesfuse.estimator.rules import rule_of, write_rule
from bayesfuse.estimator.run_folder import save_run
from bayesfuse.estimator.workflow import Run
from bayesfuse.evaluation.achieved import achieved
from bayesfuse.evaluation.thresholds import best_threshold, best_thresholds

NAMES = ("Comedy", "Drama", "Horror")
SMALL: dict[str, Any] = {
    **{"hidden": 8, "classifier_hidden": 8, "epochs": 8, "annealing_epochs": 1, "draws": 8},
    **{"val_draws": 2, "learning_rate": 0.02, "classifier_learning_rate": 0.02},
}


def make_catalog(source: str = "films.csv") -> Catalog:
    rng = np.random.default_rng(0)
    text = rng.normal(size=(900, 5)).astype(np.float32)
    labels = (text[:, :3] + 0.3 * rng.normal(size=(900, 3)) > (0.2, 0.4, 1.5)).astype(np.float32)
    return Catalog(
        source=source,
        raw={},
        encoders={},
        people={},
        ids=np.array([f"i{i}" for i in range(900)]),
        titles=None,
        features=FeatureTable.from_arrays({"text": text}),
        labels=labels,
        label_names=NAMES,
        labelled=np.ones(900, bool),
        split=np.array([("train", "val", "val")[i % 3] for i in range(900)]),
    )


@pytest.fixture(scope="module")
def run() -> Run:
    catalog = make_catalog()
    classifier = FusionClassifier(**SMALL).fit(catalog)
    return Run(classifier, FitConfig(**SMALL), catalog, catalog.rows("val"))


@pytest.fixture
def path(run: Run, tmp_path: Path) -> Path:
    return save_run(
        run.classifier, tmp_path / "run", environment={"catalog": str(Path("films.csv"))}
    )


@pytest.fixture
def known(run: Run, tmp_path: Path) -> Path:
    """Return a run folder that says that it was fitted on this very catalogue."""
    where = {"catalog": str(Path("films.csv").absolute())}
    return save_run(run.classifier, tmp_path / "known", environment=where)


def decided(path: Path, run: Run, split: str = "val", **given: Any) -> Decided:
    return decide_run(path, run, DecideConfig(**given), split=split)


def mean_and_labels(run: Run) -> tuple[np.ndarray, np.ndarray]:
    mean = run.classifier.predict_proba(run.catalog.features.take(run.rows))
    return mean, run.catalog.labels[run.rows]


def test_each_goal_is_its_own_rule(path: Path, run: Run, tmp_path: Path) -> None:
    mean, labels = mean_and_labels(run)
    costs = tmp_path / "costs.csv"
    costs.write_text("label,false_positive,false_negative\nHorror,1,9\n*,1,1\n")
    f1 = decided(path, run, goal="f1")
    np.testing.assert_array_equal(f1.rule.thresholds, best_thresholds(mean, labels))
    micro = decided(path, run, goal="micro-f1")
    np.testing.assert_array_equal(micro.rule.thresholds, [best_threshold(mean, labels)] * 3)
    assert decided(path, run, goal="half").rule.thresholds.tolist() == [0.5] * 3
    assert decided(path, run, top_k=2).achieved.scores["tags"].estimate == 2
    cost = decided(path, run, costs=str(costs))
    np.testing.assert_allclose(cost.rule.thresholds, [0.5, 0.5, 0.1])
    same = decided(path, run, false_negative=9.0)
    np.testing.assert_allclose(same.rule.thresholds, [0.1] * 3)
    assert cost.achieved.scores["cost"].estimate > 0
    for one in (f1, micro, cost):
        told = json.loads(json.dumps(one.to_dict(), allow_nan=False))
        assert told["goal"] == one.rule.goal
        assert told["about"]["items"] == 600
        assert str(one)


def test_the_goal_is_reached_best_by_its_own_rule(path: Path, run: Run) -> None:
    found = {
        goal: decided(path, run, **given).achieved.scores
        for goal, given in {
            "f1": {"goal": "f1"},
            "micro-f1": {"goal": "micro-f1"},
            "half": {"goal": "half"},
        }.items()
    }
    macro = {goal: scores["macro_f1"].estimate for goal, scores in found.items()}
    assert macro["f1"] > max(macro["micro-f1"], macro["half"])
    # of one threshold for all labels
    assert found["micro-f1"]["micro_f1"].estimate >= found["half"]["micro_f1"].estimate


@pytest.mark.parametrize("measure", ["precision", "recall"])
def test_a_guarantee_is_kept_on_items_that_did_not_choose(
    path: Path, run: Run, measure: str
) -> None:
    wish = {f"min_{measure}": 0.8}
    pooled = decided(path, run, hold_out=0.5, **wish)
    assert pooled.on_others
    assert pooled.achieved.num_items == 300
    assert pooled.guarantees[0].kept
    assert pooled.achieved.scores[f"item_{measure}"].estimate > 0.8
    assert "guaranteed with confidence 0.9" in str(pooled)
    each = decided(path, run, guarantee="label", **wish)
    assert len(each.guarantees) == 3
    for one, found in zip(each.achieved.labels, each.guarantees, strict=True):
        if found.kept:
            assert getattr(one, measure).estimate == pytest.approx(found.observed)
            assert found.observed > 0.8


def test_what_cannot_be_guaranteed_is_never_tagged_and_told(path: Path, run: Run) -> None:
    few = dataclasses.replace(run, rows=run.rows[:40])
    found = decided(path, few, min_precision=0.95, guarantee="label")
    assert np.isinf(found.rule.thresholds).all()
    assert len(found.warnings) <= 2
    told = " ".join(found.warnings)
    assert all(name in told for name in NAMES)
    for words in (
        "A precision of 0.95 cannot be guaranteed with confidence 0.9, since 40 items are too few",
        "What cannot be guaranteed is never tagged.",
    ):
        assert words in found.warnings[0]
    assert "guaranteed with confidence" not in str(found)
    assert "never" in str(found)
    (pooled,) = decided(path, few, min_recall=0.99).warnings
    assert "So many like these would do: all labels together about " in pooled
    assert pooled.endswith("What cannot be guaranteed is always tagged.")


def test_items_of_the_fit_are_told_apart(path: Path, known: Path, run: Run) -> None:
    assert decided(path, run, min_recall=0.5).warnings == ()
    assert decided(known, run, goal="f1").warnings == ()
    (chose,) = decided(known, run, min_recall=0.5).warnings
    assert "chose the epoch of the fit" in chose
    assert decided(known, run, "test", min_recall=0.5).warnings == ()
    (trained,) = decided(known, run, "train", goal="f1").warnings
    assert "trained on some of these items" in trained
    with pytest.raises(ConfigError, match="nothing can be guaranteed by them"):
        decided(known, run, "train", min_recall=0.5)


def test_items_held_out_depend_on_the_seed_alone(path: Path, run: Run) -> None:
    def cuts(seed: int) -> list[float]:
        settings = DecideConfig(goal="f1", hold_out=0.25)
        found = decide_run(path, run, settings, split="val", draws=2, seed=seed)
        return list(found.rule.thresholds)

    assert cuts(1) == cuts(1) != cuts(2)
    with pytest.raises(ConfigError, match="leaves 2 to choose and 0 to tell"):
        decided(path, dataclasses.replace(run, rows=run.rows[:2]), goal="f1", hold_out=0.1)


def test_more_tags_than_labels_are_refused(path: Path, run: Run) -> None:
    with pytest.raises(ConfigError, match="--top-k is 4, and the run has 3 labels"):
        decided(path, run, top_k=4)


def test_a_decided_run_tags_by_it_also_when_saved_again(path: Path, run: Run) -> None:
    X = run.catalog.features.take(run.rows)
    write_rule(decided(path, run, top_k=1).rule, NAMES, path)
    again = FusionClassifier.load(path)
    assert (again.predict(X).sum(axis=1) == 1).all()
    assert not (run.classifier.predict(X).sum(axis=1) == 1).all()
    twice = FusionClassifier.load(again.save(path.with_name("twice")))
    np.testing.assert_array_equal(twice.predict(X), again.predict(X))
    assert again.fit(make_catalog()).rule_ is None


def test_what_a_rule_achieves_is_that_of_its_tags(run: Run) -> None:
    mean, labels = mean_and_labels(run)
    found = achieved_by(rule_of(run.classifier, "f1"), run)
    tags = mean >= run.classifier.thresholds_
    assert found.scores == achieved(tags, labels, NAMES).scores
