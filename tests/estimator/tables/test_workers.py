"""Processes: they share the work, fail one task at a time, and end when their parent does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bayesfuse.errors import UserError
from bayesfuse.estimator.tables.workers import Done, Failure, in_processes


def add_to(setup: int) -> Callable[[int], tuple[int, str | None]]:
    """Return what adds, and fails in the ways that tasks do."""
    if setup < 0:
        raise UserError("Nothing below 0.")

    def work(task: int) -> tuple[int, str | None]:
        if task == 13:
            raise UserError("Thirteen is unlucky.")
        if task == 14:
            raise ZeroDivisionError("fourteen")
        if task == 15:
            os.kill(os.getpid(), signal.SIGKILL)
        return setup + task, os.environ.get("OMP_NUM_THREADS")

    return work


@pytest.mark.slow
def test_every_task_has_its_outcome_and_failures_stay_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = {
        done.task: done.outcome for done in in_processes([15, 1, 13, 14, 2], add_to, 100, jobs=2)
    }
    assert (found[1], found[2]) == ((101, "1"), (102, "1"))
    assert found[13] == Failure("Thirteen is unlucky.", expected=True)
    assert found[14] == Failure("ZeroDivisionError: fourteen", expected=False)
    died = found[15]
    assert isinstance(died, Failure)
    assert "SIGKILL" in died.reason
    assert "too much memory" in died.reason
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_nothing_to_do_starts_nothing() -> None:
    assert list(in_processes([], add_to, 1, jobs=2)) == []


@pytest.mark.slow
def test_what_cannot_be_prepared_ends_it() -> None:
    with pytest.raises(UserError, match="Nothing below 0"):
        list(in_processes([1, 2], add_to, -1, jobs=1))


SCRIPT = """
import os, sys, time
from pathlib import Path
from bayesfuse.estimator.tables.workers import in_processes

def write_and_wait(setup):
    def work(task):
        Path(setup).write_text(str(os.getpid()))
        time.sleep(600)
    return work

if __name__ == "__main__":
    list(in_processes([1], write_and_wait, sys.argv[1], jobs=1))
"""


@pytest.mark.slow
def test_a_killed_parent_takes_its_processes_along(tmp_path: Path) -> None:
    script, told = tmp_path / "script.py", tmp_path / "pid"
    script.write_text(textwrap.dedent(SCRIPT))
    parent = subprocess.Popen([sys.executable, str(script), str(told)])
    deadline = time.monotonic() + 60
    while not (told.exists() and told.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = int(told.read_text())
    os.kill(child, 0)  # it is there
    parent.kill()
    parent.wait()
    while alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.slow
def test_an_outcome_knows_its_task() -> None:
    (done,) = in_processes([5], add_to, 1, jobs=1)
    assert done == Done(5, (6, "1"))
