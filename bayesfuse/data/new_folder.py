"""A folder that appears whole or not at all, and never in the place of something else."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bayesfuse.errors import UserError, write_error


def refuse_if_taken(target: Path, files: Collection[str], what: str, *, overwrite: bool) -> None:
    """Raise if a folder cannot be made at `target` without losing anything.

    Args:
        target: The folder to make.
        files: The names of the files that such a folder has.
        what: What the folder is, as "demo catalogue".
        overwrite: Whether an earlier folder with such files may be replaced.

    Raises:
        UserError: If there is a file, a link, a folder with other files, or any file that is not
            to be overwritten.
    """
    if not os.path.lexists(target):
        return
    if not target.is_dir() or target.is_symlink():
        raise UserError(f"{target} is there and is a file or a link; choose another place.")
    others = sorted(entry.name for entry in target.iterdir() if entry.name not in files)
    if others and overwrite:
        raise UserError(
            f"{target} holds {others[0]}, which is not part of a {what}, so it is not "
            "overwritten; choose another folder, or empty this one yourself."
        )
    if any(target.iterdir()) and not overwrite:
        raise UserError(
            f"{target} is there and not empty; choose another folder, or pass --overwrite to "
            f"replace an earlier {what}."
        )


@contextmanager
def new_folder(
    target: Path, files: Collection[str], what: str, *, overwrite: bool
) -> Iterator[Path]:
    """Yield a folder to write into; it takes the place of `target` when the block ends well.

    It lies beside the target under another name and is then renamed, so that a full disk or an
    interruption leaves no half of it behind, and nothing that was there is lost.

    Args:
        target: The absolute path of the folder to make; its parent folders are made too.
        files: The names of the files that such a folder has.
        what: What the folder is, as "demo catalogue".
        overwrite: Whether an earlier folder with such files may be replaced.

    Raises:
        UserError: If something at `target` would be lost.
        StorageError: If the files cannot be written because the disk is full.
    """
    refuse_if_taken(target, files, what, overwrite=overwrite)
    made = [parent for parent in target.parents if not parent.exists()]
    mark = secrets.token_hex(4)
    partial = target.parent / f".{target.name}.{mark}.partial"
    try:
        partial.mkdir(parents=True)
        yield partial
        _move_into_place(partial, target, target.parent / f".{target.name}.{mark}.old")
    except OSError as error:
        advice = "Nothing was changed there; free some space or choose another folder."
        raise write_error(f"the {what} to {target}", error, advice) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in made:  # the deepest first; one that holds anything stays
            with suppress(OSError):
                parent.rmdir()


def _move_into_place(partial: Path, target: Path, aside: Path) -> None:
    if not target.exists():
        partial.rename(target)
        return
    target.rename(aside)
    try:
        partial.rename(target)
    except OSError:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)
