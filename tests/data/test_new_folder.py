"""Folders that appear whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from bayesfuse.data.new_folder import new_folder, refuse_if_taken
from bayesfuse.errors import StorageError, UserError

FILES = ("a.txt", "b.txt")


def make(
    target: Path, text: str, *, overwrite: bool = False, error: BaseException | None = None
) -> None:
    with new_folder(target, FILES, "thing", overwrite=overwrite) as folder:
        (folder / "a.txt").write_text(text)
        if error is not None:
            raise error


def test_the_folder_appears_at_the_end_of_the_block(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "down"
    with new_folder(target, FILES, "thing", overwrite=False) as folder:
        (folder / "a.txt").write_text("new")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["a.txt"]
    assert [path.name for path in target.parent.iterdir()] == ["down"]


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_a_block_that_fails_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        make(tmp_path / "deep" / "down", "new", error=error)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_were_there_stay(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    with pytest.raises(ValueError, match="bad"):
        make(tmp_path / "deep" / "down", "new", error=ValueError("bad"))
    assert list(tmp_path.rglob("*")) == [tmp_path / "deep"]


def test_only_its_own_kind_is_replaced_and_only_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "made"
    make(target, "old")
    with pytest.raises(UserError, match=r"not empty.*--overwrite to replace an earlier thing"):
        make(target, "new")
    assert (target / "a.txt").read_text() == "old"
    make(target, "new", overwrite=True)
    assert (target / "a.txt").read_text() == "new"
    (target / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"thesis\.txt, which is not part of a thing"):
        make(target, "newer", overwrite=True)
    assert (target / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_failure_brings_the_old_folder_back(tmp_path: Path) -> None:
    target = tmp_path / "made"
    make(target, "old")
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StorageError, match=r"^Cannot write the thing to .* Nothing was changed"):
        make(target, "new", overwrite=True, error=full)
    assert (target / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_places_that_are_free_or_empty_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refuse_if_taken(tmp_path / "empty", FILES, "thing", overwrite=False)
    refuse_if_taken(tmp_path / "absent", FILES, "thing", overwrite=False)
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    with pytest.raises(UserError, match="a file or a link"):
        refuse_if_taken(tmp_path / "link", FILES, "thing", overwrite=True)
