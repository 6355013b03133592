"""Decoding pictures in processes of their own, ahead of the network that reads them.

Every worker is a plain child process with a pipe each way (see `decoding_worker`), and not one of
`multiprocessing`: those import the user's main module again, so that a script without
`if __name__ == "__main__"` would start itself over, and they outlive a parent that was killed. As
a worker has one picture at a time, it is known at once which one it died of.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.spawn import get_executable

import numpy as np
from numpy.typing import NDArray

from bayesfuse.encoders.base import Cell, CellProblem
from bayesfuse.encoders.decoding_worker import BYTES, HEADER, PATH, PIXELS, READY, decode
from bayesfuse.encoders.image_preprocessing import ImagePreprocessing
from bayesfuse.encoders.pictures import UnreadableError
from bayesfuse.errors import BayesfuseError, FeatureError

CRASHED = "the decoder crashed"
MOST_WORKERS = 8

_FEW = 128  # pictures that are decoded sooner than the workers have started
_MAIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from bayesfuse.encoders.decoding_worker import main; main()"
)

Pixels = NDArray[np.uint8]  # 3 x height x width


@dataclass(frozen=True)
class Batch:
    """Pictures that were decoded, and those that could not be.

    Attributes:
        rows: The places of the pictures among the cells.
        pixels: Their pixels, pictures x 3 x height x width.
        problems: Cells that are no picture; they have no row.
    """

    rows: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    problems: tuple[CellProblem, ...]


class Decoder:
    """Decodes pictures, with workers once there are enough pictures to pay for their start.

    Args:
        preprocessing: To what size, and how.
        workers: How many processes; a core each, 8 at most, if None. With 0, pictures are decoded
            in this process, which then dies of a picture that a worker would die of.
        tell: Called with a sentence if no worker can be started.
    """

    def __init__(
        self,
        preprocessing: ImagePreprocessing,
        workers: int | None = None,
        tell: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.preprocessing = preprocessing
        self.asked = workers
        self.workers = min(len(_cores()), MOST_WORKERS) if workers is None else workers
        self.tell = tell
        self._seen = 0
        self._started = False
        self._idle: deque[_Worker] = deque()
        self._owner = os.getpid()
        weakref.finalize(self, _close, self._idle, self._owner)  # runs at exit, too

    def batches(self, cells: Sequence[Cell], batch_size: int) -> Generator[Batch, None, None]:
        """Decode cells in their order; `None` is passed over.

        Workers are ahead by two batches at most, whatever the number of cells.

        Args:
            cells: Bytes or paths of picture files.
            batch_size: Pictures of a batch at most.

        Raises:
            FeatureError: If a cell is of another type.
            BayesfuseError: If a worker that died cannot be replaced.
        """
        check_pictures(cells)
        rows = [row for row, cell in enumerate(cells) if cell is not None]
        self._start_if_it_pays(len(rows))
        wanted = (cells[row] for row in rows)
        # map would submit all of the cells at once
        decoded = (
            self._with_workers(wanted, 2 * batch_size) if self._started else self._here(wanted)
        )
        found = zip(rows, decoded, strict=True)
        while part := list(islice(found, batch_size)):
            good = [(row, pixels) for row, pixels in part if not isinstance(pixels, str)]
            bad = [CellProblem(row, reason) for row, reason in part if isinstance(reason, str)]
            pixels = np.empty((len(good), *self.preprocessing.input_size), dtype=np.uint8)
            for place, (_, values) in enumerate(good):
                pixels[place] = values
            yield Batch(np.array([row for row, _ in good], np.int64), pixels, tuple(bad))

    def close(self) -> None:
        """End the workers; new ones are started if there is more to decode."""
        _close(self._idle, self._owner)
        self._started = False

    def _here(self, cells: Iterator[Cell]) -> Iterator[Pixels | str]:
        for cell in cells:
            try:
                yield decode(cell, self.preprocessing)
            except UnreadableError as error:
                yield str(error)

    def _with_workers(self, cells: Iterator[Cell], ahead: int) -> Iterator[Pixels | str]:
        """Decode in order; a thread waits for each worker."""
        executor = ThreadPoolExecutor(self.workers, thread_name_prefix="decoding")
        waiting: deque[Future[Pixels | str]] = deque()
        try:
            for cell in islice(cells, ahead + self.workers):
                waiting.append(executor.submit(self._by_worker, cell))
            while waiting:
                found = waiting.popleft().result()
                for cell in islice(cells, 1):
                    waiting.append(executor.submit(self._by_worker, cell))
                yield found
        finally:
            executor.shutdown(cancel_futures=True)

    def _by_worker(self, cell: Cell) -> Pixels | str:
        """Return pixels, or why there are none; of a picture that kills two workers, that."""
        for _ in range(2):
            try:
                worker = self._idle.pop()
            except IndexError:
                worker = _Worker(self.preprocessing)
                if not worker.is_ready():
                    worker.close()
                    raise BayesfuseError(
                        "A process that decodes pictures died, and another could not be started. "
                        "Use fewer workers, or 0 for none."
                    ) from None
            try:
                found = worker.decode(cell)
            except EOFError:
                worker.close()
                continue
            except BaseException:
                worker.close()
                raise
            self._idle.append(worker)
            return found
        return CRASHED

    def _start_if_it_pays(self, count: int) -> None:
        if self._owner != os.getpid():  # a fork of the process that the workers answer
            self._idle, self._started, self._owner = deque(), False, os.getpid()
            weakref.finalize(self, _close, self._idle, self._owner)
        self._seen += count
        if self._started or not self.workers or self._seen < _FEW or not count:
            return
        try:
            for _ in range(self.workers):
                self._idle.append(_Worker(self.preprocessing))
            self._started = all([worker.is_ready() for worker in self._idle])
        except OSError:
            self._started = False
        if not self._started:
            self.close()
            self.workers = 0
            self.tell(
                "Processes that decode pictures cannot be started here; pictures are decoded in "
                "this one, which is slower."
            )


class _Worker:
    """One process and its pipes.

    Raises:
        OSError: If it cannot be started.
    """

    def __init__(self, preprocessing: ImagePreprocessing) -> None:
        self.size = preprocessing.input_size
        quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [get_executable() or sys.executable, "-c", _MAIN, json.dumps([*map(str, sys.path)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **quiet},
            start_new_session=True,  # Ctrl-C is for this process, which ends its workers
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests, self.answers = self.process.stdin, self.process.stdout
        self._settings = json.dumps(preprocessing.to_json()).encode() + b"\n"

    def is_ready(self) -> bool:
        """Wait until it is there, or not."""
        try:
            self.requests.write(self._settings)
            self.requests.flush()
            kind, _ = self._receive()
        except (EOFError, OSError):
            return False
        return kind == READY

    def decode(self, cell: Cell) -> Pixels | str:
        """Return pixels, or why there are none.

        Raises:
            EOFError: If the process is no more.
        """
        if isinstance(cell, bytes):
            kind, content = BYTES, cell
        else:
            assert isinstance(cell, str | os.PathLike)
            kind, content = PATH, os.fsencode(cell)
        try:
            self.requests.write(HEADER.pack(kind, len(content)))
            self.requests.write(content)
            self.requests.flush()
        except OSError as error:
            raise EOFError from error
        kind, content = self._receive()
        if kind == PIXELS:
            return np.frombuffer(content, dtype=np.uint8).reshape(self.size)
        return content.decode()

    def close(self) -> None:
        """End the process."""
        with suppress(OSError):
            self.requests.close()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.answers.close()

    def _receive(self) -> tuple[bytes, bytes]:
        header = self.answers.read(HEADER.size)
        if len(header) < HEADER.size:
            raise EOFError
        kind, length = HEADER.unpack(header)
        content = self.answers.read(length)
        if len(content) < length:
            raise EOFError
        return kind, content


def check_pictures(cells: Iterable[Cell]) -> None:
    """Make sure that cells are bytes, paths or `None`.

    Raises:
        FeatureError: If one is not.
    """
    for row, cell in enumerate(cells):
        if not isinstance(cell, bytes | str | os.PathLike | None):
            raise FeatureError(
                f"Row {row}: A picture is {type(cell).__name__}; expected bytes, a path or None."
            )


def _close(workers: deque[_Worker], owner: int) -> None:
    if os.getpid() == owner:  # a fork must not end its parent's workers
        while workers:
            workers.pop().close()


def _cores() -> Sequence[int]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return range(os.cpu_count() or 1)
