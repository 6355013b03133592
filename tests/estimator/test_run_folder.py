"""The run folder: whole or not there, nothing overwritten, and the same numbers when it is read."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from bayesfuse import FusionClassifier
from bayesfuse.config import FitConfig
from bayesfuse.errors import ConfigError, RunFolderError, StorageError, UserError
from bayesfuse.estimator.run_folder import (
    FILES,
    check_new_folder,
    read_config,
    read_environment,
    read_metrics,
    save_run,
    typed_command,
)

rng = np.random.default_rng(0)
X = {"text": rng.normal(size=(120, 4)), "image": rng.normal(size=(120, 3))}
y = (X["text"][:, :2] + X["image"][:, :2] > 0).astype(int)


def classifier(**changes: object) -> FusionClassifier:
    small: dict[str, object] = {
        "hidden": 6,
        "classifier_hidden": 6,
        "epochs": 3,
        "annealing_epochs": 1,
        "batch_size": 60,
        "draws": 5,
        "val_draws": 2,
        "device": "cpu",
    }
    return FusionClassifier(**{**small, **changes})


@pytest.fixture(scope="module")
def fitted() -> FusionClassifier:
    return classifier(decision="f1").fit(X, pd.DataFrame(y, columns=["Drama", "Noir & co."]))


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory) -> Path:
    return fitted.save(tmp_path_factory.mktemp("saved") / "run")


@pytest.fixture
def run(saved, tmp_path) -> Path:
    """Return a copy of a run folder, to be broken."""
    return Path(shutil.copytree(saved, tmp_path / "run"))


def edit(file: Path, **changes: object) -> None:
    """Change top-level keys of a JSON file."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


# ---- what is written


def test_the_files_are_those_of_the_contract(saved):
    assert sorted(file.name for file in saved.iterdir()) == sorted(FILES)
    assert sorted(FILES) == [
        "config.json",
        "environment.json",
        "history.csv",
        "labels.json",
        "metrics.json",
        "model.safetensors",
    ]


def test_nothing_is_a_pickle(saved):
    for file in saved.iterdir():
        content = file.read_bytes()
        assert not content.startswith((b"\x80", b"PK", b"\x93NUMPY"))
        if file.suffix == ".json":
            json.loads(content)
        elif file.suffix == ".csv":
            content.decode()
        else:
            with safe_open(file, "pt") as opened:
                assert opened.keys()


def test_everyone_may_read_it(saved):
    assert stat.S_IMODE(saved.stat().st_mode) & 0o755 == 0o755 & ~current_umask()
    assert {stat.S_IMODE(file.stat().st_mode) for file in saved.iterdir()} == {0o644}


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_config_json_is_what_fit_config_reads(fitted, saved):
    content = json.loads((saved / "config.json").read_text())
    config = FitConfig.parse(content)
    assert set(content) == set(FitConfig.model_fields)
    assert config.model_dump(include=set(fitted.get_params()) - {"modalities"}) == (
        fitted.config().model_dump()
    )
    assert read_config(saved) == config == FitConfig.resolve({}, config_file(saved))


def config_file(saved: Path) -> dict[str, object]:
    """Return the run's settings as `--config RUN/config.json` reads them."""
    return FitConfig.read_file(saved / "config.json")


def test_labels_json(fitted, saved):
    assert json.loads((saved / "labels.json").read_text()) == {
        "labels": ["Drama", "Noir & co."],
        "thresholds": fitted.thresholds_.tolist(),
        "train_positives": fitted.label_counts_.tolist(),
        "num_items": 108,
        "classes": None,
    }


def test_history_csv(fitted, saved):
    with (saved / "history.csv").open(newline="") as stream:
        header, *rows = list(csv.reader(stream))
    assert header == [*["epoch", "nll", "kl", "beta", "elbo"], "val_nll", "val_macro_ap", "seconds"]
    assert len(rows) == 3
    assert [[float(cell) for cell in row] for row in rows] == [
        list(r[:-1]) for r in fitted.history_
    ]  # macro F1 does not choose the epoch


