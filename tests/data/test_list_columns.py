from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesfuse.data.list_columns import read_list_column
from bayesfuse.data.sequences import Sequences
from bayesfuse.errors import CatalogError


def parquet(path: Path, cells: dict[str, object], **options: object) -> Path:
    pq.write_table(pa.table(cells), path, **options)
    return path


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("row_group_size", [None, 1])
def test_lists_of_numbers_become_one_array(
    tmp_path: Path, fixed: bool, row_group_size: int | None
) -> None:
    kind = pa.list_(pa.float16(), 2) if fixed else pa.list_(pa.float16())
    rows = [[1, 2], None, [3, 4]]
    rows = [row and [np.float16(value) for value in row] for row in rows]
    cells = {"v": pa.array(rows, kind), "s": ["a", "b", "c"]}
    path = parquet(tmp_path / "f.parquet", cells, row_group_size=row_group_size)
    values, observed = read_list_column(path, "v")
    assert isinstance(values, np.ndarray)
    assert values.dtype == np.float16
    assert values.tolist() == [[1, 2], [0, 0], [3, 4]]
    assert observed.tolist() == [True, False, True]
    with pytest.raises(CatalogError, match=r'column "s" holds string; expected lists'):
        read_list_column(path, "s")


def test_lists_of_different_lengths_are_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "f.parquet", {"v": [[1.0], [1.0, 2.0]]})
    with pytest.raises(CatalogError, match=r"differ in length \(1 to 2\).*A sequence is a list of"):
        read_list_column(path, "v")
    holes = parquet(tmp_path / "g.parquet", {"v": [[1.0], [None]]})
    assert np.isnan(read_list_column(holes, "v")[0][:]).tolist() == [[False], [True]]
    (tmp_path / "f.csv").write_text("v\n1\n", encoding="utf-8")
    with pytest.raises(CatalogError, match=r"has to be in a \.parquet file"):
        read_list_column(tmp_path / "f.csv", "v")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("columns")


@given(
    num_steps=st.lists(st.none() | st.integers(0, 4), min_size=1, max_size=7),
    dtype=st.sampled_from(["float16", "float32", "float64", "int8"]),
    large=st.booleans(),
    row_group_size=st.sampled_from([None, 1, 2]),
)
def test_lists_of_lists_are_steps_of_any_number(
    folder: Path,
    num_steps: list[int | None],
    dtype: str,
    large: bool,
    row_group_size: int | None,
) -> None:
    kind = pa.from_numpy_dtype(np.dtype(dtype))
    kind = pa.large_list(pa.large_list(kind)) if large else pa.list_(pa.list_(kind))
    rng = np.random.default_rng(0)
    rows = [None if n is None else (10 * rng.random((n, 3))).astype(dtype) for n in num_steps]
    cells = pa.array([None if row is None else [list(step) for step in row] for row in rows], kind)
    path = parquet(folder / "f.parquet", {"v": cells}, row_group_size=row_group_size)
    values, observed = read_list_column(path, "v")
    assert isinstance(values, Sequences)
    assert observed.tolist() == [row is not None for row in rows]
    assert values.num_steps().tolist() == [n or 0 for n in num_steps]
    assert values.dtype == np.dtype(dtype)
    if any(num_steps):
        assert values.shape == (len(rows), max(n or 0 for n in num_steps), 3)
    for index, row in enumerate(rows):
        if row is not None and len(row):
            np.testing.assert_array_equal(values.values[index : index + 1][0, : len(row)], row)


@pytest.mark.parametrize("inner_fixed", [True, False])
def test_fixed_numbers_of_steps_are_read_too(tmp_path: Path, inner_fixed: bool) -> None:
    inner = pa.list_(pa.float32(), 2) if inner_fixed else pa.list_(pa.float32())
    rows = [[[1, 2], [3, 4], [5, 6]], None, [[7, 8], [9, 10], [11, 12]]]
    path = parquet(tmp_path / "f.parquet", {"v": pa.array(rows, pa.list_(inner, 3))})
    values, observed = read_list_column(path, "v")
    assert values.shape == (3, 3, 2)
    assert observed.tolist() == [True, False, True]
    assert values.num_steps().tolist() == [3, 0, 3]
    assert values.values[[0, 2]].tolist() == [rows[0], rows[2]]


def test_steps_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    odd = parquet(tmp_path / "odd.parquet", {"v": [[[1.0], [1.0, 2.0]], [[3.0]]]})
    with pytest.raises(CatalogError, match=r"\(1 to 2\); every step needs as many features\.$"):
        read_list_column(odd, "v")
    rows = [[[1.0]], None, [], [[2.0], None]]
    holes = parquet(tmp_path / "holes.parquet", {"v": rows}, row_group_size=3)
    with pytest.raises(CatalogError, match=r"a step of .* is null \(first: row 3, counted from 0"):
        read_list_column(holes, "v")
    deep = parquet(tmp_path / "deep.parquet", {"v": [[[[1.0]]]]})
    with pytest.raises(CatalogError, match=r"holds list<.*expected lists of numbers"):
        read_list_column(deep, "v")
    with pytest.raises(CatalogError, match=r'no column "w".*it has v'):
        read_list_column(deep, "w")
