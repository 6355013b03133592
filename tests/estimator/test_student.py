from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bayesfuse.config.distilling import DistillConfig
from bayesfuse.errors import FeatureError, RunFolderError
from bayesfuse.estimator.student import Student, build_student
from bayesfuse.evaluation.uncertainty import binary_entropy

RNG = np.random.default_rng(0)
X = {"text": RNG.normal(size=(7, 4)), "image": RNG.normal(size=(7, 3))}


@pytest.fixture
def student() -> Student:
    config = DistillConfig(hidden=6, classifier_hidden=5, pieces=3)
    torch.manual_seed(0)
    network = build_student({"text": 4, "image": 3}, 2, "moe", config)
    cuts = np.array([0.4, 0.6])
    return Student(network, ("Drama", "War"), cuts, config, fusion="moe", about={"teacher": "run"})


def test_it_says_how_likely_and_how_sure(student: Student) -> None:
    said = student.predict(X)
    inputs = {name: torch.from_numpy(array).float() for name, array in X.items()}
    with torch.no_grad():
        by_hand = student.network(inputs, torch.ones(7, 2, dtype=torch.bool))
    np.testing.assert_allclose(said.mean, torch.sigmoid(by_hand.logits), rtol=1e-5)
    np.testing.assert_allclose(said.epistemic_share, torch.sigmoid(by_hand.share_logits), rtol=1e-5)
    np.testing.assert_allclose(said.epistemic, said.epistemic_share * binary_entropy(said.mean))
    assert student.tags(X).tolist() == (said.mean >= [0.4, 0.6]).tolist()
    # a modality that is not there is missing, and one that is unknown is a mistake
    alone = student.predict({"text": X["text"]}).mean
    masked = student.predict({**X, "image_observed": np.zeros(7, bool)}).mean
    np.testing.assert_allclose(alone, masked)
    assert not np.allclose(alone, said.mean)
    with pytest.raises(FeatureError, match="has 3 features; expected 4"):
        student.predict({"text": X["image"]})
    with pytest.raises(FeatureError, match='Did you mean "image"'):
        student.predict({**X, "imge": X["image"]})


def test_it_comes_back_from_its_folder(student: Student, tmp_path: Path) -> None:
    student.write(tmp_path)
    again = Student.load(tmp_path, "cpu")
    assert np.array_equal(again.predict(X).mean, student.predict(X).mean)
    assert (again.label_names, again.fusion, again.config) == (
        student.label_names,
        "moe",
        student.config,
    )
    assert again.thresholds.tolist() == [0.4, 0.6]
    assert again.about == {"teacher": "run"}
    assert again.num_parameters == student.num_parameters


def test_a_folder_that_does_not_fit_is_refused(student: Student, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"no student\.json; expected a folder that"):
        Student.load(tmp_path)
    student.write(tmp_path)
    told = json.loads((tmp_path / "student.json").read_text())
    for change in ({"widths": {"text": 4}}, {"labels": ["a", "b", "c"]}, {"fusion": "moo"}):
        (tmp_path / "student.json").write_text(json.dumps({**told, **change}))
        with pytest.raises(RunFolderError, match="edited or exchanged"):
            Student.load(tmp_path)
    (tmp_path / "student.json").write_text(json.dumps(told))
    whole = (tmp_path / "student.safetensors").read_bytes()
    (tmp_path / "student.safetensors").write_bytes(whole[:-9])
    with pytest.raises(RunFolderError, match="truncated"):
        Student.load(tmp_path)
