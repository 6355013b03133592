"""From a catalogue to a run folder and back: fit_run, open_run, evaluate_run."""

from __future__ import annotations

import errno
import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bayesfuse import FusionClassifier
from bayesfuse.config import CatalogConfig, FitConfig
from bayesfuse.data.demo import write_demo
from bayesfuse.encoders.saving import load_encoders
from bayesfuse.errors import (
    CatalogError,
    ConfigError,
    FeatureError,
    RunFolderError,
    StorageError,
    UserError,
)
from bayesfuse.estimator import catalogs
from bayesfuse.estimator.run_folder import FILES, read_environment, read_metrics
from bayesfuse.estimator.workflow import (
    Fit,
    Run,
    evaluate_run,
    fit_run,
    known_labels,
    open_run,
    training_warnings,
)
from bayesfuse.inference.history import Step

SMALL = {
    "hidden": 6,
    "classifier_hidden": 6,
    "epochs": 4,
    "annealing_epochs": 2,
    "batch_size": 80,
    "learning_rate": 0.03,
    "classifier_learning_rate": 0.03,
    "draws": 6,
    "val_draws": 2,
    "device": "cpu",
}
FLAGS = {"id": "key", "text": "plot", "text_encoder": "tfidf", "labels": "genres", "split": "part"}
WORDS = {
    "War": "soldier trench gun general battle",
    "Love": "kiss letter summer dance heart",
    "Sea": "ship sailor wave captain storm",
}


def config(**changes: object) -> FitConfig:
    return FitConfig.parse({**SMALL, **changes})


def opened(path: Path, source: object = None, split: str | None = "all", **changes: object) -> Run:
    """Open a run with the options given."""
    how = {n: changes.pop(n) for n in ("device", "labelled", "on_warning") if n in changes}
    options = CatalogConfig.parse(changes)
    return open_run(path, None if source is None else str(source), options, split=split, **how)


def make_table(num_items: int = 150, seed: int = 0) -> pd.DataFrame:
    """Return items whose plots have words of their genres."""
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(list(WORDS))[: rng.integers(1, 3)] for _ in range(num_items)]
    plots = [
        " ".join(rng.choice(" ".join(WORDS[name] for name in names).split(), 8)) for names in chosen
    ]
    return pd.DataFrame(
        {
            "key": [f"a{i}" for i in range(num_items)],
            "plot": plots,
            "genres": [json.dumps(list(names)) for names in chosen],
            "part": rng.choice(["train", "val", "test"], num_items, p=[0.6, 0.2, 0.2]),
        }
    )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("workflow")


@pytest.fixture(scope="module")
def demo(place) -> Path:
    return write_demo(place / "demo-catalogue", num_items=120)


@pytest.fixture(scope="module")
def demo_fit(place, demo) -> Fit:
    told: list[str] = []
    done = fit_run(str(demo), place / "demo-run", config(), on_warning=told.append)
    assert told == list(done.warnings)
    return done


@pytest.fixture(scope="module")
def table(place) -> Path:
    make_table().to_csv(place / "items.csv", index=False)
    return place / "items.csv"


@pytest.fixture(scope="module")
def table_fit(place, table) -> Fit:
    return fit_run(str(table), place / "table-run", config(**FLAGS, epochs=12))


# ---- fitting


def test_a_run_folder_with_encoders_comes_of_a_folder_of_raw_cells(demo, demo_fit):
    path = demo_fit.path
    assert sorted(file.name for file in path.iterdir()) == sorted(
        [*FILES, "encoders.json", "encoders.safetensors"]
    )
    assert {n: e.name for n, e in load_encoders(path).items()} == {
        "text": "tfidf",
        "image": "statistics",
    }
    assert read_environment(path)["catalog"] == str(demo)
    assert read_environment(path)["warnings"] == list(demo_fit.warnings)
    metrics = read_metrics(path)
    assert demo_fit.evaluation is not None
    assert metrics["val"] == demo_fit.evaluation.to_dict()
    assert metrics["split"] == "val"
    assert metrics["seconds"] == pytest.approx(demo_fit.seconds, abs=1e-3)
    assert sum(row.seconds for row in demo_fit.classifier.history_) < demo_fit.seconds


