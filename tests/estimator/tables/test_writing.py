"""A table as files: what a name ends in decides."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesfuse.estimator.tables.fitting import RowResult, scores_of
from bayesfuse.estimator.tables.table import ModelTable
from bayesfuse.estimator.tables.writing import FILES, write_table, write_tables

P, Y, HALF = np.array([[0.2], [0.7]]), np.array([[0.0], [1.0]], np.float32), np.array([0.5])
ABOUT = {"catalog": "films.csv", "scored": "val", "items": 2, "labels": 1, "seeds": 1}


@pytest.fixture
def table() -> ModelTable:
    row = RowResult(P.astype(np.float32), HALF, scores_of(P, Y, HALF, 5), 1.0, 0.1, 7, 1, 1)
    return ModelTable({"gmu": [row]}, [], ABOUT)


def test_each_form(table: ModelTable, tmp_path: Path) -> None:
    written = write_tables(table, tmp_path / "made")
    assert [path.name for path in written] == list(FILES)
    texts = {path.suffix: path.read_text(encoding="utf-8") for path in written}
    assert texts[".md"] == table.to_markdown()
    assert json.loads(texts[".json"])["left_out"] == []
    read = pd.read_csv(written[1])
    assert set(read["method"]) == {"gmu"}
    before = [path.name for path in (tmp_path / "made").iterdir()]
    write_tables(table, tmp_path / "made")  # in place of the earlier ones
    assert sorted(before) == sorted(path.name for path in (tmp_path / "made").iterdir())


def test_any_other_name_is_csv(table: ModelTable, tmp_path: Path) -> None:
    path = write_table(table, tmp_path / "table.txt")
    assert path.read_text().startswith("method,label,score,estimate,")
