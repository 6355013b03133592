"""Files that are there whole or not at all, whoever is killed at whatever moment.

A file is written beside its place under a name of this process's own, synced and renamed. What a
process that was killed has left behind tells its machine and its number, so that the next one can
remove it and leaves alone what another is still writing.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PROCESS = secrets.token_hex(4)  # numbers of processes come again, first of all in containers


def unfinished_name(path: Path) -> Path:
    """Return where a file (or folder) is to be written before it is renamed to `path`.

    Example:
        >>> unfinished_name(Path("folder/scores.csv")).name.startswith(".scores.csv.")
        True
    """
    mark = f"{socket.gethostname()}.{os.getpid()}.{_PROCESS}{secrets.token_hex(4)}"
    return path.with_name(f".{path.name}.{mark}.partial")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield where to write a file, which takes the place of `path` when the block ends well.

    It is synced to the disk before, and the folder after.

    Args:
        path: The file to make, or to replace; its folder exists.

    Raises:
        OSError: If it cannot be written; then what was at `path` is still there.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with whole_file(target) as unfinished:
        ...     _ = unfinished.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    unfinished = unfinished_name(path)
    try:
        yield unfinished
        sync_file(unfinished)
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    sync_folder(path.absolute().parent)


@contextmanager
def whole_folder(
    path: Path, inside: Path | None = None, *, replaces: bool = False
) -> Iterator[Path]:
    """Yield a new folder to write into, which is renamed to `path` when the block ends well.

    All its files are synced to the disk before.

    Args:
        path: The folder to make.
        inside: A folder beside `path` where to write meanwhile; a name beside it if None.
        replaces: Whether there is one at `path`, whose place it takes. There is a moment in which
            neither is there; `inside` then has both.

    Raises:
        OSError: If it cannot be written, or renamed; then nothing is left of it.
    """
    unfinished = unfinished_name(path.absolute()) if inside is None else inside / "new"
    before = None if inside is None else inside / "before"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir()
        yield unfinished
        for file in unfinished.rglob("*"):
            if file.is_file():
                sync_file(file)
        sync_folder(unfinished)
        if replaces and before is not None and path.exists():
            shutil.rmtree(before, ignore_errors=True)
            os.rename(path, before)
        os.rename(unfinished, path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        if before is not None and before.exists() and not path.exists():
            os.rename(before, path)
        raise
    sync_folder(path.absolute().parent)


@contextmanager
def scratch_folder(name: str, folder: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder that is removed after the block, or by who comes next after a kill.

    Args:
        name: What it is for.
        folder: Where to make it; the system's temporary folder if None.
    """
    place = Path(tempfile.gettempdir()) if folder is None else folder
    remove_left_behind(place, name)
    scratch = unfinished_name(place / name)
    scratch.mkdir(mode=0o700)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def remove_left_behind(folder: Path, name: str | None = None) -> list[Path]:
    """Remove what processes of this machine that are gone have not finished.

    Args:
        folder: Where to look; it need not exist.
        name: What was to be made; anything if None.

    Returns:
        What was removed.
    """
    host = re.escape(socket.gethostname())
    wanted = ".*" if name is None else re.escape(name)
    pattern = re.compile(rf"\.{wanted}\.{host}\.([0-9]+)\.([0-9a-f]{{8}})[0-9a-f]{{8}}\.partial")
    removed = []
    for path in folder.glob(".*.partial"):
        found = pattern.fullmatch(path.name)
        if found is None or _is_there(int(found[1]), found[2]):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
        removed.append(path)
    return removed


def is_alive(process: int) -> bool:
    """Return whether there is a process of this number on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _is_there(process: int, mark: str) -> bool:
    """Return whether who left that mark may still be running."""
    return mark == _PROCESS if process == os.getpid() else is_alive(process)


def sync_file(path: Path) -> None:
    """Ask the disk to keep a file's content.

    Raises:
        OSError: If it cannot: the disk is full or failing.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Ask the disk to keep the names in a folder, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