def test_history_without_validation_has_empty_cells(tmp_path):
    unchecked = classifier(validation_fraction=0.0).fit(X, y)
    path = unchecked.save(tmp_path / "run")
    frame = pd.read_csv(path / "history.csv")
    assert frame["val_nll"].isna().all()
    again = FusionClassifier.load(path)
    assert np.isnan([row.val_nll for row in again.history_]).all()


def test_metrics_and_environment(fitted, saved):
    metrics, environment = read_metrics(saved), read_environment(saved)
    assert metrics == {
        "best_epoch": fitted.result_.best_epoch,
        "stopped": "finished",
        "annealed": True,
        "members": [
            {"best_epoch": fitted.result_.best_epoch, "stopped": "finished", "annealed": True}
        ],
        **fitted.config_.told(),
        "parameters": fitted.model_.num_parameters,
    }
    assert {"python", "system", "packages", "command"} == set(environment)
    assert environment["packages"]["torch"] == torch.__version__


def test_the_weights_tell_what_they_are_of(fitted, saved):
    with safe_open(saved / "model.safetensors", "pt") as opened:
        metadata = opened.metadata()
        names = set(opened.keys())
    about = json.loads(metadata["bayesfuse-run-1"])
    assert about.pop("looks") == {}  # there are 12 items in val
    assert about == {
        "widths": {"text": 4, "image": 3},
        "num_items": 108,
        "columns": None,
        "feature_names": None,
        "linked": False,
        "relations": {},
        "sequences": [],
        "transformer": None,
    }
    assert names == set(fitted.model_.tensors())


def test_more_can_be_told_and_written(fitted, tmp_path):
    path = save_run(
        fitted,
        tmp_path / "run",
        config=FitConfig(epochs=3, text="plot"),
        metrics={"val": 1},
        environment={"warnings": ["w"]},
        extra=lambda folder: (folder / "more.txt").write_text("more") and None,
    )
    assert read_config(path).text == "plot"
    assert read_metrics(path)["val"] == 1
    assert read_environment(path)["warnings"] == ["w"]
    assert (path / "more.txt").read_text() == "more"


# ---- what is read


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"elbo": "none"},
        {"guide": "lowrank", "prior_scale": "learned"},
        {"prior": "horseshoe", "guide": "normal", "fusion": "mixing", "classifier": "linear"},
        {"parts": ("fusion", "classifier.output"), "prior_scale": {"*": "fan-in"}},
    ],
    ids=str,
)
def test_predictions_are_equal_to_the_bit(tmp_path, settings):
    original = classifier(**settings).fit(X, y)
    again = FusionClassifier.load(original.save(tmp_path / "run"))
    np.testing.assert_array_equal(again.sample_proba(X), original.sample_proba(X))
    np.testing.assert_array_equal(again.sample_proba(X, seed=3), original.sample_proba(X, seed=3))
    np.testing.assert_array_equal(again.predict_proba(X), original.predict_proba(X))
    np.testing.assert_array_equal(again.predict(X), original.predict(X))


def test_everything_fitted_comes_back(fitted, saved):
    again = FusionClassifier.load(saved, device="cpu")
    assert again.label_names_ == fitted.label_names_
    assert again.classes_.tolist() == fitted.classes_.tolist()
    assert again.thresholds_.tolist() == fitted.thresholds_.tolist()
    assert again.label_counts_.tolist() == fitted.label_counts_.tolist()
    assert again.history_ == fitted.history_
    assert again.result_ == fitted.result_
    assert again.config() == fitted.config()
    assert again.n_iter_ == 3
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_a_loaded_run_saves_again(saved, tmp_path):
    again = FusionClassifier.load(saved).save(tmp_path / "again")
    for name in ("labels.json", "metrics.json", "history.csv"):
        assert (again / name).read_bytes() == (saved / name).read_bytes(), name
    before, after = (load_file(path / "model.safetensors") for path in (saved, again))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[n].nan_to_num(), after[n].nan_to_num()) for n in before)


