from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bayesfuse import FeatureTable
from bayesfuse.config import DEEP_RULES
from bayesfuse.config.distilling import DistillConfig
from bayesfuse.errors import UserError
from bayesfuse.estimator import student_export
from bayesfuse.estimator.student import Student, build_student
from bayesfuse.estimator.student_export import OBSERVED, OUTPUTS, TOLERANCE, export_onnx
from bayesfuse.models.fusion import FUSIONS

RULES = sorted(set(FUSIONS) - {"gmu", *DEEP_RULES})  # no student has a rule of tokens or steps
WIDTHS = {"text": 4, "image": 3}


def made(fusion: str) -> Student:
    torch.manual_seed(0)
    config = DistillConfig(hidden=8, classifier_hidden=5)
    network = build_student(WIDTHS, 2, fusion, config)
    return Student(network, ("Drama", "War"), np.array([0.4, 0.6]), config, fusion=fusion, about={})


def items(num: int) -> FeatureTable:
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(num, width)) for name, width in WIDTHS.items()}
    return FeatureTable.from_arrays(arrays, observed={"image": np.arange(num) % 3 > 0})


@pytest.mark.filterwarnings("ignore")  # of the exporter's own parts
@pytest.mark.parametrize(
    "fusion", ["gmu", *(pytest.param(rule, marks=pytest.mark.slow) for rule in RULES)]
)
def test_what_the_file_says_is_what_torch_says(fusion: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="pip install 'bayesfuse[onnx]'")
    student, path = made(fusion), tmp_path / "student.onnx"
    assert export_onnx(student, path, items(1)) <= TOLERANCE
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == [*WIDTHS, OBSERVED]
    for num in (1, 2, 33):  # as many items as one likes, whatever it was exported with
        table = items(num)
        values, observed = table.batch(slice(None))
        found = session.run(list(OUTPUTS), {**values, OBSERVED: observed})
        said = student.predict(table)
        np.testing.assert_allclose(found[0], said.mean, atol=TOLERANCE)
        np.testing.assert_allclose(found[1], said.epistemic_share, atol=TOLERANCE)
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["labels"]) == ["Drama", "War"]
    assert json.loads(told["thresholds"]) == [0.4, 0.6]
    assert json.loads(told["modalities"]) == WIDTHS


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_file_that_says_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="pip install 'bayesfuse[onnx]'")
    monkeypatch.setattr(student_export, "TOLERANCE", -1.0)
    with pytest.raises(UserError, match=r"differs by .* Do not use it"):
        export_onnx(made("concat"), tmp_path / "student.onnx", items(5))


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"pip install 'bayesfuse\[onnx\]'"):
        export_onnx(made("concat"), tmp_path / "student.onnx", items(5))
    assert not list(tmp_path.iterdir())
