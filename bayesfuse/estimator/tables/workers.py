"""Work in several processes of one thread each, which end when their parent does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from bayesfuse.errors import BayesfuseError, UserError

Task = TypeVar("Task")
Result = TypeVar("Result")

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What numerical libraries read when they load."""


@dataclass(frozen=True)
class Failure:
    """Why a task has no result.

    Attributes:
        reason: In words.
        expected: Whether it is the task's own fault; else a process died, or something broke.
    """

    reason: str
    expected: bool


@dataclass(frozen=True)
class Done(Generic[Task, Result]):
    """A task and what came of it."""

    task: Task
    outcome: Result | Failure


@dataclass(frozen=True)
class _Unprepared:
    """Why a process cannot do anything."""

    reason: str


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    doing: Any = None

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def in_processes(
    tasks: Sequence[Task],
    prepare: Callable[[Any], Callable[[Task], Result]],
    setup: object,
    *,
    jobs: int,
) -> Iterator[Done[Task, Result]]:
    """Yield what comes of each task, in the order in which they end.

    Each process calls `prepare(setup)` once, and what that returns with one task after the other.
    An error of bayesfuse in a task is its `Failure`, and so is any other; a process that dies takes
    only the task along that it was at. Whoever leaves the loop early ends all processes, and so
    does the end of this one, however it comes.

    Args:
        tasks: What to do, each sent to a process when it is free.
        prepare: A function of a module, called once a process.
        setup: What it is given; must go through a pipe.
        jobs: Processes at once.

    Raises:
        UserError: If `prepare` raises an error of bayesfuse.
    """
    waiting = deque(tasks)
    workers: list[_Worker] = []
    try:
        while len(workers) < min(jobs, len(tasks)):
            workers.append(_started(prepare, setup))
            _give(workers[-1], waiting)
        while workers:
            for pipe in wait([worker.pipe for worker in workers]):
                worker = next(worker for worker in workers if worker.pipe is pipe)
                try:
                    outcome = worker.pipe.recv()
                except (EOFError, OSError):
                    worker.process.join()
                    outcome = Failure(_death(worker.process.exitcode), expected=False)
                    worker.end()
                    workers.remove(worker)
                    if waiting:
                        workers.append(_started(prepare, setup))
                        _give(workers[-1], waiting)
                    yield Done(worker.doing, outcome)
                    continue
                if isinstance(outcome, _Unprepared):
                    raise UserError(outcome.reason)
                done = Done(worker.doing, outcome)
                if waiting:
                    _give(worker, waiting)
                else:
                    worker.end()
                    workers.remove(worker)
                yield done
    finally:
        for worker in workers:
            worker.end()


def _started(prepare: Callable[[Any], Any], setup: object) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, prepare, setup), daemon=True)
    with _one_thread():
        process.start()
    theirs.close()  # or the end of the process would not end the pipe
    return _Worker(process, ours)


def _give(worker: _Worker, waiting: deque[Any]) -> None:
    worker.doing = waiting.popleft()
    with suppress(OSError):  # it has died, which the end of its pipe will tell
        worker.pipe.send(worker.doing)


def _serve(pipe: Connection, prepare: Callable[[Any], Callable[[Any], Any]], setup: object) -> None:
    """Do what comes through the pipe, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to act upon
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work = prepare(setup)
    except BayesfuseError as error:
        pipe.send(_Unprepared(str(error)))
        return
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            outcome = work(task)
        except BayesfuseError as error:
            outcome = Failure(str(error), expected=True)
        except Exception as error:
            outcome = Failure(f"{type(error).__name__}: {error}", expected=False)
        pipe.send(outcome)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)  # nothing is half-written here: only the parent writes


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        more = ", which is how a system ends one that takes too much memory" * (code == -9)
        return f"its process was ended by {name}{more}; try fewer --jobs."
    return f"its process ended with the exit code {code}."


@contextmanager
def _one_thread() -> Iterator[None]:
    """Set what a process started inside the block inherits."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
