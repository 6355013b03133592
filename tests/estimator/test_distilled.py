from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from bayesfuse import Catalog, FusionClassifier, encode_catalog, summarise, write_demo
from bayesfuse.config import FitConfig
from bayesfuse.config.distilling import DistillConfig
from bayesfuse.errors import ConfigError, UserError
from bayesfuse.estimator.distilled import distil_run
from bayesfuse.estimator.student import Student
from bayesfuse.estimator.workflow import Run
from bayesfuse.evaluation.evaluate import evaluate

SMALL = DistillConfig(hidden=8, classifier_hidden=8, epochs=2, draws=3)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("films") / "demo"
    write_demo(folder, num_items=120)
    catalog = encode_catalog(Catalog.read(folder))[0]
    settings = {"hidden": 8, "classifier_hidden": 8, "epochs": 2, "annealing_epochs": 1}
    classifier = FusionClassifier(**settings, draws=3).fit(catalog)
    config = FitConfig.parse({**settings, "draws": 3})
    return Run(classifier, config, catalog, np.arange(len(catalog.ids)))


def test_both_sides_are_scored_on_val(run: Run, tmp_path: Path) -> None:
    seen: list[int] = []
    done = distil_run(run, "my-run", tmp_path / "small", SMALL, on_epoch=seen.append)
    assert seen == [1, 2]
    val = run.catalog.labelled_rows("val")
    features, labels = run.catalog.features.take(val), run.catalog.labels[val]
    teacher = run.classifier.sample_proba(features, draws=3, seed=0).mean(0, dtype=np.float64)
    names = run.classifier.label_names_
    assert done.teacher.scores.nll == pytest.approx(evaluate(teacher, labels, names).nll)
    said = Student.load(tmp_path / "small").predict(features)
    assert done.pupil.scores.nll == pytest.approx(evaluate(said.mean, labels, names).nll)
    assert done.difference == pytest.approx(np.abs(teacher - said.mean).mean(), rel=1e-5)
    spread = summarise(run.classifier.sample_proba(features, draws=3, seed=0)).epistemic
    rank = spearmanr(spread.ravel(), said.epistemic.ravel()).statistic
    assert done.epistemic_rank == pytest.approx(rank, abs=1e-6)
    assert done.pupil.num_parameters == done.student.num_parameters
    assert "| student |" in str(done)
    assert Student.load(tmp_path / "small").about["teacher"]["run"] == "my-run"
    with pytest.raises(UserError, match="is there"):
        distil_run(run, "my-run", tmp_path / "small", SMALL)


def test_a_catalogue_without_val_is_refused(run: Run, tmp_path: Path) -> None:
    catalog = dataclasses.replace(run.catalog, labelled=np.zeros(len(run.catalog.ids), np.bool_))
    with pytest.raises(ConfigError, match="0 labelled ones in val"):
        distil_run(dataclasses.replace(run, catalog=catalog), "r", tmp_path / "small", SMALL)
    assert not list(tmp_path.iterdir())
