from __future__ import annotations

import numpy as np

from bayesfuse.data.table_columns import InMemory


def test_rows_in_memory_come_in_chunks() -> None:
    columns = InMemory({"a": [0, 1, 2, 3, 4], "b": [None, "x", "y", "z", [5]]})
    chunks = list(columns.stream(["b", "a"], np.array([0, 2, 4]), 2))
    assert [rows.tolist() for rows, _ in chunks] == [[0, 2], [4]]
    assert [cells for _, cells in chunks] == [[[None, "y"], [0, 2]], [[[5]], [4]]]
    assert columns.read("a") == [0, 1, 2, 3, 4]
    assert not columns.is_binary("b")
    assert columns.null_count("b") is None
