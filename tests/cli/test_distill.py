"""`bayesfuse distill`: from a run folder to a small model that is read back and used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bayesfuse.config import CatalogConfig
from bayesfuse.estimator.student import Student
from bayesfuse.estimator.workflow import open_run
from tests.cli.conftest import Ran

Bayesfuse = Callable[..., Ran]
SMALL = ("--epochs", "3", "--hidden", "8", "--classifier-hidden", "8", "--draws", "3")


def test_a_run_becomes_a_student(place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse("distill", fitted, "--out", "small", *SMALL)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("val of ")
    assert [line.split("|")[1].strip() for line in lines[4:6]] == ["teacher", "student"]
    assert lines[-1].startswith("small: epoch ")
    student = Student.load("small")
    opened = open_run(fitted, None, CatalogConfig(), split="val")
    said = student.predict(opened.catalog.features.take(opened.rows))
    assert said.mean.shape == (len(opened.rows), 3)
    told = json.loads(Path("small/student.json").read_text())
    assert told["teacher"]["run"] == str(fitted)
    assert told["labels"] == list(opened.classifier.label_names_)
    assert sorted(path.name for path in Path("small").iterdir()) == [
        "student.json",
        "student.safetensors",
    ]


def test_a_student_is_no_run(place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    assert bayesfuse("distill", fitted, "--out", "small", *SMALL).code == 0
    done = bayesfuse("predict", "small", "new.csv")
    assert (done.code, done.out) == (2, "")
    assert "small is a student that `bayesfuse distill` made, not a run" in done.err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter's own parts
def test_onnx_and_one_document(place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    pytest.importorskip("onnxruntime", reason="pip install 'bayesfuse[onnx]'")
    args = ("--onnx", "--json", "--view-weights", "learned")
    done = bayesfuse("distill", fitted, "--out", "small", *args, *SMALL)
    assert done.code == 0, done.err
    told = done.json
    assert told["onnx_difference"] < 1e-5
    assert Path("small/student.onnx").is_file()
    assert "val had a part in training" in done.err
    assert told["pupil"]["parameters"] == Student.load("small").num_parameters


def test_what_is_there_stays(place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    Path("small").mkdir()
    Path("small/mine.txt").write_text("mine")
    done = bayesfuse("distill", fitted, "--out", "small", *SMALL)
    assert (done.code, done.out) == (2, "")
    assert Path("small/mine.txt").read_text() == "mine"
