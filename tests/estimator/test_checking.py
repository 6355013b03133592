"""A run checked against labels: right ones pass, permuted ones fail; strata; too many items."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pytest

from bayesfuse.config import CatalogConfig, FitConfig
from bayesfuse.data.demo import write_demo
from bayesfuse.errors import UserError
from bayesfuse.estimator import catalogs
from bayesfuse.estimator.checking import check_run, labelled_part, strata_of
from bayesfuse.estimator.workflow import Run, fit_run, open_run
from bayesfuse.evaluation.checks import RATES

SETTINGS = {"hidden": 16, "classifier_hidden": 16, "epochs": 12, "annealing_epochs": 6, "draws": 16}


def fitted(path: Path, **settings: object) -> Run:
    config = FitConfig.parse({**SETTINGS, **settings})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogs, "write_demo", functools.partial(write_demo, num_items=600))
        fit_run(None, path, config)
        return open_run(path, None, CatalogConfig(), split="val")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fitted(tmp_path_factory.mktemp("check") / "run")


@pytest.mark.slow
def test_a_fit_passes_and_permuted_labels_do_not(run: Run) -> None:
    found = check_run(run, "val", draws=16, seed=0, replicates=200, guide_draws=0)
    order = np.random.default_rng(0).permutation(len(run.classifier.label_names_))
    labels = run.catalog.labels[:, order]
    wrong = dataclasses.replace(run, catalog=dataclasses.replace(run.catalog, labels=labels))
    failed = check_run(wrong, "val", draws=16, seed=0, replicates=200, guide_draws=0)
    rates = [one.posterior.families[0] for one in (found, failed)]
    assert [one.family for one in rates] == [RATES, RATES]
    assert rates[0].p > 0.01 > rates[1].p
    assert rates[0].num_outside <= 2 < rates[1].num_outside
    assert rates[1].p < 0.01
    told = str(failed)
    assert "label rate: " in told
    assert "prior predictive check" in told
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["num_items"] == len(run.rows)


def test_the_prior_is_wider_than_the_posterior(run: Run) -> None:
    found = check_run(run, "val", draws=16, seed=0, replicates=200, guide_draws=0)
    assert found.prior is not None
    widths = [
        np.mean([s.high - s.low for s in check.statistics if s.family == RATES])
        for check in (found.posterior, found.prior)
    ]
    assert widths[1] > widths[0]


def test_strata_are_modalities_and_splits(run: Run) -> None:
    everything = dataclasses.replace(run, rows=np.arange(len(run.catalog)))
    found = strata_of(everything)
    observed = run.catalog.features.observed
    for column, name in enumerate(run.catalog.features.names):
        np.testing.assert_array_equal(found[f"with {name}"], observed[:, column])
        np.testing.assert_array_equal(found[f"without {name}"], ~observed[:, column])
    assert {name: int(found[f"in {name}"].sum()) for name in ("train", "val", "test")} == {
        name: len(run.catalog.rows(name)) for name in ("train", "val", "test")
    }
    assert not any(name.startswith("in ") for name in strata_of(run))
    told = check_run(everything, "all", draws=2, seed=0, replicates=100, guide_draws=0)
    assert "too near to 1/2" in str(told)


@pytest.mark.slow
def test_degrees_are_strata_where_there_is_a_graph(tmp_path: Path) -> None:
    graph = {"graph": "people", "graph_width": 4, "graph_heads": 1}
    linked = fitted(tmp_path / "run", epochs=1, annealing_epochs=1, **graph)
    found = strata_of(linked)
    by_degree = {name: mask for name, mask in found.items() if name.endswith("neighbours")}
    assert list(by_degree) == [f"{n} neighbours" for n in ("0", "1–5", "6–20", "more than 20")]
    assert sum(mask.astype(int) for mask in by_degree.values()).tolist() == [1] * len(linked.rows)


def test_too_many_items_are_a_random_part_and_it_is_said(run: Run) -> None:
    part, count = labelled_part(run, 50, seed=1)
    assert (len(part.rows), count) == (50, len(run.rows))
    assert set(part.rows) < set(run.rows)
    assert (labelled_part(run, 50, seed=1)[0].rows == part.rows).all()
    found = check_run(run, "val", draws=4, seed=0, replicates=100, guide_draws=0, max_items=60)
    assert f"60 of {len(run.rows)} labelled items were checked" in str(found)


def test_without_labels_there_is_nothing_to_check(run: Run) -> None:
    blank = dataclasses.replace(run.catalog, labelled=np.zeros(len(run.catalog), bool))
    with pytest.raises(UserError, match="no labelled items"):
        check_run(dataclasses.replace(run, catalog=blank), "val", draws=2, seed=0)
