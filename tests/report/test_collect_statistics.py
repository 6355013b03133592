"""The statistical sections of a real run: the same numbers as the commands that they come from."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from bayesfuse.config import CatalogConfig, FitConfig
from bayesfuse.data.demo import write_demo
from bayesfuse.errors import ConfigError
from bayesfuse.estimator import catalogs
from bayesfuse.estimator.checking import check_run, strata_of
from bayesfuse.estimator.comparing import compare
from bayesfuse.estimator.missing import missing_table, without
from bayesfuse.estimator.workflow import Run, fit_run, known_labels, open_run
from bayesfuse.evaluation.uncertainty import summarise
from bayesfuse.report.collect_statistics import collect_statistics, competitors_of
from bayesfuse.report.statistics import Statistics
from bayesfuse.report.strata import ALL

DRAWS, SEED = 5, 3
SETTINGS = {
    "hidden": 6,
    "classifier_hidden": 6,
    "epochs": 3,
    "annealing_epochs": 1,
    "draws": 4,
    "val_draws": 2,
    "device": "cpu",
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogs, "write_demo", functools.partial(write_demo, num_items=1200))
        path = tmp_path_factory.mktemp("statistics") / "run"
        fit_run(None, path, FitConfig.parse(SETTINGS))
        return open_run(path, None, CatalogConfig(), split="val", labelled=True)


def collected(run: Run, **limits: int) -> Statistics:
    drawn = run.classifier.sample_proba(run.catalog.features.take(run.rows), DRAWS, SEED)
    labels = known_labels(run.classifier, run.catalog)[run.rows]
    return collect_statistics(run, drawn, summarise(drawn), labels, 0.5, seed=SEED, **limits)


@pytest.fixture(scope="module")
def found(run: Run) -> Statistics:
    return collected(run)


@pytest.mark.slow
def test_the_check_is_that_of_the_command(run: Run, found: Statistics) -> None:
    asked = {"draws": DRAWS, "seed": SEED, "guide_draws": 0, "replicates": 1000}
    assert found.check == check_run(run, "val", **asked).posterior


def test_labels_come_by_count(run: Run, found: Statistics) -> None:
    assert found.risks is not None
    labels = known_labels(run.classifier, run.catalog)[run.rows]
    counts = dict(zip(run.classifier.label_names_, labels.sum(axis=0).tolist(), strict=True))
    shown = [counts[curve.name] for curve in found.risks.labels]
    assert shown == sorted(counts.values(), reverse=True)


def test_strata_are_those_of_the_catalogue(run: Run, found: Statistics) -> None:
    counts = {name: int(mask.sum()) for name, mask in strata_of(run).items()}
    assert found.strata[0].name == ALL
    assert found.strata[0].num_items == len(run.rows)
    assert {"with text", "with image"} <= {one.name for one in found.strata}
    for one in found.strata[1:]:
        assert one.num_items == counts[one.name] >= 20


def test_missing_modalities_are_those_of_the_table(run: Run, found: Statistics) -> None:
    table = missing_table(run, draws=DRAWS, seed=SEED).rows
    assert [(row.name, row.share) for row in found.missing] == [(r.name, r.share) for r in table]
    assert [row.nll for row in found.missing] == [row.scores.nll for row in table]
    assert collected(without(run, ["text"])).missing == ()


def test_a_part_of_many_items_is_told(run: Run) -> None:
    some = collected(run, max_items=100, max_hidden=50)
    assert some.check is not None
    assert some.check.num_items == 100
    assert some.strata[0].num_items == len(run.rows)
    assert [note.split(" items, ")[0][-3:].strip() for note in some.notes] == ["100", "50"]
    assert collected(run).notes == []


def test_a_comparison_of_these_items_is_taken_and_others_are_not(run: Run, tmp_path: Path) -> None:
    only = ["twin"]
    catalog = run.catalog
    made = compare(catalog, run.config, only=only, replicates=20)
    path = tmp_path / "compare.json"
    path.write_text(json.dumps(made.to_dict()))
    labels = known_labels(run.classifier, catalog)[run.rows]
    rows = competitors_of(path, run, "val", labels).rows
    assert [row.name for row in rows] == ["bayesian", "twin"]
    fewer = dataclasses.replace(run, rows=run.rows[1:])
    with pytest.raises(ConfigError, match="is of other items"):
        competitors_of(path, fewer, "val", labels[1:])
    changed = labels.copy()
    changed[0, 0] = 1 - changed[0, 0]
    with pytest.raises(ConfigError, match="their labels have changed"):
        competitors_of(path, run, "val", changed)
    assert np.array_equal(labels, known_labels(run.classifier, catalog)[run.rows])
