from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayesfuse.data.parquet_columns import ParquetColumns
from bayesfuse.errors import CatalogError


@pytest.mark.parametrize("row_group_size", [2, None])
def test_columns_are_read_whole_or_by_rows(tmp_path: Path, row_group_size: int | None) -> None:
    cells = {"a.b": [1, None, 3], "bytes": [b"x", b"", b"z"]}
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table(cells), path, row_group_size=row_group_size)
    columns = ParquetColumns.open(path)
    assert columns.read("a.b") == [1, None, 3]
    found = list(columns.stream(["bytes", "a.b"], np.array([0, 2]), 1))
    assert [(rows.tolist(), cells) for rows, cells in found] == [
        ([0], [[b"x"], [1]]),
        ([2], [[b"z"], [3]]),
    ]
    assert (columns.is_binary("bytes"), columns.is_binary("a.b")) == (True, False)
    assert (columns.null_count("bytes"), columns.null_count("a.b")) == (0, 1)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"a": [1, 2]}), path)
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(CatalogError, match="truncated, damaged or no Parquet file"):
        ParquetColumns.open(path)
