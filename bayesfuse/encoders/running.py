"""Running an encoder over a column of raw cells: only what is new, a handful at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.raw import RawColumn
from bayesfuse.data.sequences import Ragged
from bayesfuse.encoders.base import Cell, Encoder
from bayesfuse.encoders.cache import KEY_BYTES, FeatureCache
from bayesfuse.encoders.content import content_key
from bayesfuse.encoders.reports import EMPTY, Case

SECONDS_A_PART = 10.0
"""About how much work is lost if the machine goes down."""

_FIRST = 64  # cells of the first part of an encoder whose speed is not known yet
_MOST = {"text": 4096, "image": 512, "table": 4096}  # cells held in memory at a time
_LIGHT = 4096  # cells at a time of an encoder that keeps nothing
_NUMBERS = 1 << 25  # of sequences that are held in memory at a time

Values = NDArray[np.float32] | Ragged
"""What an encoder makes of cells: vectors, `items x features`, or steps."""


class Rows(Protocol):
    """Where features go: an array in memory, or a file."""

    def write(self, rows: NDArray[np.int64], values: Any) -> None:
        """Keep the features of these rows."""


@dataclass
class Encoded:
    """What an encoder made of a column.

    Attributes:
        observed: Which cells have features, `items`.
        cases: Cells that are empty, could not be encoded, or need a remark.
        num_new: Cells that were encoded now; those of equal content count once.
        num_known: Cells whose features were in the cache, or equal to a new one's.
    """

    observed: NDArray[np.bool_]
    cases: list[Case] = field(default_factory=list)
    num_new: int = 0
    num_known: int = 0


@dataclass(frozen=True)
class Progress:
    """How far the encoding of a modality is.

    Attributes:
        modality: Which.
        done: Cells that are done.
        total: All cells.
        new: Cells that had to be encoded, of those done.
    """

    modality: str
    done: int
    total: int
    new: int


def encode_column(
    encoder: Encoder,
    cells: RawColumn,
    rows_out: Rows,
    *,
    cache: FeatureCache | None = None,
    shard: tuple[int, int] = (0, 1),
    on_progress: Callable[[Progress], None] | None = None,
) -> Encoded:
    """Encode a column, with the help of a cache if there is one.

    Never holds more than a few thousand cells and their features in memory, and adds to the cache
    every ten seconds or so.

    Args:
        encoder: A fitted encoder.
        cells: The column.
        rows_out: Where the features go.
        cache: The encoder's cache.
        shard: (k, n): the k-th of n shares of the items only, from 0.
        on_progress: Called now and then.

    Raises:
        FeatureError: If a cell is of a type that the encoder does not read.
        StorageError: If the disk is full; what the cache holds stays.
    """
    return _Run(encoder, cells, rows_out, cache, shard, on_progress).all()


class _Run:
    """The state of one `encode_column`."""

    def __init__(
        self,
        encoder: Encoder,
        cells: RawColumn,
        rows_out: Rows,
        cache: FeatureCache | None,
        shard: tuple[int, int],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.encoder, self.cells, self.rows_out, self.cache = encoder, cells, rows_out, cache
        self.share, self.shares = shard
        self.on_progress = on_progress
        self.total = len(range(self.share, len(cells), self.shares))
        self.done = 0
        self.most = _MOST[encoder.kind] if cache is not None else _LIGHT
        self.part = _FIRST if cache is not None else _LIGHT
        if encoder.steps is not None:
            self.most = max(1, min(self.most, _NUMBERS // (encoder.steps * encoder.width)))
            self.part = min(_FIRST, self.most)
        self.found = Encoded(np.zeros(len(cells), dtype=np.bool_))
        self.keys: list[bytes | None] = []
        self.waiting: list[Cell] = []
        self.rows: list[list[int]] = []  # the rows that wait for each cell
        self.at: dict[bytes, int] = {}  # key to its place among the cells that wait

    def all(self) -> Encoded:
        for rows, cells in self.cells.stream(self.most):
            mine = rows % self.shares == self.share
            self.take(rows[mine], [c for c, m in zip(cells, mine.tolist(), strict=True) if m])
        while self.waiting:
            self.encode()
        self.found.cases.sort(key=lambda case: case.row)
        return self.found

    def take(self, rows: NDArray[np.int64], cells: list[Cell]) -> None:
        """Answer what the cache knows, and let the rest wait."""
        empty = [cell is None for cell in cells]
        for row in rows[empty].tolist():
            self.found.cases.append(Case(row, "unobserved", EMPTY))
        self.done += sum(empty)
        keep = [place for place, none in enumerate(empty) if not none]
        rows, cells = rows[keep], [self._as_cell(cells[place]) for place in keep]
        if self.cache is None:
            for row, cell in zip(rows.tolist(), cells, strict=True):
                self._wait(None, row, cell)
        else:
            keys = [content_key(cell) for cell in cells]
            asked = np.array([key or b"" for key in keys], dtype=f"S{KEY_BYTES}")
            places = self.cache.find(asked)
            places[[key is None for key in keys]] = -1
            self._answer(rows[places >= 0], places[places >= 0])
            for place in np.flatnonzero(places < 0).tolist():
                self._wait(keys[place], int(rows[place]), cells[place])
        while len(self.waiting) >= self.part:
            self.encode()
        self.tell()

    def encode(self) -> None:
        """Encode a part of what waits, and keep it."""
        count = min(self.part, len(self.waiting))
        cells, keys, rows = self.waiting[:count], self.keys[:count], self.rows[:count]
        self.waiting, self.keys, self.rows = (
            self.waiting[count:],
            self.keys[count:],
            self.rows[count:],
        )
        self.at = {key: place for place, key in enumerate(self.keys) if key is not None}
        started = time.perf_counter()
        values: Values
        if self.encoder.steps is None:
            values, observed = self.encoder.encode(cells)
        else:
            values, observed = self.encoder.encode_steps(cells)
        rate = count / max(time.perf_counter() - started, 1e-6)
        remarks = [""] * count
        for remark in self.encoder.remarks_:
            remarks[remark.row] = remark.reason
        problems = {problem.row: problem.reason for problem in self.encoder.problems_}
        for place in range(count):
            if observed[place]:
                self._keep(rows[place], remarks[place])
            else:
                reason = problems.get(place, EMPTY)
                self.found.cases += [Case(row, "unobserved", reason) for row in rows[place]]
        good = np.flatnonzero(observed)
        for turn in range(max((len(rows[place]) for place in good), default=0)):
            some = [place for place in good.tolist() if len(rows[place]) > turn]
            turned = np.array([rows[place][turn] for place in some])
            self.rows_out.write(turned, _of(values, np.array(some)))
        if self.cache is not None:
            cached = [place for place in good.tolist() if keys[place] is not None]
            named = np.array([keys[place] for place in cached], dtype=f"S{KEY_BYTES}")
            values = _of(values, np.array(cached, dtype=np.int64))
            self.cache.add(named, values, [remarks[place] for place in cached])
        if self.cache is not None or self.encoder.steps is not None:
            least = min(_FIRST, self.most)
            self.part = int(np.clip(rate * SECONDS_A_PART, least, self.most))
        self.found.num_new += count
        self.found.num_known += sum(map(len, rows)) - count
        self.done += sum(map(len, rows))
        self.tell()

    def tell(self) -> None:
        if self.on_progress is not None:
            new = self.found.num_new
            self.on_progress(Progress(self.cells.name, self.done, self.total, new))

    def _wait(self, key: bytes | None, row: int, cell: Cell) -> None:
        if key is not None and key in self.at:
            self.rows[self.at[key]].append(row)
            return
        if key is not None:
            self.at[key] = len(self.waiting)
        self.waiting.append(cell)
        self.keys.append(key)
        self.rows.append([row])

    def _answer(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        assert self.cache is not None
        values, remarks = self.cache.read(places)
        self.rows_out.write(rows, values)
        for row, remark in zip(rows.tolist(), remarks, strict=True):
            self._keep([row], remark)
        self.found.num_known += len(rows)
        self.done += len(rows)

    def _keep(self, rows: Sequence[int], remark: str) -> None:
        self.found.observed[rows] = True
        if remark:
            self.found.cases += [Case(row, "remark", remark) for row in rows]

    def _as_cell(self, cell: Cell) -> Cell:
        return Path(cell) if self.cells.kind == "path" and isinstance(cell, str) else cell


def _of(values: Values, places: NDArray[np.int64]) -> Values:
    """Return what was made of some cells."""
    return values.take(places) if isinstance(values, Ragged) else values[places]


class InMemory:
    """Features in an array.

    Attributes:
        values: `items x features`, 0 where nothing was written.
    """

    def __init__(self, num_rows: int, width: int) -> None:
        self.values = np.zeros((num_rows, width), dtype=np.float32)

    def write(self, rows: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Keep the features of these rows."""
        self.values[rows] = values


class Nowhere:
    """Where features go that are only wanted in the cache."""

    def write(self, rows: NDArray[np.int64], values: Values) -> None:
        """Keep nothing."""
