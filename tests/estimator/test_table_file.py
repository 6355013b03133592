"""Tables to a file, whole or not at all; see also test_predictions.py."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayesfuse.errors import UserError
from bayesfuse.estimator.table_file import write_tables

SCHEMA = pa.schema([("id", pa.string()), ("mean", pa.float32())])


def tables() -> Iterator[pa.Table]:
    for first in range(2):
        columns = [[f"a{first}", 'b "x", y'], [0.25, None]]
        yield pa.Table.from_arrays(
            [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
        )


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.CSV", "deep/t"])
def test_rows_come_back(tmp_path: Path, name: str):
    path, told = tmp_path / name, []
    assert write_tables(tables(), path, SCHEMA, {"draws": 3}, told.append) == 4
    assert told == [2, 4]
    assert list(path.parent.iterdir()) == [path]
    if path.suffix.lower() == ".csv":
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
        assert rows[0] == ["id", "mean"]
        assert rows[1:3] == [["a0", "0.25"], ['b "x", y', ""]]
        return
    found = pq.read_table(path)
    assert json.loads(found.schema.metadata[b"bayesfuse"]) == {"draws": 3}
    assert found["id"].to_pylist() == ["a0", 'b "x", y', "a1", 'b "x", y']


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_what_fails_half_way_leaves_nothing(tmp_path: Path, name: str):
    def broken() -> Iterator[pa.Table]:
        yield next(tables())
        raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        write_tables(broken(), tmp_path / name, SCHEMA, {})
    assert not list(tmp_path.iterdir())


def test_what_is_there_stays(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("mine")
    with pytest.raises(UserError, match=r"exists already and is left as it is"):
        write_tables(tables(), path, SCHEMA, {})
    assert path.read_text() == "mine"