@pytest.mark.parametrize("target", [["b", "a"] * 60, [True, False] * 60, [-1, 4] * 60])
def test_binary_classes_come_back(tmp_path, target):
    original = classifier().fit(X, target)
    again = FusionClassifier.load(original.save(tmp_path / "run"))
    assert again.classes_.tolist() == original.classes_.tolist()
    assert again.predict(X).tolist() == original.predict(X).tolist()


def test_columns_and_their_names_come_back(tmp_path):
    frame = pd.DataFrame(np.hstack([X["text"], X["image"]]), columns=list("abcdefg"))
    original = classifier(modalities={"image": slice(4, 7), "text": slice(0, 4)}).fit(frame, y)
    again = FusionClassifier.load(original.save(tmp_path / "run"))
    assert again.n_features_in_ == 7
    assert again.feature_names_in_.tolist() == list("abcdefg")
    np.testing.assert_array_equal(again.predict_proba(frame), original.predict_proba(frame))
    with pytest.raises(ValueError, match="same order"):
        again.predict_proba(frame[list("gfedcba")])
    refitted = again.fit(frame, y)
    np.testing.assert_array_equal(refitted.predict_proba(frame), original.predict_proba(frame))


def test_it_loads_on_the_cpu_wherever_it_was_fitted(run):
    edit(run / "config.json", device="cuda:7", precision="bfloat16")
    again = FusionClassifier.load(run, device="cpu")
    assert again.device == "cpu"
    assert read_config(run).device == "cuda:7"
    assert again.predict_proba(X).shape == y.shape
    edit(run / "config.json", precision="auto")
    assert FusionClassifier.load(run).device == "auto"
    with pytest.raises(ConfigError, match="no device"):
        FusionClassifier.load(run, device="cuda:99")


def test_settings_changed_after_the_fit_do_not_change_what_was_fitted(tmp_path):
    original = classifier().fit(X, y).set_params(hidden=32, draws=11, decision="f1")
    expected = original.predict_proba(X)
    again = FusionClassifier.load(original.save(tmp_path / "run"))
    assert (again.hidden, again.draws, again.decision) == (6, 11, "f1")
    np.testing.assert_array_equal(again.predict_proba(X), expected)


# ---- what is wrong with a folder


def loading(path: Path) -> str:
    """Return the message of the error that loading raises."""
    with pytest.raises(RunFolderError) as caught:
        FusionClassifier.load(path)
    return str(caught.value)


def test_no_folder(tmp_path):
    assert f"bayesfuse fit --out {tmp_path / 'run'}" in loading(tmp_path / "run")
    (tmp_path / "file").write_text("")
    assert "There is no run folder" in loading(tmp_path / "file")


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_missing(run, name):
    (run / name).unlink()
    message = loading(run)
    assert f"lacks {name}; expected" in message
    assert "Copy it again from where it was fitted, or fit again" in message


@pytest.mark.parametrize("name", sorted(set(FILES) - {"environment.json", "history.csv"}))
@pytest.mark.parametrize("share", [0, 0.5, 0.98])
def test_a_file_is_truncated(run, name, share):
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[: int(share * len(content))])
    message = loading(run)
    assert str(run / name) in message
    assert "truncated" in message
    assert "Copy it again from where it was fitted, or fit again" in message


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["/opt/x/bin/bayesfuse", "fit", "my films.csv"], "bayesfuse fit 'my films.csv'"),
        (["/opt/x/bayesfuse/cli.py", "fit"], "bayesfuse fit"),
        (["train.py", "--fast"], "train.py --fast"),
    ],
)
def test_the_typed_command_can_be_pasted(argv, told, monkeypatch):
    monkeypatch.setattr("sys.argv", argv)
    assert typed_command() == told


