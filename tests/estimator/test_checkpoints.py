from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from bayesfuse.errors import RunFolderError
from bayesfuse.estimator import checkpoints as module
from bayesfuse.estimator.checkpoints import CHECKPOINT, Checkpoints
from bayesfuse.inference.history import Epoch, SVIResult

RESULT = SVIResult(
    (Epoch(0, 1.0, 0.1, 1.0, -1.1, math.nan, 0.3, 2.0), Epoch(1, 0.9, 0.1, 1.0, -1.0, 0.4, 0.5, 2)),
    1,
    "early",
    True,
    ("a note",),
)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoints:
    """Return checkpoints of trainings whose state is what stands for the run."""
    monkeypatch.setattr(module, "training_state", lambda run: {"run": run})
    made = Checkpoints(tmp_path, every=2)
    made.check("digest")
    return made


def test_every_second_epoch_is_kept_and_the_start_if_wanted(kept: Checkpoints) -> None:
    run: Any = "the third"
    for done in (0, 1, 3):
        kept.keeper(0, from_start=False)(done, run)
    assert not kept.there
    kept.keeper(0, from_start=True)(0, run)
    assert kept.there
    kept.keeper(1, from_start=False)(4, "the fourth")  # type: ignore[arg-type]  # stands for a run
    found = Checkpoints(kept.folder)
    assert found.state(0) is None
    assert found.state(1) == {"run": "the fourth"}


def test_what_a_member_came_to_comes_back(kept: Checkpoints) -> None:
    kept.finish(0, [{"a": torch.ones(2)}], RESULT)
    assert kept.result(0) is None  # this fit began without any
    found = Checkpoints(kept.folder).result(0)
    assert found is not None
    assert torch.equal(found[0][0]["a"], torch.ones(2))
    assert str(found[1]) == str(RESULT)
    assert Checkpoints(kept.folder).result(1) is None


def test_other_items_are_refused(kept: Checkpoints) -> None:
    kept.finish(0, [], RESULT)
    Checkpoints(kept.folder).check("digest")
    with pytest.raises(RunFolderError, match="other items"):
        Checkpoints(kept.folder).check("another")


def test_none_is_written_where_none_is_wanted(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, every=0)
    kept.keeper(0, from_start=True)(0, None)  # type: ignore[arg-type]  # never looked at
    kept.finish(0, [], RESULT)
    assert list(tmp_path.iterdir()) == []


def test_copies_are_whole(kept: Checkpoints, tmp_path: Path) -> None:
    kept.finish(0, [], RESULT)
    kept.keeper(1, from_start=True)(0, None)  # type: ignore[arg-type]  # stands for a run
    target = tmp_path / "target"
    target.mkdir()
    kept.copy_to(target)
    assert sorted(path.name for path in target.iterdir()) == [CHECKPOINT, "member-1.safetensors"]
    Checkpoints(target).check("digest")


def test_a_disk_that_is_full_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    kept = Checkpoints(tmp_path, warn=told.append)
    kept.finish(0, [], RESULT)
    before = (tmp_path / "member-1.safetensors").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_checkpoint", full)
    for _ in range(2):
        kept.finish(0, [], RESULT)
    assert len(told) == 1
    assert "(No space left on device); training goes on" in told[0]
    assert (tmp_path / "member-1.safetensors").read_bytes() == before