def test_the_predictions_of_the_folder_are_those_of_the_fit(demo, demo_fit):
    run = opened(demo_fit.path)
    assert len(run.rows) == len(run.catalog) == 120
    assert run.config == config()
    features = run.catalog.features
    np.testing.assert_array_equal(
        run.classifier.sample_proba(features), demo_fit.classifier.sample_proba(features)
    )
    val = opened(demo_fit.path, demo, "val", labelled=True)
    assert evaluate_run(val) == demo_fit.evaluation


def test_draws_and_seed_of_an_evaluation(demo_fit):
    run = opened(demo_fit.path, split="val")
    default, same, fewer, other = (
        evaluate_run(run, **how).nll
        for how in ({}, {"draws": 6, "seed": 0}, {"draws": 1}, {"seed": 9})
    )
    assert default == same
    assert default not in (fewer, other)


def test_the_run_works_from_any_directory(place, demo, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    fit_run(demo.name, tmp_path / "run", config(epochs=1, modalities="text"))
    monkeypatch.chdir(tmp_path)
    assert len(opened(Path("run")).catalog) == 120


@pytest.mark.parametrize("split", ["train", "val", "test", "all", None])
def test_a_split_is_chosen(demo_fit, split):
    run = opened(demo_fit.path, split=split)
    expected = {"train": 72, "val": 24, "test": 24}.get(str(split), 120)
    assert len(run.rows) == expected
    if expected < 120:
        assert (run.catalog.split[run.rows] == split).all()


def test_a_split_that_is_not_there(demo_fit):
    with pytest.raises(UserError, match=r'Unknown split "tset".*"test"'):
        opened(demo_fit.path, split="tset")


def test_the_embedded_demo_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogs, "write_demo", functools.partial(write_demo, num_items=60))
    done = fit_run(None, tmp_path / "run", config(epochs=1, modalities="text"))
    assert read_environment(done.path)["catalog"] == "demo"
    run = opened(done.path, split="test")
    assert run.catalog.source == "demo"
    assert len(run.rows) == 12
    assert run.classifier.model_.network.names == ("text",)
    # a folder of that name which comes up later is another catalogue
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(opened(done.path, split="test").rows) == 12
    with pytest.raises(ConfigError, match="no CATALOG was named"):
        fit_run(None, tmp_path / "other", config(text="plot"))
    assert not (tmp_path / "other").exists()


def test_an_encoder_that_is_asked_for_replaces_features(place, table, tmp_path):
    np.savez(tmp_path / "f.npz", text=np.zeros((150, 2)))
    flags = {**FLAGS, "features": f"text={tmp_path / 'f.npz'}:text", "epochs": 1}
    with_encoder = fit_run(str(table), tmp_path / "a", config(**flags))
    without = fit_run(str(table), tmp_path / "b", config(**{**flags, "text_encoder": None}))
    assert with_encoder.classifier.model_.network.standardise.widths["text"] > 2
    assert without.classifier.model_.network.standardise.widths["text"] == 2
    assert not (without.path / "encoders.json").exists()


# ---- warnings


def test_a_temperature_is_told(table, tmp_path):
    done = fit_run(str(table), tmp_path / "run", config(**FLAGS, epochs=3, temperature=0.5))
    assert any("temperature 0.5, not 1: it is colder" in told for told in done.warnings)
    assert done.warnings == tuple(read_environment(done.path)["warnings"])
    assert read_metrics(done.path)["temperature"] == 0.5
    assert "warmer" in " ".join(training_warnings(done.classifier.set_params(temperature=2.0)))
    assert training_warnings(done.classifier.set_params(temperature=1.0)) == []


def test_a_model_from_before_the_end_of_the_annealing_is_told(table, tmp_path):
    done = fit_run(str(table), tmp_path / "run", config(**FLAGS, epochs=2, annealing_epochs=9))
    assert any("before the annealing has ended" in told for told in done.warnings)
    assert read_metrics(done.path)["annealed"] is False


