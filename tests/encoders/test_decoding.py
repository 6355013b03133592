"""Decoding in workers: the same pixels in the same order, crashes, signals, nothing left behind."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bayesfuse.encoders import decoding
from bayesfuse.encoders.base import CellProblem
from bayesfuse.encoders.decoding import CRASHED, MOST_WORKERS, Decoder
from bayesfuse.encoders.image_preprocessing import ImagePreprocessing
from bayesfuse.encoders.pictures import EMPTY, NO_FILE, NO_PICTURE
from bayesfuse.errors import FeatureError

PREPROCESSING = ImagePreprocessing.resolve(
    {
        "input_size": (3, 24, 16),
        "interpolation": "bilinear",
        "mean": 0.5,
        "std": 0.5,
        "crop_pct": 1.0,
        "crop_mode": "squash",
    },
    {},
)


def flat(colour: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 30), (colour, 255 - colour, 7)).save(buffer, "PNG")
    return buffer.getvalue()


CELLS = [flat(colour) for colour in range(200)]


@pytest.fixture
def make_decoder():
    """Give a maker of decoders that start their workers at the first picture."""
    with contextlib.ExitStack() as stack:

        def make(workers: int | None = 2, few: int = 1, **options: object) -> Decoder:
            stack.enter_context(pytest.MonkeyPatch.context()).setattr(decoding, "_FEW", few)
            decoder = Decoder(PREPROCESSING, workers, **options)
            stack.callback(decoder.close)
            return decoder

        yield make


def colours(decoder: Decoder, cells, batch_size: int = 16) -> dict[int, int]:
    """Return row to red value, and check that all else is as it should be."""
    found = {}
    for batch in decoder.batches(cells, batch_size):
        assert batch.pixels.dtype == np.uint8
        assert batch.pixels.shape == (len(batch.rows), 3, 24, 16)
        assert len(batch.rows) + len(batch.problems) <= batch_size
        red = batch.pixels[:, 0]
        assert (red == red[:, :1, :1]).all()
        assert (batch.pixels[:, 1] == 255 - red).all()
        found.update(zip(batch.rows.tolist(), red[:, 0, 0].tolist(), strict=True))
    return found


def problems(decoder: Decoder, cells, batch_size: int = 16) -> tuple[CellProblem, ...]:
    return sum((batch.problems for batch in decoder.batches(cells, batch_size)), ())


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_pixels_come_in_the_order_of_the_cells(make_decoder, workers):
    decoder = make_decoder(workers)
    cells = [*CELLS, None, *CELLS[::-1]]
    expected = [*range(200), None, *range(199, -1, -1)]
    assert colours(decoder, cells) == {
        row: colour for row, colour in enumerate(expected) if colour is not None
    }


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_pictures_and_paths(make_decoder, workers, tmp_path):
    path = tmp_path / "ein Bild äöü.png"
    path.write_bytes(CELLS[77])
    cells = [b"", path, None, str(path), CELLS[3], b"no picture", tmp_path / "nowhere.png"]
    decoder = make_decoder(workers)
    assert colours(decoder, cells) == {1: 77, 3: 77, 4: 3}
    assert problems(decoder, cells, 2) == (
        CellProblem(0, EMPTY),
        CellProblem(5, NO_PICTURE),
        CellProblem(6, NO_FILE),
    )
    assert colours(decoder, []) == colours(decoder, [None]) == {}


def test_a_cell_of_another_type_is_named(make_decoder):
    with pytest.raises(FeatureError, match="Row 1: A picture is float"):
        list(make_decoder().batches([CELLS[0], 1.5], 4))


def test_workers_start_when_there_are_enough_pictures_and_stay(make_decoder):
    decoder = make_decoder(2, few=20)
    colours(decoder, CELLS[:15])
    assert not decoder._idle
    colours(decoder, CELLS[:5])
    pids = {worker.process.pid for worker in decoder._idle}
    assert len(pids) == 2
    colours(decoder, CELLS)
    assert {worker.process.pid for worker in decoder._idle} == pids
    decoder.close()
    assert not decoder._idle
    assert colours(decoder, CELLS[:3]) == {0: 0, 1: 1, 2: 2}


def test_a_core_each_and_eight_at_most(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 5}, raising=False)
    assert Decoder(PREPROCESSING).workers == 3
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    assert Decoder(PREPROCESSING).workers == MOST_WORKERS


def test_decoding_is_ahead_by_a_bounded_number(make_decoder):
    class Counted(list):
        most = 0

        def __getitem__(self, row):
            self.most = max(self.most, row)
            return super().__getitem__(row)

    cells = Counted(CELLS)
    batches = make_decoder(2).batches(cells, 10)
    next(batches)
    time.sleep(0.2)
    assert 20 <= cells.most < 40
    batches.close()


POISON = (
    "import json, os, sys; sys.path[:] = json.loads(sys.argv[1])\n"
    "import bayesfuse.encoders.decoding_worker as worker; real = worker.decode\n"
    "def decode(cell, preprocessing):\n"
    "    if cell == b'poison': os._exit(9)\n"
    "    return real(cell, preprocessing)\n"
    "worker.decode = decode; worker.main()"
)


def test_a_picture_that_kills_the_decoder_is_reported_and_the_others_are_not(
    make_decoder, monkeypatch
):
    monkeypatch.setattr(decoding, "_MAIN", POISON)
    cells = [CELLS[0], b"poison", *CELLS[2:50], b"poison", CELLS[51]]
    decoder = make_decoder(2)
    assert problems(decoder, cells) == (CellProblem(1, CRASHED), CellProblem(50, CRASHED))
    assert colours(decoder, cells) == {row: row for row in range(52) if row not in (1, 50)}


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(make_decoder):
    decoder = make_decoder(2)
    colours(decoder, CELLS[:4])
    before = [worker.process.pid for worker in decoder._idle]
    os.kill(before[0], signal.SIGKILL)
    assert colours(decoder, CELLS) == {row: row for row in range(200)}
    assert before[0] not in [worker.process.pid for worker in decoder._idle]


def test_where_no_worker_can_be_started_this_process_decodes(make_decoder, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(decoding, "_MAIN", "import sys; sys.exit(1)")
    decoder = make_decoder(2, tell=told.append)
    for _ in range(2):
        assert colours(decoder, CELLS[:40]) == {row: row for row in range(40)}
    assert len(told) == 1
    assert "decoded in this one" in told[0]
    monkeypatch.setattr(decoding, "get_executable", lambda: "/nowhere/python")
    other = make_decoder(2, tell=told.append)
    assert colours(other, CELLS[:40]) == {row: row for row in range(40)}
    assert len(told) == 2


def test_a_decoder_that_is_dropped_ends_its_workers(make_decoder):
    decoder = Decoder(PREPROCESSING, 1)
    decoder._seen = 1000
    colours(decoder, CELLS[:4])
    (worker,) = decoder._idle
    process = worker.process
    assert process.poll() is None
    del decoder, worker
    assert process.poll() is not None


PROGRAM = """
import io, os, signal, sys, time
from PIL import Image
from bayesfuse.encoders import decoding
from bayesfuse.encoders.image_preprocessing import ImagePreprocessing
buffer = io.BytesIO()
Image.new("RGB", (20, 30)).save(buffer, "PNG")
settings = dict(input_size=16, interpolation="box", mean=.5, std=.5, crop_pct=1,
                crop_mode="squash")
