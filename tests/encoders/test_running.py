"""Only what is new is encoded, a handful at a time, and every cell has its outcome."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bayesfuse.data.raw import RawColumn
from bayesfuse.encoders import running
from bayesfuse.encoders.base import CellProblem, Encoder
from bayesfuse.encoders.cache import FeatureCache
from bayesfuse.encoders.reports import EMPTY
from bayesfuse.encoders.rows_file import RowsFile
from bayesfuse.encoders.running import InMemory, Nowhere, Progress, encode_column


class Letters(Encoder):
    """Counts letters a and b; refuses texts with a question mark, and keeps a list of its work."""

    name, kind, costly, width = "letters", "text", True, 2

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.calls: list[int] = []

    def fit(self, cells):
        return self

    def encode(self, cells: Sequence[str]):
        self.seen += cells
        self.calls.append(len(cells))
        observed = np.array(["?" not in cell for cell in cells], dtype=bool)
        self.problems_ = tuple(
            CellProblem(row, "a question") for row in np.flatnonzero(~observed).tolist()
        )
        self.remarks_ = tuple(
            CellProblem(row, "loud") for row, c in enumerate(cells) if "!" in c and "?" not in c
        )
        counts = np.array([[c.count("a"), c.count("b")] for c in cells], dtype=np.float32)
        return counts * observed[:, None], observed

    def state(self):
        return {"name": self.name}, {}

    @classmethod
    def from_state(cls, config, arrays):
        return cls()


def column(cells: Sequence[str | None]) -> RawColumn:
    observed = np.array([cell is not None for cell in cells])
    return RawColumn("text", "text", observed, lambda: cells)


def expected(cells: Sequence[str | None]) -> np.ndarray:
    return np.array(
        [[0, 0] if c is None or "?" in c else [c.count("a"), c.count("b")] for c in cells]
    )


CELLS = ["aab", None, "why? a", "b!", "aab", "abba", "b!", None, "why? a", "c"]


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path, "f", 2)


@pytest.mark.parametrize("with_cache", [True, False])
def test_every_cell_has_its_features_and_its_outcome(cache, with_cache):
    encoder, rows = Letters(), InMemory(len(CELLS), 2)
    found = encode_column(encoder, column(CELLS), rows, cache=cache if with_cache else None)
    np.testing.assert_array_equal(rows.values, expected(CELLS))
    assert found.observed.tolist() == [c is not None and "?" not in c for c in CELLS]
    assert [(case.row, case.outcome, case.reason) for case in found.cases] == [
        (1, "unobserved", EMPTY),
        (2, "unobserved", "a question"),
        (3, "remark", "loud"),
        (6, "remark", "loud"),
        (7, "unobserved", EMPTY),
        (8, "unobserved", "a question"),
    ]
    if with_cache:
        assert sorted(encoder.seen) == sorted({c for c in CELLS if c is not None})
        assert (found.num_new, found.num_known) == (5, 3)


def test_a_second_run_encodes_only_what_is_new_and_remembers_remarks(cache, tmp_path):
    encode_column(Letters(), column(CELLS), Nowhere(), cache=cache)
    again, rows = Letters(), InMemory(12, 2)
    moved = [*reversed(CELLS), "new a", "aab"]
    found = encode_column(again, column(moved), rows, cache=FeatureCache(tmp_path, "f", 2))
    # what could not be encoded is tried again: another version of a library may know it
    assert sorted(again.seen) == ["new a", "why? a"]
    np.testing.assert_array_equal(rows.values, expected(moved))
    assert sum(case.reason == "loud" for case in found.cases) == 2


def test_shares_are_disjoint_and_together_everything(cache, tmp_path):
    cells = [f"{'a' * (i % 7)} {i}" for i in range(50)]
    seen = []
    for share in range(3):
        encoder = Letters()
        part = FeatureCache(tmp_path, "f", 2)
        found = encode_column(encoder, column(cells), Nowhere(), cache=part, shard=(share, 3))
        assert found.observed.sum() == len(range(share, 50, 3))
        seen += encoder.seen
    assert sorted(seen) == sorted(cells)
    last, rows = Letters(), InMemory(50, 2)
    encode_column(last, column(cells), rows, cache=FeatureCache(tmp_path, "f", 2))
    assert last.seen == []
    np.testing.assert_array_equal(rows.values, expected(cells))


def test_progress_ends_at_the_total_and_never_goes_back(cache):
    told: list[Progress] = []
    cells = [f"a{i}" for i in range(300)] + [None] * 20 + ["a0"] * 10
    encode_column(Letters(), column(cells), Nowhere(), cache=cache, on_progress=told.append)
    done = [progress.done for progress in told]
    assert done == sorted(done)
    assert told[-1] == Progress("text", 330, 330, 300)
    assert len(told) >= 3


def test_work_is_kept_in_parts_of_some_seconds(cache, monkeypatch):
    monkeypatch.setattr(running, "SECONDS_A_PART", 0.0)  # the smallest parts that there are
    encoder = Letters()
    encode_column(encoder, column([f"a{i}" for i in range(300)]), Nowhere(), cache=cache)
    assert max(encoder.calls) == running._FIRST
    assert len(list(cache.folder.glob("part-*.npy"))) == len(encoder.calls) == 5


def test_what_was_encoded_before_an_error_is_kept(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "SECONDS_A_PART", 0.0)
    cells = [f"a{i}" for i in range(300)]

    class Failing(Letters):
        def encode(self, part):
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().encode(part)

    with pytest.raises(KeyboardInterrupt):
        encode_column(Failing(), column(cells), Nowhere(), cache=cache)
    again = Letters()
    encode_column(again, column(cells), Nowhere(), cache=FeatureCache(tmp_path, "f", 2))
    assert len(again.seen) == 300 - 2 * running._FIRST


def test_features_may_go_to_a_file(cache, tmp_path):
    with RowsFile(tmp_path / "rows.npy", len(CELLS), 2) as rows:
        encode_column(Letters(), column(CELLS), rows, cache=cache)
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), expected(CELLS))


def test_files_of_equal_content_are_one_picture(cache, tmp_path):
    class Sizes(Letters):
        kind = "image"

        def encode(self, cells):
            self.seen += cells
            sizes = np.array([[cell.stat().st_size, 0] for cell in cells], dtype=np.float32)
            return sizes, np.ones(len(cells), dtype=bool)

    for name, content in (("a", b"xx"), ("b", b"xx"), ("c", b"y")):
        (tmp_path / name).write_bytes(content)
    paths = RawColumn("image", "path", np.ones(3, bool), lambda: ["a", "b", "c"], tmp_path)
    encoder, rows = Sizes(), InMemory(3, 2)
    encode_column(encoder, paths, rows, cache=cache)
    assert rows.values[:, 0].tolist() == [2, 2, 1]
    assert len(encoder.seen) == 2
