from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayesfuse.errors import ConfigError, UserError
from bayesfuse.estimator.prediction_parts import (
    PredictionParts,
    check_parts,
    prediction_parts,
    wants_parts,
)
from bayesfuse.estimator.predictions import SCHEMA
from bayesfuse.inference import distributed
from bayesfuse.inference.distributed import Processes

IDS = np.array([f"item {i}" for i in range(75)])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def begin(run: Path, count: int | None = 3, **metadata: Any) -> PredictionParts:
    return prediction_parts(run.parent / "tags", count, IDS, run, {"seed": 0, **metadata})


def predicted(some: slice) -> Iterator[pa.Table]:
    """Yield predictions of two labels, an item a table."""
    for name in IDS[some]:
        columns: dict[str, Any] = {"id": [name] * 2, "label": ["a", "b"], "decision": [True] * 2}
        columns |= {f.name: [0.5, 0.25] for f in SCHEMA if f.name not in columns}
        yield pa.table(columns, schema=SCHEMA)


def test_the_folder_is_one_table_in_the_order_of_the_items(run: Path) -> None:
    told: list[int] = []
    assert begin(run).write(predicted, told.append) == 150
    table = pq.read_table(run.parent / "tags")
    assert table["id"].to_pylist() == np.repeat(IDS, 2).tolist()
    assert told == sorted(told)
    assert told[-1] == 150
    names = [path.name for path in sorted((run.parent / "tags").glob("part-*"))]
    assert names == [f"part-0000{i}-of-00003.parquet" for i in range(3)]
    schema = pq.read_schema(run.parent / "tags" / "_common_metadata")
    assert schema.equals(table.schema, check_metadata=True)
    with pytest.raises(UserError, match="exists already and is left as it is"):
        begin(run)


def test_parts_that_are_whole_are_kept(run: Path) -> None:
    def stops(some: slice) -> Iterator[pa.Table]:
        if some.start:
            raise KeyboardInterrupt
        yield from predicted(some)

    with pytest.raises(KeyboardInterrupt):
        begin(run).write(stops)
    (first,) = (run.parent / "tags").glob("part-*")
    before = first.stat().st_mtime_ns
    (run.parent / "tags" / f".{first.name}.0a.partial").write_bytes(b"of one that was killed")
    again = begin(run, None)
    assert (again.count, again.mine) == (3, [1, 2])
    assert again.write(predicted) == 150
    assert first.stat().st_mtime_ns == before
    assert pq.read_table(run.parent / "tags")["id"].to_pylist() == np.repeat(IDS, 2).tolist()
    assert not list((run.parent / "tags").glob(".*"))


@pytest.mark.parametrize("change", ["draws", "parts", "weights", "plan"])
def test_parts_of_other_predictions_are_refused(change: str, run: Path) -> None:
    begin(run)
    if change == "weights":
        (run / "model.safetensors").write_bytes(b"others")
    if change == "plan":
        (run.parent / "tags" / "_plan.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read" if change == "plan" else "other predic"):
        begin(run, 4 if change == "parts" else None, seed=1 if change == "draws" else 0)


def test_another_folder_is_left_alone(run: Path) -> None:
    (run.parent / "tags").mkdir()
    with pytest.raises(UserError, match="exists already"):
        begin(run)


def test_processes_have_different_parts_and_all_of_them(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    todo = begin(run, 5)
    found: list[int] = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "_now", Processes(rank, 2))
        assert wants_parts(None)
        found += todo.mine
    assert sorted(found) == list(range(5))


def test_what_does_not_go_with_parts_is_refused() -> None:
    assert (wants_parts(None), wants_parts(1)) == (False, True)
    with pytest.raises(ConfigError, match="--explain"):
        check_parts(Path("tags.parquet"), Path("why.csv"))
    with pytest.raises(ConfigError, match="parts are Parquet"):
        check_parts(Path("tags.csv"), None)
