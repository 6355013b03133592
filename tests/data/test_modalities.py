from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bayesfuse.data.catalog_file import ModalitySpec
from bayesfuse.data.findings import Findings
from bayesfuse.data.modalities import Modalities, ModalityReader
from bayesfuse.data.tables import open_table

IDS = ["a", "b", "c"]


def read(
    folder: Path, columns: dict[str, object], **specs: dict[str, object]
) -> tuple[Modalities, Findings]:
    pq.write_table(pa.table({"id": IDS, **columns}), folder / "items.parquet")
    findings = Findings()
    reader = ModalityReader(
        open_table(folder / "items.parquet"), np.array(IDS), "id", [folder], None, findings
    )
    return reader.read({n: ModalitySpec.model_validate(s) for n, s in specs.items()}), findings


def write(path: Path, **columns: object) -> None:
    pq.write_table(pa.table(columns), path)


def test_raw_text_alone_makes_no_features(tmp_path: Path) -> None:
    made, findings = read(
        tmp_path, {"plot": ["x", None, " "]}, text={"column": "plot", "encoder": "tfidf"}
    )
    assert not findings.problems
    assert made.features.num_items == 3
    assert made.features.names == ()
    assert list(made.raw["text"]) == ["x", None, None]
    assert made.raw["text"].observed.tolist() == [True, False, False]
    assert made.encoders == {"text": "tfidf"}


def test_an_empty_raw_cell_masks_the_features_beside_it(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.array([[1.0], [np.nan], [3.0]]))
    spec = {"column": "plot", "features": "f.npy"}
    made, findings = read(tmp_path, {"plot": ["x", "", "z"]}, text=spec)
    assert not findings.problems
    assert made.features.batch([0, 1, 2])[0]["text"].tolist() == [[1.0], [0.0], [3.0]]
    # The control: the same NaN where there is a text.
    _, findings = read(tmp_path, {"plot": ["x", "y", "z"]}, text=spec)
    assert (
        'text: 1 of 3 rows hold NaN or infinite features (first: row 1, id "b"'
        in findings.problems[0]
    )
    assert "text_observed" in findings.problems[0]
    assert "empty cell" in findings.problems[0]


def test_another_table_is_joined_on_the_id(tmp_path: Path) -> None:
    write(tmp_path / "posters.parquet", id=["c", "a", "x"], jpeg=[b"C", None, b"X"])
    made, findings = read(tmp_path, {}, image={"column": "posters.parquet:jpeg"})
    assert not findings.problems
    assert list(made.raw["image"]) == [None, None, b"C"]
    assert made.raw["image"].kind == "bytes"
    assert made.raw["image"].observed.tolist() == [False, False, True]
    assert "1 of 3 ids are not in" in findings.warnings[0]
    assert "(b)" in findings.warnings[0]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"id": ["a", "a"], "jpeg": [b"1", b"2"]}, "1 ids come more than once (a)"),
        ({"id": ["a", None], "jpeg": [b"1", b"2"]}, '1 rows have no "id"'),
        ({"id": ["x", "y"], "jpeg": [b"1", b"2"]}, "not one id of"),
        ({"key": ["a"], "jpeg": [b"1"]}, 'no column "id"'),
        ({"id": ["a"], "jpg": [b"1"]}, 'no column "jpeg"'),
    ],
)
def test_tables_that_cannot_be_joined_are_refused(
    tmp_path: Path, columns: dict[str, object], words: str
) -> None:
    write(tmp_path / "posters.parquet", **columns)
    _, findings = read(tmp_path, {}, image={"column": "posters.parquet:jpeg"})
    assert words in findings.problems[0]