decoder = decoding.Decoder(ImagePreprocessing.resolve(settings, {}), 2)
count = 0
for batch in decoder.batches([buffer.getvalue()] * int(sys.argv[1]), 64):
    if not count:
        print(*[worker.process.pid for worker in list(decoder._idle)], flush=True)
    count += len(batch.rows)
print(count, flush=True)
"""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def all_end(pids: list[int]) -> bool:
    until = time.monotonic() + 20
    while any(map(is_running, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(map(is_running, pids))


def children_of(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "a script without a guard.py"
    path.write_text(PROGRAM)
    return path


def test_a_script_needs_no_guard_and_leaves_nothing_behind(script):
    done = subprocess.run(
        [sys.executable, "-W", "error", script, "300"], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    *first, count = done.stdout.splitlines()
    assert len(first) == 1  # the script has run once, and not again in every worker
    assert count == "300"
    assert all_end([int(pid) for pid in first[0].split()])


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks at processes in /proc")
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_process_however_it_ends(script, blow):
    process = subprocess.Popen(
        [sys.executable, script, "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that Ctrl-C can be sent to its group, as a terminal does
    )
    assert process.stdout is not None
    process.stdout.readline()
    workers = children_of(process.pid)
    assert len(workers) == 2
    assert all(map(is_running, workers))
    os.killpg(process.pid, blow)
    try:
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == -blow
    assert ("KeyboardInterrupt" in errors) == (blow == signal.SIGINT)
    assert all_end(workers)
