"""Is a fit that goes on the one that never stopped, and is nothing lost on the way?"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from bayesfuse.config import FitConfig
from bayesfuse.data.locking import locked
from bayesfuse.errors import (
    ConfigError,
    LockedError,
    RunFolderError,
    StorageError,
    TrainingError,
)
from bayesfuse.estimator import resuming, workflow
from bayesfuse.estimator.checkpoint_file import read_checkpoint, write_checkpoint
from bayesfuse.estimator.files import read_history
from bayesfuse.estimator.resuming import fit_with_checkpoints, resume, settings_of
from bayesfuse.estimator.run_folder import read_metrics
from bayesfuse.estimator.unfinished import unfinished_folder
from bayesfuse.inference.history import Step

NAMES = ("War", "Love", "Sea")
FLAGS: dict[str, Any] = {
    **{"id": "key", "labels": "genres", "labels_separator": "|", "split": "part"},
    **{"people": ("crew",), "text": "plot", "text_encoder": "tfidf"},
    **{"hidden": 4, "classifier_hidden": 4, "annealing_epochs": 1, "epochs": 4, "batch_size": 20},
    **{"draws": 3, "val_draws": 2, "device": "cpu", "dropout": 0.2, "learning_rate": 0.03},
}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"modality_dropout": 0.2},
    "twin": {"elbo": "none"},
    "members": {"members": 2},
    "graph": {
        "graph": "people",
        "pretrain_graph": 2,
        "neighbour_thinning": 0.5,
        "graph_features": ("text",),
    },
    "pretrained": {"pretrain_fusion": 2, "refiner": 0.1},
}


class Killed(BaseException):
    """Ends a fit as SIGKILL does: nobody catches it."""


def config(**changes: Any) -> FitConfig:
    return FitConfig.resolve({**FLAGS, **changes})


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    chosen = [rng.permutation(NAMES)[: rng.integers(1, 3)] for _ in range(70)]
    frame = {
        "key": [f"a{i}" for i in range(70)],
        "plot": [" ".join(rng.permutation([*names, *"xyz"])) for names in chosen],
        "genres": ["|".join(names) for names in chosen],
        "crew": [f"p{i % 9}" for i in range(70)],
        "part": ["train", "train", "val", "train", "test"] * 14,
    }
    path = tmp_path_factory.mktemp("resuming") / "items.csv"
    pd.DataFrame(frame).to_csv(path, index=False)
    return path


def kill_at(done: int, member: int = 0) -> Callable[[Step], None]:
    """Return what kills a fit in a step of a member."""

    def on_step(step: Step) -> None:
        if (step.member, step.done) >= (member, done):
            raise Killed

    return on_step


def same(first: Path, second: Path) -> bool:
    """Return whether two runs have equal weights and histories; how long they took aside."""
    tensors = [load_file(run / "model.safetensors") for run in (first, second)]
    equal = tensors[0].keys() == tensors[1].keys() and all(
        torch.equal(torch.nan_to_num(value), torch.nan_to_num(tensors[1][name]))
        for name, value in tensors[0].items()
    )
    histories = [
        [str(row._replace(seconds=0.0)) for path in sorted(run.glob("history*.csv"))
         for row in read_history(path)]
        for run in (first, second)
    ]  # fmt: skip
    metrics = [{**read_metrics(run), "seconds": 0} for run in (first, second)]
    return equal and histories[0] == histories[1] and metrics[0] == metrics[1]


@pytest.fixture(scope="module")
def whole(table: Path) -> Path:
    """Return a run that was never stopped, and had no checkpoints."""
    out = table.with_name("whole")
    fit_with_checkpoints(str(table), out, config(), every=0)
    assert not unfinished_folder(out).exists()
    return out


def killed(table: Path, out: Path, done: int = 7, **changes: Any) -> Path:
    """Kill a fit in its seventh step, which is in the third epoch; return its folder."""
    with pytest.raises(Killed):
        fit_with_checkpoints(str(table), out, config(**changes), on_step=kill_at(done))
    assert not out.exists()
    return unfinished_folder(out)


def test_a_fit_that_was_killed_goes_on_to_the_same_numbers(
    table: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    folder = killed(table, out)
    assert len(read_checkpoint(folder / "checkpoint.safetensors")["state"]["history"]) == 2
    steps: list[Step] = []
    done = resume(out, on_step=steps.append)
    assert steps[0].done == 7  # what was done is not done again
    assert done.path == out
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert same(out, whole)
    assert {path.name for path in out.iterdir()} == {path.name for path in whole.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_does_so_whatever_is_fitted(kind: str, table: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    settings = config(**KINDS[kind])
    fit_with_checkpoints(str(table), one, settings, every=0)
    member = settings.members - 1
    with pytest.raises(Killed):
        fit_with_checkpoints(str(table), other, settings, on_step=kill_at(7, member))
    with pytest.raises(Killed):
        resume(other, on_step=kill_at(11, member))  # of 12 steps
    resume(other)
    assert same(one, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]


@pytest.mark.slow
def test_what_is_pretrained_is_kept_before_the_first_epoch(table: Path, tmp_path: Path) -> None:
    changes = {"graph": "people", "pretrain_graph": 1, "graph_features": ("text",)}
    folder = killed(table, tmp_path / "run", 1, **changes)
    assert read_checkpoint(folder / "checkpoint.safetensors")["state"]["step"] == 0


@pytest.mark.slow
def test_without_its_generator_it_would_come_to_others(
    table: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    file = killed(table, out) / "checkpoint.safetensors"
    found = read_checkpoint(file)
    torch.manual_seed(5)
    found["state"]["generators"]["torch"]["cpu"] = torch.default_generator.get_state()
    write_checkpoint(file, found)
    resume(out)
    assert not same(out, whole)


@pytest.mark.slow
def test_a_fit_killed_before_its_first_checkpoint_begins_anew(
    table: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with pytest.raises(Killed):
        fit_with_checkpoints(str(table), out, config(), on_step=kill_at(1))
    # nothing was trained, so nothing is left; SIGKILL would leave the folder with its settings
    assert list(tmp_path.iterdir()) == []
    folder = killed(table, out, 4)
    (folder / "checkpoint.safetensors").unlink()
    resume(out)
    assert same(out, whole)


@pytest.mark.slow
def test_fitting_anew_over_an_unfinished_fit_is_refused(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    killed(table, out, 4)
    with pytest.raises(RunFolderError, match=r"fit --resume .*run`, or remove that folder"):
        fit_with_checkpoints(str(table), out, config())


@pytest.mark.slow
def test_ctrl_c_keeps_the_best_model_and_the_fit_can_go_on(
    table: Path, whole: Path, tmp_path: Path
) -> None:
    def interrupt(step: Step) -> None:
        if step.done == 8:
            raise KeyboardInterrupt

    out = tmp_path / "run"
    fit_with_checkpoints(str(table), out, config(), on_step=interrupt)
    assert read_metrics(out)["stopped"] == "interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert settings_of(out) == config()
    resume(out)
    assert same(out, whole)
    assert {path.name for path in out.iterdir()} == {path.name for path in whole.iterdir()}
    with pytest.raises(RunFolderError, match="is finished: there is nothing to go on with"):
        resume(out)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before it is moved", "between two names", "after"])
def test_a_kill_while_the_run_takes_its_place(
    moment: str, table: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"

    def interrupt(step: Step) -> None:
        if step.done == 8:
            raise KeyboardInterrupt

    fit_with_checkpoints(str(table), out, config(), on_step=interrupt)
    folder = unfinished_folder(out)
    if moment == "after":

        def kill(_: Path) -> None:
            raise Killed

        monkeypatch.setattr(resuming, "remove", kill)
        with pytest.raises(Killed):
            resume(out)
        monkeypatch.undo()
        assert same(out, whole)
        with pytest.raises(RunFolderError, match="finished"):
            resume(out)
        assert not folder.exists()
        return
    with pytest.raises(Killed):
        resume(out, on_step=kill_at(11))
    shutil.copytree(out, folder / "new")
    if moment == "between two names":
        out.rename(folder / "before")
    resume(out)
    assert same(out, whole)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.slow
def test_settings_are_those_of_the_fit(table: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    killed(table, out)
    with pytest.raises(ConfigError, match=r"--hidden: 5; the fit has 4\nLeave them out"):
        resume(out, given={"hidden": "5"})
    with pytest.raises(ConfigError, match="--epochs: 9; the fit has 4"):
        resume(out, given={"hidden": "4", "epochs": 9})
    resume(out, given={"hidden": "4", "device": "cpu", "strict": True})
    assert same(out, whole)


@pytest.mark.slow
def test_another_catalogue_is_refused_and_a_moved_one_is_not(
    table: Path, whole: Path, tmp_path: Path
) -> None:
    out, moved, other = tmp_path / "run", tmp_path / "moved.csv", tmp_path / "other.csv"
    killed(table, out)
    frame = pd.read_csv(table)
    frame.to_csv(moved, index=False)
    frame.loc[0, "plot"] = frame.loc[1, "plot"]
    frame.to_csv(other, index=False)
    with pytest.raises(RunFolderError, match="a fit on other items: the catalogue"):
        resume(out, str(other))
    resume(out, str(moved))
    assert same(out, whole)


@pytest.mark.slow
def test_a_checkpoint_that_is_torn_is_told(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    file = killed(table, out) / "checkpoint.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(RunFolderError, match=r"cannot be read .* torn"):
        resume(out)
    file.write_bytes(content)
    resume(out)


def test_a_run_that_is_nowhere_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="There is no fit to go on with"):
        resume(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_two_fits_into_one_place(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with (
        locked(unfinished_folder(out)),
        pytest.raises(LockedError, match=r"is being written by process \d+ on .* Wait until"),
    ):
        fit_with_checkpoints(str(table), out, config())


@pytest.mark.slow
def test_a_loss_that_is_not_finite_leaves_nothing(table: Path, tmp_path: Path) -> None:
    def fail(step: Step) -> None:
        if step.done == 5:
            raise TrainingError("not finite")

    with pytest.raises(TrainingError):
        fit_with_checkpoints(str(table), tmp_path / "run", config(), on_step=fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_cannot_be_saved_can_be_gone_on_with(
    table: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageError("Cannot write: No space left on device.")

    out = tmp_path / "run"
    monkeypatch.setattr(workflow, "save_run", full)
    with pytest.raises(StorageError):
        fit_with_checkpoints(str(table), out, config())
    monkeypatch.undo()
    steps: list[Step] = []
    resume(out, on_step=steps.append)
    assert not steps  # training had ended
    assert same(out, whole)