def test_images_may_be_paths(tmp_path: Path) -> None:
    for name in ("1.jpg", "2.PNG"):
        (tmp_path / name).write_bytes(b"image")
    paths = ["1.jpg", str(tmp_path / "2.PNG"), None]
    for name in ("image", "poster"):
        made, findings = read(tmp_path, {"file": paths}, **{name: {"column": "file"}})
        assert not findings.problems
        assert made.raw[name].kind == "path"
        assert list(made.raw[name]) == [str(tmp_path / "1.jpg"), str(tmp_path / "2.PNG"), None]
    made, _ = read(tmp_path, {"file": paths}, poster={"column": "file", "kind": "text"})
    assert made.raw["poster"].kind == "text"


def test_single_image_files_may_be_missing_but_not_all(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"image")
    made, findings = read(
        tmp_path, {"file": ["4.jpg", "1.jpg", "a\0b.jpg"]}, image={"column": "file"}
    )
    assert not findings.problems
    assert made.raw["image"].observed.all()
    # Not one of many: the folder is another one.
    _, findings = read(tmp_path, {"file": ["4.jpg", None, "5.jpg"]}, image={"column": "file"})
    (problem,) = findings.problems
    assert f"not one of the 2 image files is there (first: {tmp_path}/4.jpg)" in problem
    assert f"relative to {tmp_path}" in problem
    # One item may simply have lost its image; and with features, nobody reads the files.
    _, findings = read(tmp_path, {"file": ["4.jpg", None, None]}, image={"column": "file"})
    assert not findings.problems
    np.save(tmp_path / "f.npy", np.ones((3, 1)))
    spec = {"column": "file", "features": "f.npy"}
    _, findings = read(tmp_path, {"file": ["4.jpg", "5.jpg", "6.jpg"]}, image=spec)
    assert not findings.problems


def test_columns_are_read_together_beside_other_modalities(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.array([[1.0], [np.nan], [3.0]]))
    made, findings = read(
        tmp_path,
        {"year": [1999, None, 2001], "code": [1, None, 1], "plot": ["x", "y", "z"]},
        text={"column": "plot", "encoder": "bert", "settings": {"pooling": "cls"}},
        facts={"columns": ["year", "code"], "categories": ["code"], "features": "f.npy"},
    )
    assert not findings.problems
    facts = made.raw["facts"]
    assert facts.kind == "table"
    assert facts.columns == {"year": "number", "code": "category"}
    assert list(facts) == [{"year": 1999, "code": 1}, None, {"year": 2001, "code": 1}]
    assert made.features.observed[:, 0].tolist() == [True, False, True]
    assert made.encoder_settings == {"text": {"pooling": "cls"}}
    _, findings = read(tmp_path, {"year": [1, 2, 3]}, facts={"columns": ["yaer"]})
    assert 'Did you mean "year"?' in findings.problems[0]


def test_all_mistakes_of_all_modalities_come_together(tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", np.ones((2, 4)))
    np.save(tmp_path / "number.npy", np.float32(3))
    np.save(tmp_path / "nan.npy", np.full((3, 1), np.nan))
    _, findings = read(
        tmp_path,
        {"plot": ["x", "y", "z"], "year": [1, 2, 3], "jpeg": [b"1", b"2", b"3"]},
        a={"column": "plto"},
        b={"column": "year"},
        c={"column": "jpeg", "kind": "text"},
        d={"column": "posters.parquet"},
        e={"column": "posters.parquet:jpeg"},
        f={"column": "plot", "observed": "x"},
        g={"features": "short.npy"},
        h={"features": "nan.npy"},
        i={"features": "none.npy"},
        j={"features": "number.npy"},
    )
    for problem, words in zip(
        findings.problems,
        (
            "modalities.a: ",
            "holds int (1); raw cells are text",
            'kind is "text", but column "jpeg" holds bytes',
            'name the column too, as "posters.parquet:COLUMN"',
            f"{tmp_path}/posters.parquet: no such file",
            "observed is for features",
            f"{tmp_path}/none.npy: no such file",
            "j: has shape (); expected items x features",
            "g: 2 feature rows, but the table has 3 items",
            "h: 3 of 3 rows hold NaN",
        ),
        strict=True,
    ):
        assert words in problem
