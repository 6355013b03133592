from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from bayesfuse.config import FitConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.classifier import FusionClassifier
from bayesfuse.estimator.ranked_items import SCHEMA, rank_items
from bayesfuse.estimator.workflow import Run
from bayesfuse.evaluation.criterion import Criterion
from bayesfuse.evaluation.uncertainty import summarise

NAMES = ("Comedy", "Drama", "Horror")
SMALL: dict[str, Any] = {
    **{"hidden": 8, "classifier_hidden": 8, "epochs": 4, "annealing_epochs": 1, "draws": 12},
    "val_draws": 2,
}


def make_run(**settings: Any) -> Run:
    rng = np.random.default_rng(0)
    text = rng.normal(size=(120, 5)).astype(np.float32)
    labels = (text[:, :3] + rng.normal(size=(120, 3)) > 0.4).astype(np.float32)
    catalog = Catalog(
        source="films.csv",
        raw={},
        encoders={},
        people={},
        ids=np.array([f"i{i}" for i in range(120)]),
        titles=[f"Item {i}" for i in range(120)],
        features=FeatureTable.from_arrays({"text": text}),
        labels=labels,
        label_names=NAMES,
        labelled=np.ones(120, bool),
        split=np.array(["val" if i % 5 == 0 else "train" for i in range(120)]),
    )
    classifier = FusionClassifier(**{**SMALL, **settings}).fit(catalog)
    return Run(classifier, FitConfig(**{**SMALL, **settings}), catalog, np.arange(20, 120))


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run()


def draws_of(run: Run) -> np.ndarray:
    return run.classifier.sample_proba(run.catalog.features.take(run.rows))


def test_it_is_the_ranking_of_the_classifiers_own_draws(run: Run, tmp_path: Path) -> None:
    criterion = Criterion.parse(["Horror"], NAMES)
    found = rank_items(run, criterion, level=0.8, top=7, abstain=0.101, label_next=4)
    draws = draws_of(run)
    horror = draws[:, :, 2]
    order = np.argsort(-horror.mean(axis=0, dtype=float), kind="stable")
    assert np.array_equal(found.order, order)
    path = tmp_path / "ranking.csv"
    assert found.write(path, {}) == 100
    table = pd.read_csv(path)
    assert list(table) == SCHEMA.names
    assert table["id"].tolist() == [f"i{row}" for row in run.rows[order]]
    assert table["title"].tolist() == [f"Item {row}" for row in run.rows[order]]
    assert table["position"].tolist() == list(range(1, 101))
    ranks = rankdata(-horror, axis=1)[:, order]
    np.testing.assert_allclose(table["rank_mean"], ranks.mean(axis=0))
    np.testing.assert_allclose(table["top"], (ranks <= 7).mean(axis=0), atol=1e-6)
    quantiles = np.quantile(horror, (0.1, 0.9), axis=0)[:, order]
    np.testing.assert_allclose(table[["lower", "upper"]].T, quantiles, rtol=1e-5)
    summary = summarise(draws)
    np.testing.assert_allclose(table["total_uncertainty"], summary.total[order, 2], rtol=1e-5)
    person = table["total_uncertainty"].nlargest(11).index  # 10.1 of 100, rounded up
    assert table.index[table["to_person"]].tolist() == sorted(person)
    assert found.person is not None
    assert found.batch is not None
    assert (np.diff(found.total[found.person]) <= 0).all()
    # the first to label is the one that teaches most by itself
    assert found.batch.items[0] == summary.epistemic[:, 2].argmax()
    assert sorted(table["label_next"].dropna()) == [1, 2, 3, 4]
    assert found.num_candidates == 100  # all have labels


def test_several_labels_share_uncertainty_by_weight(run: Run) -> None:
    found = rank_items(run, Criterion.parse(["Horror=3", "NOT Comedy"], NAMES), label_next=3)
    draws = draws_of(run).astype(float)
    score = (3 * draws[:, :, 2] + 1 - draws[:, :, 0]) / 4
    np.testing.assert_allclose(found.ranking.mean, score.mean(axis=0), rtol=1e-5)
    summary = summarise(draws)
    expected = (3 * summary.epistemic[:, 2] + summary.epistemic[:, 0]) / 4
    np.testing.assert_allclose(found.mutual_information, expected, atol=1e-9)
    assert found.person is None
    assert len(found.batch.items) == 3  # type: ignore[union-attr]


def test_items_without_labels_are_those_to_label(run: Run) -> None:
    known = np.ones(120, bool)
    known[[30, 40, 50, 110]] = False
    later = dataclasses.replace(run, catalog=dataclasses.replace(run.catalog, labelled=known))
    found = rank_items(later, Criterion.parse(["Horror"], NAMES), label_next=9)
    assert found.num_candidates == 4
    assert sorted(run.rows[found.batch.items]) == [30, 40, 50, 110]  # type: ignore[union-attr]


def test_thompson_sampling_is_one_draw_and_has_a_seed(run: Run) -> None:
    criterion = Criterion.parse(["Drama"], NAMES)
    first, again, other = (
        rank_items(run, criterion, by="thompson", seed=seed) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.order, again.order)
    assert not np.array_equal(first.order, other.order)
    assert first.sample is not None
    draws = draws_of(run)[:, :, 1]
    assert any(np.array_equal(first.sample, draw) for draw in draws)
    assert (np.diff(first.sample[first.order]) <= 0).all()


@pytest.mark.slow
def test_over_seeds_thompson_puts_first_who_is_likely_to_be_first(run: Run) -> None:
    criterion = Criterion.parse(["Drama"], NAMES)
    drama = draws_of(run)[:, :, 1]
    order = np.argsort(-drama.mean(axis=0))
    above = [(drama[:, a] > drama[:, b]).mean() for a, b in itertools.pairwise(order)]
    place = int(np.abs(np.array(above) - 0.6).argmin())
    two = dataclasses.replace(run, rows=run.rows[order[place : place + 2]])
    best = rank_items(two, criterion, top=1, draws=400, seed=99).ranking.top
    firsts = [rank_items(two, criterion, by="thompson", seed=seed).order[0] for seed in range(60)]
    assert 0.3 < best[0] < 0.9
    assert np.mean(np.array(firsts) == 0) == pytest.approx(best[0], abs=0.2)
    # the control: by mean, it is not a matter of chance
    assert len({rank_items(two, criterion, draws=400, seed=s).order[0] for s in range(4)}) == 1


def test_for_json_there_are_the_first_and_the_ties_among_them(run: Run) -> None:
    found = rank_items(run, Criterion.parse(["Horror"], NAMES))
    told = found.to_dict(3)
    assert [item["position"] for item in told["items"]] == [1, 2, 3]
    assert (told["num_items"], told["criterion"], told["by"]) == (100, "Horror", "mean")
    assert told["to_person"] is told["label_next"] is None
    ties = found.ties()
    assert told["near_ties"] == [list(places) for places in ties if places[0] <= 3]
    for first, last in ties:
        assert len(set(found.groups[first - 1 : last])) == 1
        assert last > first


def test_a_run_without_a_posterior_ranks_and_knows_nothing_of_what_labels_would_teach() -> None:
    run = make_run(elbo="none")
    criterion = Criterion.parse(["Horror"], NAMES)
    found = rank_items(run, criterion, abstain=0.5)
    assert found.ranking.num_draws == 1
    assert (found.mutual_information == 0).all()
    assert np.array_equal(found.ranking.lower, found.ranking.upper)
    with pytest.raises(ConfigError, match=r"no posterior \(--elbo none\)"):
        rank_items(run, criterion, label_next=3)