def test_the_twin_has_no_posterior_to_warn_of(table, tmp_path):
    done = fit_run(
        str(table), tmp_path / "run", config(**FLAGS, epochs=1, elbo="none", temperature=0.5)
    )
    assert training_warnings(done.classifier) == []
    assert opened(done.path).classifier.sample_proba(opened(done.path).catalog).shape[0] == 1


def test_a_label_without_a_positive_is_kept_and_told(tmp_path):
    frame = make_table()
    frame.to_csv(tmp_path / "items.csv", index=False)
    flags = {**FLAGS, "label_set": "War,Love,Sea,Noir"}
    done = fit_run(str(tmp_path / "items.csv"), tmp_path / "run", config(**flags, epochs=2))
    assert any("Noir" in told for told in done.warnings)
    run = opened(done.path)
    found = run.classifier.uncertainty(run.catalog)
    noir = run.classifier.label_names_.index("Noir")
    assert run.classifier.label_counts_[noir] == 0
    rate = 0.5 / (run.classifier.model_.num_items + 1)
    np.testing.assert_allclose(found.mean[:, noir], rate, rtol=0.5)  # six draws of a skewed rate
    assert (found.quantiles[0.05][:, noir] > 0).all()
    assert (found.quantiles[0.95][:, noir] < 1).all()
    assert done.evaluation is not None
    assert read_metrics(done.path)["val"]["labels"][noir]["average_precision"] is None


def test_ctrl_c_keeps_the_best_model_so_far(table, tmp_path):
    def interrupt(step: Step) -> None:
        if step.epoch == 5:
            raise KeyboardInterrupt

    told: list[str] = []
    settings = config(**FLAGS, epochs=30)
    done = fit_run(
        str(table), tmp_path / "run", settings, on_step=interrupt, on_warning=told.append
    )
    best = done.classifier.result_.best_epoch
    assert any(f"interrupted; the model of epoch {best + 1} is kept" in told for told in told)
    assert read_metrics(done.path)["stopped"] == "interrupted"
    assert len(done.classifier.history_) == 5
    val = [row.val_nll for row in done.classifier.history_][2:]  # once β is 1
    assert done.classifier.history_[best].val_nll == min(val)
    assert evaluate_run(opened(done.path, split="val")) == done.evaluation


def test_ctrl_c_before_anything_is_learnt_leaves_nothing(table, tmp_path, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bayesfuse.data.batches.Batches.shuffled", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit_run(str(table), tmp_path / "run", config(**FLAGS))
    assert list(tmp_path.iterdir()) == []


# ---- places that cannot be written


def test_a_run_that_is_there_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(RunFolderError, match="exists already and is left as it is"):
        fit_run(str(tmp_path / "no catalogue"), tmp_path / "run", config())


def test_a_catalogue_that_is_not_there_leaves_nothing(tmp_path):
    with pytest.raises(CatalogError, match="no such file"):
        fit_run(str(tmp_path / "nowhere.csv"), tmp_path / "run", config(**FLAGS))
    assert list(tmp_path.iterdir()) == []


def rescued(error: pytest.ExceptionInfo[StorageError]) -> Path:
    """Return where a message says that the run was saved."""
    words = str(error.value).split()
    path = Path(words[words.index("as") + 1])
    assert "The fitted run was saved as" in str(error.value)
    return path


def test_a_fit_is_not_lost_with_its_disk(table, tmp_path, monkeypatch):
    rename, full = os.rename, tmp_path / "full"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def rename_elsewhere(source: Path, target: Path) -> None:
        if Path(target).parent == full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_elsewhere)
    with pytest.raises(StorageError, match="No space left on device") as error:
        fit_run(str(table), full / "run", config(**FLAGS, epochs=1))
    assert list(full.iterdir()) == []
    assert str(rescued(error)).startswith(str(tmp_path))
    assert len(opened(rescued(error)).catalog) == 150