def test_a_truncated_environment_is_only_told_where_it_is_read(run):
    (run / "environment.json").write_text('{"command": ')
    FusionClassifier.load(run)
    with pytest.raises(RunFolderError, match=r"environment\.json cannot be read"):
        read_environment(run)


@pytest.mark.parametrize("content", ["", "epoch,nll\n1,2\n", "no table", "epoch,nll,kl,beta,"])
def test_a_broken_history(run, content):
    (run / "history.csv").write_text(content)
    assert "history.csv" in loading(run)


@pytest.mark.parametrize("content", ["[1, 2]", "3", "null", "\xff", "{'a': 1}"])
@pytest.mark.parametrize("name", ["config.json", "labels.json", "metrics.json"])
def test_json_that_is_none_of_ours(run, name, content):
    (run / name).write_text(content, encoding="latin-1")
    assert str(run / name) in loading(run)


def test_an_unknown_setting(run):
    edit(run / "config.json", fuson="gmu")
    message = loading(run)
    assert 'unknown setting "fuson". Did you mean "fusion"?' in message
    assert "another version of bayesfuse" in message


def test_a_setting_out_of_range(run):
    edit(run / "config.json", hidden=-1)
    assert "--hidden" in loading(run)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ["Drama"]},
        {"thresholds": [0.5]},
        {"train_positives": [1, 2, 3]},
        {"num_items": 7},
        {"thresholds": None},
        {"labels": None},
    ],
    ids=str,
)
def test_labels_that_do_not_fit_the_weights(run, changes):
    edit(run / "labels.json", **changes)
    assert "fit again" in loading(run)


def test_a_key_is_missing(run):
    for name in ("labels.json", "metrics.json"):
        content = (run / name).read_text()
        (run / name).write_text("{}")
        assert "is not complete (KeyError" in loading(run)
        (run / name).write_text(content)


def test_weights_of_another_network(run, tmp_path):
    other = classifier(hidden=7).fit(X, pd.DataFrame(y, columns=["a", "b"])).save(tmp_path / "o")
    shutil.copy(other / "model.safetensors", run / "model.safetensors")
    message = loading(run)
    assert "does not hold the model that its config describes" in message
    assert "expected (6" in message
    assert "Was one of the files edited or exchanged?" in message


@pytest.mark.parametrize(
    ("format", "told"),
    [
        (b"bayesfuse-run-9", "format bayesfuse-run-9, of a later version of bayesfuse"),
        (b"bayesfuse-run-0", "format bayesfuse-run-0, of an earlier version of bayesfuse"),
        (b"somebody-else-1", "no format of a run (somebody-else-1)"),
    ],
)
def test_weights_of_another_format(run, format, told):
    content = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_bytes(content.replace(b"bayesfuse-run-1", format))
    message = loading(run)
    assert told in message
    assert 'which reads "bayesfuse-run-1"' in message


def rewrite(run, about=None, **tensors):
    """Change what the weights' file tells of the model, and some of its tensors."""
    file = run / "model.safetensors"
    with safe_open(file, "pt") as opened:
        told = json.loads(opened.metadata()["bayesfuse-run-1"])
    told = told | about if isinstance(about, dict) else told if about is None else about
    save_file(load_file(file) | tensors, file, {"bayesfuse-run-1": json.dumps(told)})


def test_weights_of_another_dtype_or_no_numbers(run):
    values = load_file(run / "model.safetensors")
    name = next(key for key in values if key.startswith("guide."))
    rewrite(run, **{name: values[name].half()})
    assert f"{name} holds float16, expected float32" in loading(run)
    rewrite(run, **{name: values[name] * torch.nan})
    assert f"{name} holds numbers that are not finite" in loading(run)


