"""A run's student, written to a folder, and what of the run is left in it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from bayesfuse.config.distilling import DistillConfig
from bayesfuse.data.new_folder import new_folder
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.distilling import Distillation, Items, student_fusion
from bayesfuse.estimator.student import FILES, Student
from bayesfuse.estimator.student_export import export_onnx
from bayesfuse.estimator.workflow import Run, known_labels
from bayesfuse.evaluation.evaluate import Evaluation, evaluate
from bayesfuse.evaluation.thresholds import best_thresholds
from bayesfuse.evaluation.uncertainty import DrawSummary


@dataclass(frozen=True)
class Side:
    """Teacher or student on the val items.

    Attributes:
        scores: Quality and calibration of its probabilities.
        seconds: How long it took to predict them, features read from memory.
        num_parameters: Its trained numbers.
    """

    scores: Evaluation
    seconds: float
    num_parameters: int


@dataclass(frozen=True)
class Distilled:
    """A student in its folder; prints as a table.

    Attributes:
        path: The folder.
        student: The student.
        teacher: The run on val.
        pupil: The student on val.
        difference: Mean absolute difference of their probabilities on val.
        epistemic_rank: Spearman's rank correlation of their epistemic uncertainty, over items and
            labels of val.
        best_epoch: The epoch that was kept, from 1.
        seconds: How long distilling took, the teacher's draws included.
        onnx_difference: The largest difference of what the ONNX file says; None without one.
    """

    path: Path
    student: Student
    teacher: Side
    pupil: Side
    difference: float
    epistemic_rank: float
    best_epoch: int
    seconds: float
    onnx_difference: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON tells it."""
        return {
            "student": str(self.path),
            "seconds": round(self.seconds, 1),
            "best_epoch": self.best_epoch,
            "teacher": _told(self.teacher),
            "pupil": _told(self.pupil),
            "difference": self.difference,
            "epistemic_rank": self.epistemic_rank,
            "onnx_difference": self.onnx_difference,
        }

    def __str__(self) -> str:
        """Return a Markdown table, and how near the two are."""
        lines = [
            "| | macro AP | NLL | ECE | seconds | parameters |\n|" + " --- |" * 6,
        ]
        for name, side in (("teacher", self.teacher), ("student", self.pupil)):
            ap, ece = side.scores.average_precision.macro, side.scores.ece.equal_mass
            lines.append(
                f"| {name} | {ap:.4f} | {side.scores.nll:.4f} | {ece:.4f} | {side.seconds:.3f} | "
                f"{side.num_parameters:,} |"
            )
        return "\n".join(
            [
                *lines,
                "",
                f"Their probabilities differ by {self.difference:.4f} in the mean; the ranks of "
                f"their epistemic uncertainty correlate by {self.epistemic_rank:.2f}.",
            ]
        )


def distil_run(
    run: Run,
    name: str,
    out: Path,
    config: DistillConfig,
    *,
    onnx: bool = False,
    on_epoch: Callable[[int], None] | None = None,
) -> Distilled:
    """Distil a run into a student, and write the student's folder.

    Args:
        run: The run, with a catalogue that has train and labelled val items.
        name: What the student's file calls its teacher.
        out: The folder to make.
        config: The settings.
        onnx: Whether to write an ONNX file, too.
        on_epoch: Called with the number of each epoch that has ended.

    Raises:
        ConfigError: If the catalogue has no such items, or the run cannot be distilled.
        UserError: If the folder is taken, or ONNX is not to be had.
        StorageError: If the disk is full; then nothing is left there.
    """
    catalog, classifier = run.catalog, run.classifier
    train, val = catalog.rows("train"), catalog.labelled_rows("val")
    if len(train) < 2 or not len(val):
        raise ConfigError(
            f"{catalog.source} has {len(train)} items in train and {len(val)} labelled ones in "
            "val; a student learns from the first and is chosen by the second. Name its column of "
            "splits in catalog.toml."
        )
    labels = known_labels(classifier, catalog)
    started = time.perf_counter()
    to_learn, to_choose = (
        Items(catalog.features.take(rows), labels[rows], catalog.labelled[rows])
        for rows in (train, val)
    )
    task = Distillation(classifier, to_learn, to_choose, config)
    network = task.run(on_epoch)
    seconds = time.perf_counter() - started
    student = Student(
        network,
        tuple(classifier.label_names_),
        np.full(len(classifier.label_names_), 0.5),
        config,
        fusion=student_fusion(classifier),
        about={},
    )
    student.thresholds = best_thresholds(student.predict(to_choose.features).mean, labels[val])
    teacher, whole = _teacher(run, to_choose, config)
    pupil, said = _pupil(student, to_choose)
    rank = spearmanr(whole.epistemic.ravel(), said.epistemic.ravel()).statistic
    found = Distilled(
        out,
        student,
        teacher,
        pupil,
        float(np.abs(whole.mean - said.mean).mean()),
        float(np.nan_to_num(rank)),
        int(np.argmin(task.history)) + 1,
        seconds,
        None,
    )
    student.about = {
        "bayesfuse": version("bayesfuse"),
        "teacher": {"run": name, **run.config.told()},
        "val": {k: v for k, v in found.to_dict().items() if k not in ("student", "seconds")},
    }
    with new_folder(out.absolute(), FILES, "student", overwrite=False) as folder:
        student.write(folder)
        if onnx:
            apart = export_onnx(student, folder / FILES[2], to_choose.features)
            found = dataclasses.replace(found, onnx_difference=apart)
    return found


def _teacher(run: Run, items: Items, config: DistillConfig) -> tuple[Side, DrawSummary]:
    classifier, means = run.classifier, []
    parts: list[NDArray[np.float32]] = []
    started = time.perf_counter()
    for chunk in classifier.iter_proba(items.features, config.draws, config.seed):
        parts.append(chunk)
        means.append(chunk.mean(axis=0))
    seconds = time.perf_counter() - started
    whole = DrawSummary().update(np.concatenate(parts, axis=1))
    scores = evaluate(whole.mean, items.labels, classifier.label_names_, classifier.thresholds_)
    return Side(scores, seconds, sum(classifier.model_.num_parameters.values())), whole


def _pupil(student: Student, items: Items) -> tuple[Side, Any]:
    started = time.perf_counter()
    said = student.predict(items.features)
    seconds = time.perf_counter() - started
    scores = evaluate(said.mean, items.labels, student.label_names, student.thresholds)
    return Side(scores, seconds, student.num_parameters), said


def _told(side: Side) -> Mapping[str, Any]:
    return {
        "scores": side.scores.to_dict(),
        "seconds": side.seconds,
        "parameters": side.num_parameters,
    }
