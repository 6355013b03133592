from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.parquet_parts import part_files
from bayesfuse.data.tables import open_table
from bayesfuse.errors import CatalogError

N = 30


@pytest.fixture
def whole() -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "id": [f"f{i}" for i in range(N)],
            "plot": [None if i == 4 else f"a story of {i % 7}" for i in range(N)],
            "labels": [["sea"] if i % 3 else ["sea", "night"] for i in range(N)],
            "vector": pa.array(rng.normal(size=(N, 3)).tolist(), pa.list_(pa.float32(), 3)),
            "image": [bytes([i]) for i in range(N)],
        }
    )


@pytest.fixture
def folder(whole: pa.Table, tmp_path: Path) -> Path:
    """Write the table in three parts, among what other writers leave beside them."""
    parts = tmp_path / "films"
    parts.mkdir()
    for number, (start, stop) in enumerate([(0, 11), (11, 12), (12, N)]):
        pq.write_table(whole.slice(start, stop - start), parts / f"part-{number}.parquet")
    (parts / "_SUCCESS").touch()
    (parts / "_old.parquet").write_bytes(b"no table")
    (parts / ".part-3.parquet").write_bytes(b"half of one")
    return parts


def read(path: Path) -> Catalog:
    features = {"vector": f"{path}:vector"} if path.suffix else None
    return Catalog.read(path, id="id", text="plot", labels="labels", features=features)


def test_a_folder_of_parts_is_the_table_of_all_rows(whole: pa.Table, folder: Path) -> None:
    table = open_table(folder)
    assert (table.num_rows, table.names) == (N, tuple(whole.column_names))
    for name in whole.column_names:
        assert table.column(name) == whole[name].to_pylist()
    rows = np.array([0, 10, 11, 12, 29])
    found: list[Any] = []
    for some, (ids, plots) in table.stream(["id", "plot"], rows, 2):
        found += zip(some.tolist(), ids, plots, strict=True)
    assert found == [(r, f"f{r}", f"a story of {r % 7}") for r in rows.tolist()]
    assert table.is_binary("image")
    assert table.missing("plot").tolist() == [i == 4 for i in range(N)]
    assert table.columns.null_count("plot") == 1


@pytest.mark.parametrize("name", ["films", "films.parquet"])
def test_a_catalogue_may_be_such_a_folder(
    name: str, whole: pa.Table, folder: Path, tmp_path: Path
) -> None:
    parts = folder.rename(tmp_path / name)
    file = tmp_path / "one.parquet"
    pq.write_table(whole, file)
    found, expected = read(parts), Catalog.read(
        file, id="id", text="plot", labels="labels",
        features={"vector": f"{file}:vector"} if parts.suffix else None,
    )  # fmt: skip
    assert found.ids.tolist() == expected.ids.tolist()
    assert found.split.tolist() == expected.split.tolist()
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert list(found.raw["text"]) == list(expected.raw["text"])
    assert found.features.names == expected.features.names
    for ours, theirs in zip(
        found.features.batch(slice(None))[0].values(),
        expected.features.batch(slice(None))[0].values(),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_catalog_toml_may_name_such_a_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "catalog.toml").write_text(
        'table = "films"\nid = "id"\nlabels = "labels"\n[modalities.text]\ncolumn = "plot"\n'
    )
    assert len(Catalog.read(tmp_path)) == N


def test_parts_that_differ_are_named(folder: Path) -> None:
    pq.write_table(pa.table({"id": [1, 2]}), folder / "part-9.parquet")
    with pytest.raises(CatalogError, match=r"part-9.parquet has the columns id \(int64\), but"):
        open_table(folder)


def test_a_damaged_part_is_named(folder: Path) -> None:
    (folder / "part-1.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(CatalogError, match=r"part-1.parquet: truncated, damaged"):
        open_table(folder)


def test_a_folder_without_parts_is_a_catalogue_without_its_file(tmp_path: Path) -> None:
    assert part_files(tmp_path) == []
    assert part_files(tmp_path / "none") == []
    with pytest.raises(CatalogError, match=r"catalog.toml: no such file"):
        Catalog.read(tmp_path)
