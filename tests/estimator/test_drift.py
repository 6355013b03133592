"""Drift is told where there is some, and not where there is none."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bayesfuse.config import CatalogConfig, FitConfig
from bayesfuse.data.features import FeatureTable
from bayesfuse.estimator.drift import (
    FEWEST,
    Drift,
    drift_of,
    looks_from_dict,
    looks_of,
    looks_of_fit,
    looks_to_dict,
)
from bayesfuse.estimator.workflow import Run, fit_run, open_run
from bayesfuse.models.network import FusionNetwork

ITEMS = 900


def test_looks_of_standard_features() -> None:
    rng = np.random.default_rng(0)
    network = FusionNetwork({"text": 50, "image": 2}, num_labels=1, hidden=2)
    values = 3 + 2 * rng.normal(size=(2000, 50))
    network.standardise.set_statistics("text", torch.full((50,), 3.0), torch.full((50,), 2.0))
    seen = np.arange(2000) % 4 > 0
    looks = looks_of(FeatureTable.from_arrays({"text": values}, {"text": seen}), network)
    assert looks["text"].missing == pytest.approx(0.25)
    assert looks["text"].norm == pytest.approx(1, abs=0.01)
    assert looks["text"].norm_sd == pytest.approx(1 / np.sqrt(2 * 50), rel=0.1)
    assert looks["text"].shift == pytest.approx(1 / 1500, rel=0.6)
    assert looks["image"].missing == 1
    assert looks_from_dict(json.loads(json.dumps(looks_to_dict(looks)))) == looks
    assert looks_from_dict(None) == {}
    few = FeatureTable.from_arrays({"text": values[: FEWEST - 1]})
    assert looks_of_fit(few, network) == looks_of_fit(None, network) == {}
    assert looks_of_fit(FeatureTable.from_arrays({"text": values[:FEWEST]}), network)
    moved = looks_of(FeatureTable.from_arrays({"text": values + 2}, {"text": seen}), network)
    assert moved["text"].shift == pytest.approx(1, abs=0.05)


def test_nothing_to_tell_is_no_line() -> None:
    assert str(Drift(5, {}, {}, ())) == ""
    assert str(Drift(50, {}, {}, ("a", "b"))) == "Drift from the data of the fit: a; b."


def catalogue(folder: Path, seed: int, change: Callable[..., None] | None = None) -> Path:
    """Write items of two modalities and of people who come as in Zipf's law."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    arrays = {
        "text": rng.normal(size=(ITEMS, 20)) @ rng.normal(size=(20, 20)),  # far from independent
        "image": rng.normal(size=(ITEMS, 6)),
        "image_observed": rng.random(ITEMS) > 0.1,
    }
    if seed:  # the same source: the mixing matrix is that of the first catalogue
        mixing = np.random.default_rng(0)
        mixing.normal(size=(ITEMS, 20))
        arrays["text"] = rng.normal(size=(ITEMS, 20)) @ mixing.normal(size=(20, 20))
    people = [[f"p{n}" for n in rng.zipf(1.5, 3)] for _ in range(ITEMS)]
    if change is not None:
        change(arrays, people)
    table = pd.DataFrame({"id": [f"{seed}-{i}" for i in range(ITEMS)]})
    table["labels"] = np.where(arrays["image"][:, 0] > 0, "A", "B")
    table["split"] = np.array(["train", "train", "val", "test"])[np.arange(ITEMS) % 4]
    table["cast"] = ["|".join(names) for names in people]
    table.to_csv(folder / "items.csv", index=False)
    np.savez(folder / "features.npz", **arrays)
    modalities = "".join(
        f'[modalities.{name}]\nfeatures = "features.npz:{name}"\n' for name in ("text", "image")
    )
    (folder / "catalog.toml").write_text(
        'table = "items.csv"\nid = "id"\nlabels = "labels"\nlabels_separator = ""\n'
        f'split = "split"\n{modalities}[graph]\npeople = ["cast"]\npeople_separator = "|"\n'
    )
    return folder


@pytest.fixture(scope="module")
def run_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drift")
    small = {"hidden": 4, "classifier_hidden": 4, "epochs": 1, "annealing_epochs": 1}
    config = FitConfig.parse({**small, "graph": "people", "graph_features": "all", "draws": 2})
    return fit_run(str(catalogue(folder / "c", 0)), folder / "run", config).path


def opened(run_path: Path, source: Path | None = None, split: str = "all") -> Run:
    name = None if source is None else str(source)
    return open_run(run_path, name, CatalogConfig(), split=split, device="cpu")


@pytest.mark.slow
def test_no_drift_where_there_is_none(run_path: Path, tmp_path: Path) -> None:
    """Negative control: the catalogue itself, its splits, and new items of the same source."""
    for split in ("train", "val", "test", "all"):
        assert drift_of(opened(run_path, split=split)).told == ()
    for seed in (1, 2, 3):
        found = drift_of(opened(run_path, catalogue(tmp_path / f"c{seed}", seed)))
        assert found.told == ()
        assert found.people["cast"]["unknown"] > 0.01  # new items have new people
    random = np.random.default_rng(0)
    run = opened(run_path)
    for size in (FEWEST, 100, 400):
        rows = random.choice(ITEMS, size, replace=False)
        assert drift_of(dataclasses.replace(run, rows=np.sort(rows))).told == ()


def louder(arrays: dict[str, np.ndarray], people: list[list[str]]) -> None:
    arrays["text"] *= 1.5


def elsewhere(arrays: dict[str, np.ndarray], people: list[list[str]]) -> None:
    arrays["image"] += 0.7


def without_pictures(arrays: dict[str, np.ndarray], people: list[list[str]]) -> None:
    arrays["image_observed"][::2] = False


def strangers(arrays: dict[str, np.ndarray], people: list[list[str]]) -> None:
    people[:] = [[f"new {name}" for name in names] for names in people]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (louder, "text: features of norm 1.4"),
        (elsewhere, "image: the features' means moved by 0."),
        (without_pictures, "image: 5"),
        (strangers, "cast: 100.0% of the names are of nobody in the fit"),
    ],
)
def test_drift_is_told(
    run_path: Path, tmp_path: Path, change: Callable[..., None], told: str
) -> None:
    run = opened(run_path, catalogue(tmp_path / "c", 9, change))
    found = drift_of(run)
    assert [sentence[: len(told)] for sentence in found.told if sentence.startswith(told)]
    json.dumps(found.to_dict(), allow_nan=False)
    few = dataclasses.replace(run, rows=np.arange(FEWEST - 1))
    assert drift_of(few).told == ()


@pytest.mark.slow
def test_a_run_that_tells_nothing_of_its_training_items(run_path: Path, tmp_path: Path) -> None:
    run = opened(run_path, catalogue(tmp_path / "c", 9, elsewhere))
    run.classifier.looks_ = {}
    found = drift_of(run)
    assert found.modalities["image"]["fitted_missing"] is None
    assert any("image: the features' means moved" in sentence for sentence in found.told)
