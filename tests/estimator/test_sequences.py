"""From raw texts and pictures to attention over steps, and back from a run folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesfuse import FusionClassifier
from bayesfuse.config import CatalogConfig, FitConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.demo import write_demo
from bayesfuse.data.features import FeatureTable
from bayesfuse.encoders.catalogues import encode_catalog
from bayesfuse.encoders.saving import load_encoders
from bayesfuse.estimator.drawing import marginal_obstacle
from bayesfuse.estimator.explained_item import Wanted, explain_item
from bayesfuse.estimator.explained_labels import explain_labels
from bayesfuse.estimator.explanations import iter_explanations
from bayesfuse.estimator.robustness import move, robustness, steepest
from bayesfuse.estimator.workflow import Run, fit_run, open_run
from tests.estimator.test_finetuning import SMALL, flags, table

__all__ = ["flags", "table"]  # fixtures

SHORT = {
    **{"hidden": 8, "classifier_hidden": 8, "epochs": 2, "annealing_epochs": 1, "draws": 4},
    **{"val_draws": 2, "device": "cpu", "transformer_layers": 1, "batch_size": 32},
}


@pytest.fixture(scope="module")
def run(table: Path, flags: dict[str, object], tmp_path_factory) -> tuple[Path, Run]:
    """Return a fit on steps of raw cells, opened on the same table."""
    path = tmp_path_factory.mktemp("sequences")
    steps = {"keep_sequence": "text,image", "image_grid": "2x2", "fusion": "mult-gmu"}
    given = {**flags, **SMALL, **steps, "encoded": str(path / "e"), "max_length": 12}
    given["transformer_layers"] = 1
    fit_run(str(table), path / "run", FitConfig.parse(given))
    return path, open_run(path / "run", None, CatalogConfig.parse({}), split="all")


def test_new_raw_items_get_the_same_steps(table, run, tmp_path):
    path, opened = run
    network = opened.classifier.model_.network
    assert network.sequences == ("text", "image")
    assert opened.catalog.features.steps("image") == 4
    assert opened.config.keep_sequence == ("text", "image")
    rows = np.arange(0, 80, 3)
    new = pd.read_parquet(table).iloc[rows].assign(id=[f"n{row}" for row in rows])
    new.to_parquet(tmp_path / "new.parquet")
    again = open_run(path / "run", str(tmp_path / "new.parquet"), CatalogConfig.parse({}),
                     split="all")  # fmt: skip
    expected = opened.classifier.predict_proba(opened.catalog.features.take(rows))
    found = again.classifier.predict_proba(again.catalog)
    np.testing.assert_allclose(found, expected, atol=2e-3)  # float16, and padding rounds otherwise
    assert np.ptp(expected, axis=0).min() > 0


def test_gates_are_told_by_label_and_words_of_an_item(run):
    path, opened = run
    gates = explain_labels(opened, draws=3, seed=0).gates
    assert gates is not None
    assert gates.modalities == ("text", "image")
    np.testing.assert_allclose(gates.mean.sum(axis=1), 1, atol=1e-6)
    assert ((gates.mean > 0) & (gates.mean < 1)).all()
    item = explain_item(opened, 0, load_encoders(path / "run"), Wanted(regions=(1, 2)), 3, 0)
    assert set(item.gates) == {"text", "image"}
    assert all(0 < mean < 1 for mean, _ in item.gates.values())
    assert set(item.parts) == {"text", "image"}
    assert item.parts["image"].mean.shape[0] == 2
    assert np.abs(item.parts["text"].mean).max() > 0


def test_items_are_moved_step_by_step_to_where_the_loss_rises_most(run):
    opened = run[1]
    rows = opened.rows[opened.catalog.labelled[opened.rows]]
    moved = robustness(dataclasses.replace(opened, rows=rows), [0.5, 2.0])
    here, near, far = (row.nll for row in moved.rows)
    assert here < near < far
    assert abs(moved.rows[1].nll_at_random - here) < near - here
    table = opened.classifier._table(opened.catalog.features.take(rows))
    labels = opened.catalog.labels[rows]
    moves = steepest(opened.classifier, table, labels, seed=0)
    squares = sum(np.square(m).reshape(len(rows), -1).sum(axis=1) for m in moves.values())
    np.testing.assert_allclose(squares[squares > 0], 1, atol=1e-4)
    values, _ = table.batch(slice(None))
    for name in ("text", "image"):
        assert not moves[name][np.isnan(values[name])].any()
        changed, _ = move(opened.classifier, table, moves, 1.0).batch(slice(None))
        np.testing.assert_array_equal(np.isnan(changed[name]), np.isnan(values[name]))
        assert np.nanmax(np.abs(changed[name] - values[name])) > 1e-3


@pytest.fixture(scope="module")
def catalog(tmp_path_factory) -> Catalog:
    """Return the demo catalogue with texts and images of three steps each."""
    folder = write_demo(tmp_path_factory.mktemp("sequences") / "demo", num_items=150)
    encoded, _ = encode_catalog(Catalog.read(folder))
    values, observed = encoded.features.batch(slice(None))
    rng = np.random.default_rng(0)
    masks = {name: observed[:, column] for column, name in enumerate(values)}
    arrays = {
        name: x[:, None, :5] + 0.1 * rng.normal(size=(len(x), 3, min(5, x.shape[1])))
        for name, x in values.items()
    }
    return dataclasses.replace(encoded, features=FeatureTable.from_arrays(arrays, masks))


@pytest.mark.parametrize("fusion", ["mult-concat", "mult-gmu"])
def test_items_hear_the_means_of_each_other_s_steps(catalog, fusion, tmp_path):
    settings = {**SHORT, "graph": "people", "graph_width": 4, "graph_heads": 2}
    fitted = FusionClassifier(fusion=fusion, pretrain_graph=1, **settings).fit(catalog)
    p = fitted.predict_proba(catalog)
    assert fitted.model_.network.sequences == tuple(catalog.features.names)
    read = FusionClassifier.load(fitted.save(tmp_path / "run"), device="cpu")
    np.testing.assert_array_equal(read.predict_proba(catalog), p)
    linked = fitted.link(catalog)
    (told,) = iter_explanations(fitted, linked, np.arange(5), draws=2)
    assert told.num_rows > 0
    assert marginal_obstacle(fitted, linked.features) is not None


def test_marginal_draws_are_of_layers_that_read_vectors(catalog):
    """Steps of an item share weights, so that their outputs have no noise of their own."""
    steps = catalog.features.select(["text", "image"])
    year = steps.with_modality("year", np.random.default_rng(0).normal(size=(150, 2)))
    y = catalog.labels
    some = FusionClassifier(fusion="mult-concat", **SHORT).fit(year, y)
    assert marginal_obstacle(some, year) is None
    p = some.sample_proba(year, draws=3, kind="marginal")
    assert p.shape == (3, 150, y.shape[1])
    assert np.isfinite(p).all()
    none = FusionClassifier(fusion="mult-concat", **SHORT).fit(steps, y)
    assert "no layer reads" in str(marginal_obstacle(none, steps))


def test_every_other_rule_reads_the_mean_as_before(catalog):
    values, observed = catalog.features.batch(slice(None))
    masks = {name: observed[:, column] for column, name in enumerate(values)}
    means = dataclasses.replace(catalog, features=FeatureTable.from_arrays(values, masks))
    of_steps = FusionClassifier(fusion="gmu", **SHORT).fit(catalog).predict_proba(catalog)
    of_means = FusionClassifier(fusion="gmu", **SHORT).fit(means).predict_proba(means)
    np.testing.assert_array_equal(of_steps, of_means)


def test_a_fusion_of_steps_is_pretrained_without_labels(catalog):
    more = {"pretrain_fusion": 1, "refiner": 0.1, "elbo": "none"}
    fitted = FusionClassifier(fusion="mult-gmu", **SHORT, **more).fit(catalog)
    assert np.isfinite(fitted.predict_proba(catalog)).all()
