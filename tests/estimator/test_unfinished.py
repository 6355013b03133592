from __future__ import annotations

import json
from pathlib import Path

import pytest

from bayesfuse.config import FitConfig
from bayesfuse.errors import LockedError, RunFolderError
from bayesfuse.estimator.checkpoint_file import write_checkpoint
from bayesfuse.estimator.checkpoints import CHECKPOINT, Checkpoints
from bayesfuse.estimator.unfinished import FILE, Told, Unfinished, held, unfinished_folder


def test_how_a_fit_was_begun_comes_back(tmp_path: Path) -> None:
    for catalog in (None, "films"):
        told = Told(FitConfig.resolve({"preset": "pm-mo", "hidden": 9}), catalog)
        told.write(tmp_path)
        assert Told.read(tmp_path) == told


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("format", "bayesfuse-fit-0", "expected bayesfuse-fit-1"),
        ("version", "0.0.1", r"written by bayesfuse 0\.0\.1"),
        ("config", {"hiden": 3}, 'unknown setting "hiden"'),
    ],
)
def test_what_another_version_wrote_is_refused(
    field: str, value: object, told: str, tmp_path: Path
) -> None:
    Told(FitConfig(), None).write(tmp_path)
    found = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps({**found, field: value}))
    with pytest.raises(RunFolderError, match=told):
        Told.read(tmp_path)


def test_a_folder_is_held_by_one_and_kept_if_it_has_a_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with held(run) as folder:
        assert folder == unfinished_folder(run)
        with pytest.raises(LockedError), held(run):
            pass
    assert not folder.exists()
    with held(run) as folder:
        write_checkpoint(folder / CHECKPOINT, {"member": 0})
    assert folder.exists()


def test_without_a_checkpoint_there_is_nothing_to_copy(tmp_path: Path) -> None:
    kept, target = tmp_path / "kept", tmp_path / "target"
    kept.mkdir()
    target.mkdir()
    Told(FitConfig(), None).write(kept)
    Unfinished(kept, None).copy_to(target)
    Unfinished(kept, Checkpoints(kept)).copy_to(target)
    assert list(target.iterdir()) == []
    write_checkpoint(kept / CHECKPOINT, {"member": 0})
    Unfinished(kept, Checkpoints(kept)).copy_to(target)
    assert sorted(path.name for path in target.iterdir()) == [CHECKPOINT, FILE]