def test_a_fit_is_not_lost_with_a_disk_that_fills_up(table, tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a file system that is too small")
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this machine does not let root mount a file system")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    try:
        with pytest.raises(StorageError, match="No space left on device") as error:
            fit_run(str(table), disk / "run", config(**FLAGS, epochs=1, hidden=200))
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert len(opened(rescued(error)).catalog) == 150


# ---- another catalogue


def test_the_text_was_understood(table_fit, tmp_path):
    fresh = tmp_path / "fresh.csv"
    make_table(60, seed=5).to_csv(fresh, index=False)
    scores = evaluate_run(opened(table_fit.path, fresh))
    assert scores.average_precision.macro > 0.8
    shuffled = make_table(60, seed=5)  # negative control
    shuffled["plot"] = shuffled["plot"].to_numpy()[::-1]
    shuffled.to_csv(fresh, index=False)
    assert evaluate_run(opened(table_fit.path, fresh)).average_precision.macro < 0.8


def test_a_file_without_labels_and_splits(table_fit, tmp_path):
    lean = tmp_path / "lean.csv"
    make_table(20, seed=5)[["key", "plot"]].to_csv(lean, index=False)
    told: list[str] = []
    run = opened(table_fit.path, lean, on_warning=told.append)
    assert run.catalog.ids[0] == "a0"
    assert any("was --labels in the fit" in warning for warning in told)
    full = tmp_path / "full.csv"
    make_table(20, seed=5).to_csv(full, index=False)
    other = opened(table_fit.path, full)
    np.testing.assert_array_equal(
        run.classifier.predict_proba(run.catalog), other.classifier.predict_proba(other.catalog)
    )
    with pytest.raises(UserError, match="no labelled items"):
        evaluate_run(run)
    with pytest.raises(UserError, match=r'no labelled items in the split "all"'):
        opened(table_fit.path, lean, labelled=True)
    with pytest.raises(UserError, match=r'no items in the split "val".*20 in test'):
        opened(table_fit.path, lean, "val")


def test_columns_by_other_names_are_asked_for(table_fit, tmp_path):
    other = tmp_path / "other.parquet"
    frame = make_table(20, seed=5)
    frame.assign(genres=frame["genres"].map(json.loads)).rename(
        columns={"key": "movie", "plot": "story", "genres": "tags"}
    ).to_parquet(other)
    run = opened(table_fit.path, other, id="movie", text="story", labels="tags")
    assert evaluate_run(run).num_items == 20
    with pytest.raises(CatalogError, match='no column "key"'):
        opened(table_fit.path, other, text="story")


def test_labels_are_matched_by_name(table_fit, tmp_path):
    fresh = tmp_path / "fresh.csv"
    make_table(60, seed=5).to_csv(fresh, index=False)
    usual = opened(table_fit.path, fresh)
    turned = opened(table_fit.path, fresh, label_set="War,Sea,Love")
    assert usual.catalog.label_names == ("Love", "Sea", "War")
    assert turned.catalog.label_names == ("War", "Sea", "Love")
    assert evaluate_run(usual) == evaluate_run(turned)
    np.testing.assert_array_equal(
        known_labels(usual.classifier, usual.catalog),
        known_labels(usual.classifier, turned.catalog),
    )


def test_a_label_that_the_catalogue_lacks_is_carried_by_nobody(table_fit, tmp_path):
    fresh = tmp_path / "fresh.csv"
    frame = make_table(60, seed=5)
    frame[~frame["genres"].str.contains("Sea")].to_csv(fresh, index=False)
    run = opened(table_fit.path, fresh)
    assert run.catalog.label_names == ("Love", "War")
    matrix = known_labels(run.classifier, run.catalog)
    assert matrix.sum(axis=0)[[0, 2]].tolist() == run.catalog.labels.sum(axis=0).tolist()
    assert matrix[:, 1].sum() == 0


def test_a_label_that_the_run_does_not_know(table_fit, tmp_path):
    fresh = tmp_path / "fresh.csv"
    frame = make_table(60, seed=5)
    frame["genres"] = frame["genres"].str.replace("Sea", "Noir")
    frame.to_csv(fresh, index=False)
    with pytest.raises(ConfigError, match=r"not fitted on: Noir\. The run knows Love, Sea, War"):
        evaluate_run(opened(table_fit.path, fresh))


def test_a_modality_that_a_catalogue_lacks_is_unobserved_and_told(demo, demo_fit, tmp_path):
    plots = tmp_path / "plots.parquet"
    pd.read_parquet(demo / "items.parquet").to_parquet(plots)
    flags = {"id": "id", "text": "plot", "labels": "genres"}
    told: list[str] = []
    run = opened(demo_fit.path, plots, **flags, on_warning=told.append)
    assert any('no modality "image": it counts as missing' in warning for warning in told)
    whole = opened(demo_fit.path, demo)
    table = whole.catalog.features
    hidden = {name: table.batch(slice(None))[0][name] for name in ("text", "image")} | {
        "text_observed": table.observed[:, table.names.index("text")],
        "image_observed": np.zeros(120, bool),
    }
    np.testing.assert_array_equal(
        run.classifier.predict_proba(run.catalog), whole.classifier.predict_proba(hidden)
    )


@pytest.mark.parametrize("modalities", ["text", "image"])
def test_a_run_of_some_modalities(demo, demo_fit, tmp_path, modalities):
    only = fit_run(str(demo), tmp_path / "run", config(epochs=1, modalities=modalities))
    assert only.classifier.model_.network.names == (modalities,)
    assert set(load_encoders(only.path)) == {modalities}
    run = opened(only.path)
    assert modalities in run.catalog.features
    part = opened(demo_fit.path, demo, modalities=modalities)
    assert part.catalog.features.names == (modalities,)
    with pytest.raises(ConfigError, match="Unknown modality"):
        opened(demo_fit.path, demo, modalities="sound")


def test_no_modality_that_the_run_knows(table_fit, demo, tmp_path):
    run = opened(table_fit.path, demo)
    assert run.catalog.features.names == ("text",)
    np.savez(tmp_path / "f.npz", sound=np.zeros((150, 2)))
    make_table().drop(columns="plot").to_csv(tmp_path / "deaf.csv", index=False)
    deaf = opened(table_fit.path, tmp_path / "deaf.csv", features=f"sound={tmp_path}/f.npz:sound")
    with pytest.raises(FeatureError, match="none of the modalities text is there; got sound"):
        evaluate_run(deaf)


# ---- what is wrong with a run


def test_a_run_that_was_fitted_on_arrays_names_no_catalogue(tmp_path, table):
    rng = np.random.default_rng(0)
    X, y = {"text": rng.normal(size=(30, 3))}, rng.integers(0, 2, (30, 2))
    path = FusionClassifier(**SMALL).fit(X, y).save(tmp_path / "run")
    with pytest.raises(RunFolderError, match=r"does not tell which catalogue.*Name a catalogue"):
        opened(path)


@pytest.mark.parametrize("name", ["encoders.json", "encoders.safetensors"])
def test_half_of_the_encoders_is_missing(demo_fit, tmp_path, name):
    broken = Path(shutil.copytree(demo_fit.path, tmp_path / "run"))
    (broken / name).unlink()
    with pytest.raises(RunFolderError, match=rf"{name} is missing; restore it, or fit again"):
        opened(broken)


def test_a_device_that_is_not_there(demo_fit):
    with pytest.raises(ConfigError, match='no device "cuda:99"'):
        opened(demo_fit.path, device="cuda:99")


@pytest.mark.movies
def test_the_movie_catalogue(movies_path, tmp_path):
    settings = config(epochs=1, annealing_epochs=0, batch_size=1024, draws=2, hidden=16)
    done = fit_run(str(movies_path), tmp_path / "run", settings)
    assert set(done.classifier.model_.network.names) >= {"text", "image"}
    assert not (done.path / "encoders.json").exists()
    assert evaluate_run(opened(done.path, split="val")) == done.evaluation
