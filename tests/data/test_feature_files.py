from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayesfuse.data import hdf5
from bayesfuse.data.feature_files import FeatureReader
from bayesfuse.data.findings import Findings
from bayesfuse.data.hdf5 import StoredDataset
from bayesfuse.data.sequences import Sequences
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


def test_every_format_holds_the_same(reader: FeatureReader, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", VALUES)
    np.savez(tmp_path / "f.npz", key=np.array(IDS), text=VALUES)
    pq.write_table(pa.table({"key": IDS, "v": list(VALUES)}), tmp_path / "f.parquet")
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["group/text"] = VALUES
        file["key"] = IDS
    for reference in ("f.npy", "f.npz:text", "f.h5:group/text", "f.parquet:v"):
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


@pytest.mark.parametrize("suffix", ["h5", "hdf5", "he5", "H5"])
@pytest.mark.parametrize("folder", ["", "encoded/"])
def test_hdf5_has_masks_and_ids_beside_the_features(
    reader: FeatureReader, tmp_path: Path, suffix: str, folder: str
) -> None:
    mask = np.array([True, False, False])
    with h5py.File(tmp_path / f"f.{suffix}", "w") as file:
        file.create_dataset(f"{folder}text", data=VALUES, chunks=(2, 2), compression="gzip")
        file[f"{folder}text_observed"] = mask
        file[f"{folder}other"] = VALUES
        file["poster_observed"] = ~mask
        file[f"{folder}key"] = np.array(["a", "b", "x"], "S3")
        file["m"] = mask.astype("i4")
    values, observed = reader.read("plot", f"f.{suffix}:{folder}text", None)
    assert isinstance(values, StoredDataset)
    np.testing.assert_array_equal(values[:], VALUES)
    assert observed.tolist() == mask.tolist()
    other = f"f.{suffix}:{folder}other"
    assert reader.read("poster", other, None)[1].tolist() == (~mask).tolist()
    assert reader.read("sound", other, None)[1].all()
    assert reader.read("sound", other, "m")[1].tolist() == mask.tolist()
    np.save(tmp_path / "f.npy", VALUES)
    assert reader.read("sound", "f.npy", f"f.{suffix}:m")[1].tolist() == mask.tolist()
    (problem,) = reader.findings.problems
    assert 'row 2 (from 0), where the table has "c" and the features "x"' in problem


def test_large_compressed_chunks_are_warned_of(
    reader: FeatureReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("packed", data=VALUES, chunks=(3, 1), compression="gzip")
        file.create_dataset("rows", data=VALUES, chunks=(1, 2), compression="gzip")
        file.create_dataset("raw", data=VALUES, chunks=(3, 2))
        file["flat"] = VALUES
    names = ("packed", "rows", "raw", "flat")
    for name in names:
        reader.read("text", f"f.h5:{name}", None)
    assert reader.findings.warnings == []  # so small that it is decompressed once
    monkeypatch.setattr(hdf5, "CACHE_BYTES", VALUES.nbytes - 1)
    for name in names:
        reader.read("text", f"f.h5:{name}", None)
    (warning,) = reader.findings.warnings
    assert warning.startswith("text: f.h5:packed is compressed in chunks of 3 rows")


def test_sequences_bring_their_lengths(reader: FeatureReader, tmp_path: Path) -> None:
    steps = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    lengths = np.array([2, 0, 1])
    np.savez(tmp_path / "f.npz", s=steps, s_lengths=lengths)
    np.savez(tmp_path / "g.npz", s=steps, sound_lengths=lengths)
    np.save(tmp_path / "whole.npy", steps)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("g/s", data=steps, chunks=(1, 1, 2))
        file["g/s_lengths"] = lengths
    lists = [steps[0].tolist(), [], steps[2, :1].tolist()]
    pq.write_table(pa.table({"s": lists}), tmp_path / "f.parquet")
    for reference in ("f.npz:s", "g.npz:s", "f.h5:g/s", "f.parquet:s"):
        values, observed = reader.read("sound", reference, None)
        assert isinstance(values, Sequences)
        assert values.shape == (3, 2, 2)
        assert values.num_steps().tolist() == [2, 0, 1]
        assert observed.all()
        assert values.read(np.arange(3))[0].tolist() == [
            steps[0].tolist(),
            [[0, 0], [0, 0]],
            [steps[2, 0].tolist(), [0, 0]],
        ]
    values, _ = reader.read("sound", "whole.npy", None)
    assert isinstance(values, Sequences)
    assert values.num_steps().tolist() == [2, 2, 2]
    assert isinstance(values.values, np.memmap)


def test_hdf5_that_leads_nowhere_is_refused(reader: FeatureReader, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["group/text"] = VALUES
        file["group/text_observed"] = np.ones((3, 2))
    with pytest.raises(FeatureError, match=r"names no file that ends in .*\.h5.*FILE\.h5:DATASET"):
        reader.read("text", "f.hdf", None)
    with pytest.raises(FeatureError, match=r'"group" is a group.*"f\.h5:group/text"'):
        reader.read("text", "f.h5:group", None)
    with pytest.raises(FeatureError, match=r'no dataset "group/txt".*Did you mean "group/text"'):
        reader.read("text", "f.h5:group/txt", None)
    with pytest.raises(FeatureError, match=r"mask holds \[1\.0, 1\.0\] in row 0"):
        reader.read("text", "f.h5:group/text", None)


def test_steps_of_all_items_may_be_in_one_array(reader: FeatureReader, tmp_path: Path) -> None:
    flat = np.arange(10, dtype=np.float16).reshape(5, 2)
    starts, lengths = np.array([3, 0, 0]), np.array([2, 0, 3])
    np.savez(tmp_path / "f.npz", s=flat, s_starts=starts, s_lengths=lengths)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["g/s"], file["g/s_starts"], file["g/s_lengths"] = flat, starts, lengths
    for reference in ("f.npz:s", "f.h5:g/s"):
        values, observed = reader.read("sound", reference, None)
        assert isinstance(values, Sequences)
        assert values.shape == (3, 3, 2)
        steps, used = values.read(np.arange(3))
        assert used.sum(axis=1).tolist() == [2, 0, 3]
        np.testing.assert_array_equal(steps[0, :2], flat[3:])
        np.testing.assert_array_equal(steps[2], flat[:3])
        assert observed.tolist() == [True] * 3


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"s_starts": [0, 0, 0]}, "s_starts.*and no s_lengths"),
        ({"s_starts": [0, 3, 0], "s_lengths": [2, 3, 1]}, "do not fit"),
        ({"s_starts": [0, -1, 0], "s_lengths": [2, 1, 1]}, "do not fit"),
        ({"s_starts": [0, 1], "s_lengths": [2, 1, 1]}, "do not fit"),
        ({"s_starts": [0.0, 1.0, 2.0], "s_lengths": [2, 1, 1]}, "do not fit"),
    ],
)
def test_places_of_steps_are_checked(
    reader: FeatureReader, tmp_path: Path, members: dict[str, list[float]], words: str
) -> None:
    arrays = {name: np.array(values) for name, values in members.items()}
    np.savez(tmp_path / "f.npz", s=np.zeros((5, 2)), **arrays)
    with pytest.raises(FeatureError, match=words):
        reader.read("sound", "f.npz:s", None)
