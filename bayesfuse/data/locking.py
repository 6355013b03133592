"""One writer at a time: a lock on a folder, with the name of who holds it.

The lock is the operating system's, on the file `.lock` in the folder, and ends with its process
however that ends: there are no locks of the dead. Beside it `.owner.json` says who it is.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from bayesfuse.data.whole_files import whole_file
from bayesfuse.errors import LockedError, write_error

LOCK = ".lock"
OWNER = ".owner.json"
_TRIES = 10


@contextmanager
def locked(
    folder: Path, advice: str = "Choose another folder.", *, name: str = "", wait: float = 0.0
) -> Iterator[None]:
    """Hold a folder, which is made if it is not there, inside the block.

    The folder may be removed inside. A lock is for one writer, be it another process or another
    thread of this one; it keeps no reader away.

    Args:
        folder: The folder.
        advice: What else than waiting can be done where it is held.
        name: Of one lock among several on the folder.
        wait: Seconds to wait for it.

    Raises:
        LockedError: If somebody holds it; the message says who, and since when.
        UserError: If the folder cannot be written into.
        StorageError: If the disk is full.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with locked(folder):
        ...     sorted(path.name for path in folder.iterdir())
        ['.lock', '.owner.json']
    """
    try:
        lock = _acquired(folder, name, wait)
    except Timeout:
        told = f"{folder} is being written by {owner_of(folder, name)}."
        raise LockedError(f"{told} Wait until that has ended, or {_small(advice)}") from None
    except OSError as error:
        raise write_error(f"into {folder}", error, advice) from error
    try:
        # for the eyes of others alone: the lock holds without it, on a disk that is full, too
        with suppress(OSError), whole_file(_file(folder, OWNER, name)) as file:
            file.write_text(json.dumps(_myself()) + "\n", encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            _file(folder, OWNER, name).unlink()
        with suppress(OSError):  # while it is held: who waits for it sees that it has no name now
            _file(folder, LOCK, name).unlink()
        lock.release()


def _file(folder: Path, kind: str, name: str) -> Path:
    return folder / (f".{name}{kind}" if name else kind)


def _acquired(folder: Path, name: str, wait: float) -> FileLock:
    path = _file(folder, LOCK, name)
    for _ in range(_TRIES):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=wait, thread_local=False, is_singleton=False)
        try:
            lock.acquire()
        except FileNotFoundError:
            continue  # who held it has just removed the folder
        if path.exists():
            return lock
        lock.release()
    raise FileNotFoundError(2, "it is removed again and again", str(folder))


def owner_of(folder: Path, name: str = "") -> str:
    """Return who holds a folder, as a message says it."""
    try:
        told = json.loads(_file(folder, OWNER, name).read_text(encoding="utf-8"))
        process, host = told["process"], told["host"]
        return f"process {process} on {host} since {told['since']} ({told['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _myself() -> dict[str, str | int]:
    return {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def _small(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