@pytest.mark.parametrize(
    "about",
    [
        [1],
        {"widths": 3},
        {"widths": {"text": "4"}},
        {"widths": None},
        {"columns": 7},
        {"sequences": 5},
        {"transformer": []},
        {"num_items": 1e999},
    ],
    ids=str,
)
def test_weights_that_tell_of_no_model(run, about):
    rewrite(run, about)
    assert str(run) in loading(run)


@pytest.mark.parametrize("name", ["config.json", "labels.json", "metrics.json"])
def test_json_that_is_nested_a_hundred_thousand_deep(run, name):
    (run / name).write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    assert f"{name} cannot be read (nested more than 100 levels deep)" in loading(run)


# ---- where it cannot be written


def kept(path: Path) -> object:
    """Return what is at a path, links not followed, to see that it stayed."""
    if path.is_symlink():
        return os.readlink(path)
    return sorted(f.name for f in path.iterdir()) if path.is_dir() else path.read_text()


@pytest.mark.parametrize("what", ["file", "empty folder", "full folder", "link", "dangling link"])
def test_what_is_there_is_left_alone(fitted, tmp_path, what):
    path = tmp_path / "run"
    if what == "file":
        path.write_text("precious")
    elif what == "link":
        (tmp_path / "elsewhere").mkdir()
        path.symlink_to(tmp_path / "elsewhere")
    elif what == "dangling link":
        path.symlink_to(tmp_path / "nowhere")
    else:
        path.mkdir()
        if what == "full folder":
            (path / "thesis.txt").write_text("precious")
    before, beside = kept(path), sorted(f.name for f in tmp_path.iterdir())
    with pytest.raises(RunFolderError, match="exists already and is left as it is"):
        fitted.save(path)
    assert kept(path) == before
    assert sorted(f.name for f in tmp_path.iterdir()) == beside


def test_parents_are_made(fitted, tmp_path):
    assert fitted.save(tmp_path / "a" / "b" / "run").is_dir()


def test_a_parent_that_is_a_file(fitted, tmp_path):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(UserError, match="Cannot write into"):
        fitted.save(tmp_path / "file" / "run")
    assert (tmp_path / "file").read_text() == "precious"


def test_a_relative_path(fitted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fitted.save("run")
    assert FusionClassifier.load("run").label_names_ == fitted.label_names_
    assert os.listdir(tmp_path) == ["run"]


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["mkdir", "rename", "write_text"])
def test_a_full_disk_leaves_nothing(fitted, tmp_path, monkeypatch, step):
    with monkeypatch.context() as patch:
        owner = os if step == "rename" else Path
        patch.setattr(owner, step, full)
        if step == "mkdir":
            patch.setattr("bayesfuse.estimator.run_folder.check_new_folder", lambda _: None)
        with pytest.raises(StorageError, match=r"No space left on device\. Nothing was left"):
            fitted.save(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    fitted.save(tmp_path / "run")


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupt_while_saving_leaves_nothing(fitted, tmp_path, error):
    def fail(_: Path) -> None:
        raise error

    with pytest.raises(error):
        save_run(fitted, tmp_path / "run", extra=fail)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def tiny_disk(tmp_path) -> Iterator[Path]:
    """Mount a file system of 128 KiB, which only root may do."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can mount a file system that is too small")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not let root mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_too_small(tiny_disk):
    wide = classifier(hidden=200, classifier_hidden=200, epochs=1).fit(X, y)
    with pytest.raises(StorageError, match=r"Cannot write the run folder .*No space left"):
        wide.save(tiny_disk / "run")
    assert list(tiny_disk.iterdir()) == []


def test_a_disk_that_is_full_is_noticed_before_training(tiny_disk):
    (tiny_disk / "rubbish").write_bytes(b"\0" * 100_000)
    with pytest.raises(StorageError, match=r"Cannot write into .*No space left.*make room"):
        check_new_folder(tiny_disk / "run")
    assert [file.name for file in tiny_disk.iterdir()] == ["rubbish"]


def test_temporary_files_do_not_stay(fitted, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    fitted.save(tmp_path / "run")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run", "tmp"]
