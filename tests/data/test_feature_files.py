from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayesfuse.data.feature_files import FeatureReader
from bayesfuse.data.findings import Findings
from bayesfuse.data.tables import open_table
from bayesfuse.errors import CatalogError, FeatureError

IDS = ["a", "b", "c"]
VALUES = np.arange(6, dtype=np.float16).reshape(3, 2)


@pytest.fixture
def reader(tmp_path: Path) -> FeatureReader:
    frame = pd.DataFrame({"key": IDS, "seen": ["true", "0", "No"], "odd": ["true", "", "x"]})
    frame.to_csv(tmp_path / "items.csv", index=False)
    table = open_table(tmp_path / "items.csv")
    return FeatureReader(table, np.array(IDS), "key", lambda name: tmp_path / name, Findings())


def test_npy_npz_and_parquet_hold_the_same(reader: FeatureReader, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", VALUES)
    np.savez(tmp_path / "f.npz", key=np.array(IDS), text=VALUES)
    pq.write_table(pa.table({"key": IDS, "v": list(VALUES)}), tmp_path / "f.parquet")
    for reference in ("f.npy", "f.npz:text", "f.parquet:v"):
        values, observed = reader.read("text", reference, None)
        assert values.dtype == np.float16
        np.testing.assert_array_equal(values, VALUES)
        assert observed.all()
        assert isinstance(values, np.memmap) is ("parquet" not in reference)


def test_the_mask_may_be_in_many_places(reader: FeatureReader, tmp_path: Path) -> None:
    mask = np.array([True, False, False])
    np.savez(tmp_path / "f.npz", text=VALUES, text_observed=mask, other=~mask)
    np.savez(tmp_path / "g.npz", v=VALUES, m=mask.astype(int))
    np.savez(tmp_path / "h.npz", v=VALUES, poster_observed=mask)
    rows = [VALUES[0], None, None]
    pq.write_table(pa.table({"v": rows}), tmp_path / "f.parquet")
    assert reader.read("text", "f.npz:text", None)[1].tolist() == mask.tolist()
    assert reader.read("poster", "h.npz:v", None)[1].tolist() == mask.tolist()
    assert reader.read("text", "f.npz:text", "other")[1].tolist() == (~mask).tolist()
    assert reader.read("text", "g.npz:v", "m")[1].tolist() == mask.tolist()
    assert reader.read("text", "g.npz:v", None)[1].all()
    assert reader.read("text", "g.npz:v", "f.npz:other")[1].tolist() == (~mask).tolist()
    assert reader.read("text", "g.npz:v", "seen")[1].tolist() == mask.tolist()
    assert reader.read("text", "f.parquet:v", None)[1].tolist() == mask.tolist()
    with pytest.raises(FeatureError, match=r"'' in row 1 .*expected true or false"):
        reader.read("text", "g.npz:v", "odd")
    with pytest.raises(FeatureError, match=r'"sen" is neither a member.*Did you mean "seen"'):
        reader.read("text", "g.npz:v", "sen")
    np.save(tmp_path / "short.npy", mask[:2])
    with pytest.raises(FeatureError, match=r"mask has shape \(2,\); expected \(3,\)"):
        reader.read("text", "g.npz:v", "short.npy")


def test_ids_that_differ_are_shown(reader: FeatureReader, tmp_path: Path) -> None:
    np.savez(tmp_path / "moved.npz", key=np.array(["a", "c", "b"]), text=VALUES)
    np.savez(tmp_path / "short.npz", key=np.array([b"a", b"b"]), text=VALUES[:2])
    pq.write_table(pa.table({"key": [1, 2, 3], "v": list(VALUES)}), tmp_path / "f.parquet")
    for reference in ("moved.npz:text", "short.npz:text", "f.parquet:v"):
        reader.read("text", reference, None)
    moved, short, other = reader.findings.problems
    assert 'row 1 (from 0), where the table has "b" and the features "c"' in moved
    assert "the same ids in another order" in moved
    assert "2 ids for 3 items" in short
    assert 'row 2 (from 0), where the table has "c" and the features no row' in short
    assert 'row 0 (from 0), where the table has "a" and the features "1"' in other
    assert "another order" not in other


def test_a_mismatch_of_ids_is_told_once_a_file(reader: FeatureReader, tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", key=np.array(["x", "b", "c"]), text=VALUES, image=VALUES)
    for name in ("text", "image"):
        assert reader.read(name, f"f.npz:{name}", None)[0].shape == (3, 2)
    assert len(reader.findings.problems) == 1


def test_references_that_lead_nowhere_are_refused(reader: FeatureReader, tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match=r"names no file that ends in \.npz"):
        reader.read("text", "plot", None)
    with pytest.raises(FeatureError, match=f"{tmp_path}/none.npy: no such file"):
        reader.read("text", "none.npy", None)
    with pytest.raises(FeatureError, match=r'"f\.parquet:COLUMN"'):
        reader.read("text", "f.parquet", None)
    with pytest.raises(CatalogError, match=r"f\.parquet: no such file"):
        reader.read("text", "f.parquet:v", None)
