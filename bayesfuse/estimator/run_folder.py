"""The run folder: a fitted classifier as JSON and safetensors, written whole or not at all.

========================  ===========================================================
config.json               every setting, as `FitConfig` (and `--config`) reads it
model.safetensors         weights and posterior; its metadata tell widths and columns
labels.json               label names, training counts and thresholds
history.csv               one row an epoch; of further members history-2.csv and so on
metrics.json              scores on the validation items, best epoch, why training ended
environment.json          versions, device and command
encoders.json, .safetensors  the fitted encoders, where raw cells were encoded
recalibration.json        how draws are recalibrated, where they are
decision.json             what `bayesfuse decide` chose, where it did
graph.safetensors         who is heard: graph, features, ids; where there is a graph
fit.json, checkpoint.*    where training was interrupted: what `--resume` goes on from
========================  ===========================================================
"""

from __future__ import annotations

import json
import platform
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from bayesfuse.config import FitConfig, ModelConfig
from bayesfuse.data.whole_files import remove_left_behind, whole_folder
from bayesfuse.errors import BayesfuseError, ConfigError, FeatureError, RunFolderError, write_error
from bayesfuse.estimator.devices import choose_device
from bayesfuse.estimator.drift import looks_from_dict, looks_to_dict
from bayesfuse.estimator.files import (
    FORMAT,
    read_json,
    read_results,
    read_tensors,
    write_json,
    write_results,
)
from bayesfuse.estimator.links import Links
from bayesfuse.estimator.model import build_model
from bayesfuse.estimator.recalibrating import read_recalibration, write_recalibration
from bayesfuse.estimator.rules import read_rule, write_rule
from bayesfuse.estimator.unfinished import Unfinished
from bayesfuse.models.fusion.text_bitransformer import TextTransformer

if TYPE_CHECKING:
    from bayesfuse.estimator.classifier import FusionClassifier

FILES = (
    "config.json",
    "model.safetensors",
    "labels.json",
    "history.csv",
    "metrics.json",
    "environment.json",
)
PREDICTION = ("decision", "device", "draws", "precision", "seed")
"""Settings that may change between fit and predict; the others describe the fitted model."""

_DAMAGES = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, ValueError),
)
"""What files that were tampered with, each valid by itself, may make the code below raise."""

PACKAGES = ("bayesfuse", "torch", "pyro-ppl", "numpy", "scikit-learn", "pandas", "pyarrow")


def check_new_folder(path: Path) -> None:
    """Raise unless a run can be written there: the path is free and its parent is a folder.

    Raises:
        RunFolderError: If the path is taken; called before training, so that no fit is in vain.
        UserError: If its parent cannot be written into.
        StorageError: If the disk is full.
    """
    if path.exists() or path.is_symlink():
        raise RunFolderError(
            f"{path} exists already and is left as it is. Choose another --out, or remove it first."
        )
    parent = path.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=parent) as probe:
            probe.write(b"\0" * 65536)
            probe.flush()
    except OSError as error:
        raise write_error(f"into {parent}", error, "Choose another --out, or make room.") from None


def save_run(
    classifier: FusionClassifier,
    path: Path,
    *,
    config: FitConfig | None = None,
    metrics: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
    extra: Callable[[Path], None] | None = None,
    unfinished: Unfinished | None = None,
) -> Path:
    """Write a fitted classifier as a run folder.

    It is written beside its final place and renamed at the end, so that a run folder is whole or
    is not there.

    Args:
        classifier: The fitted classifier.
        path: A folder that does not exist yet.
        config: All settings of the fit; the classifier's own if None.
        metrics: What to add to `metrics.json`.
        environment: What to add to `environment.json`.
        extra: Writes further files into the folder it is given.
        unfinished: Where to write before it is renamed; beside `path` if None.

    Returns:
        The folder.

    Raises:
        RunFolderError: If the folder exists.
        StorageError: If it cannot be written (a full disk, say).
    """
    replaces = unfinished is not None and unfinished.replaces
    if not replaces:
        check_new_folder(path)
    remove_left_behind(path.absolute().parent, path.name)
    config = config or FitConfig(**_fitted_config(classifier))
    inside = None if unfinished is None else unfinished.folder
    try:
        with whole_folder(path, inside, replaces=replaces) as partial:
            write_json(partial / "config.json", config.model_dump(mode="json"))
            _write_model(classifier, partial / "model.safetensors")
            write_json(partial / "labels.json", _labels(classifier))
            result = classifier.result_
            fitted = {
                "best_epoch": result.best_epoch,
                "stopped": result.stopped,
                "annealed": result.annealed,
                "members": write_results(classifier.results_, partial),
                **config.told(),
                "parameters": classifier.model_.num_parameters,
            }
            write_json(partial / "metrics.json", {**fitted, **(metrics or {})})
            write_json(partial / "environment.json", {**_environment(), **(environment or {})})
            if classifier.links_ is not None:
                classifier.links_.write(partial)
            if classifier.recalibration_ is not None:
                write_recalibration(classifier.recalibration_, classifier.label_names_, partial)
            if classifier.rule_ is not None:
                write_rule(classifier.rule_, classifier.label_names_, partial)
            if extra is not None:
                extra(partial)
            for file in partial.iterdir():
                file.chmod(0o644)  # safetensors keeps its files to the user alone
    except (OSError, SafetensorError) as error:
        advice = "Nothing was left there; make room or choose another place, and save again."
        raise write_error(f"the run folder {path}", error, advice) from error
    return path


def load_run(kind: type[FusionClassifier], path: Path, device: str = "auto") -> FusionClassifier:
    """Read a run folder.

    Args:
        kind: The class to make: `FusionClassifier`.
        path: The folder.
        device: Where to put the model: any device, whatever it was fitted on.

    Raises:
        RunFolderError: If a file is missing, truncated or does not fit the others.
    """
    try:
        return _read_run(kind, path, device)
    except (BayesfuseError, torch.OutOfMemoryError):
        raise
    except _DAMAGES as error:
        raise RunFolderError(
            f"The run folder {path} is not complete ({error!r:.300}). Copy it again from where it "
            "was fitted, or fit again."
        ) from error


def _read_run(kind: type[FusionClassifier], path: Path, device: str) -> FusionClassifier:
    if not path.is_dir():
        raise RunFolderError(
            f"There is no run folder {path}; `bayesfuse fit --out {path}` makes one."
        )
    missing = [name for name in FILES if not (path / name).is_file()]
    if (path / "student.json").is_file():
        raise RunFolderError(
            f"{path} is a student that `bayesfuse distill` made, not a run: it has no draws. In "
            "Python, bayesfuse.Student.load reads it; its student.onnx, if any, runs anywhere."
        )
    if missing:
        raise RunFolderError(
            f"The run folder {path} lacks {', '.join(missing)}; expected {', '.join(FILES)}. Copy "
            "it again from where it was fitted, or fit again."
        )
    config = read_config(path)
    model_config = ModelConfig(
        **{**config.model_dump(include=set(ModelConfig.model_fields)), "device": device}
    )
    labels = read_json(path / "labels.json")
    metrics = read_json(path / "metrics.json")
    tensors, about = read_tensors(path / "model.safetensors")
    classifier = kind(**model_config.model_dump())
    classifier.label_names_ = tuple(labels["labels"])
    classifier.thresholds_ = np.array(labels["thresholds"], np.float64)
    classifier.label_counts_ = np.array(labels["train_positives"], np.int64)
    classes = labels["classes"]
    classifier.binary_classes_ = None if classes is None else np.array(classes)
    classifier.classes_ = np.array(labels["labels"] if classes is None else classes)
    widths: dict[str, int] = about["widths"]
    num_items = int(about["num_items"])
    columns = about["columns"]
    if columns is not None:
        classifier.columns_ = columns
        classifier.modalities = columns
        classifier.n_features_in_ = sum(map(len, columns.values()))
    if about["feature_names"] is not None:
        classifier.feature_names_in_ = np.array(about["feature_names"], object)
    told = {
        len(classifier.label_names_),
        *map(len, (labels["thresholds"], labels["train_positives"])),
    }
    if len(told) > 1 or num_items != labels["num_items"]:
        raise ValueError("labels.json and model.safetensors are not of the same fit")
    results = read_results(path, metrics)
    classifier.looks_ = looks_from_dict(about.get("looks"))
    choose_device(device)
    classifier.config_ = model_config
    classifier.model_ = build_model(
        widths,
        len(classifier.label_names_),
        num_items,
        model_config.model_copy(update={"members": len(results)}),  # fewer, if interrupted
        about.get("relations"),
        transformer=_transformer(about.get("transformer"), path),
        sequences=about.get("sequences", ()),
    )
    classifier.model_.load_tensors(tensors, path / "model.safetensors")
    classifier.links_ = Links.read(path, widths) if about.get("linked") else None
    classifier.recalibration_ = read_recalibration(model_config, classifier.label_names_, path)
    classifier.rule_ = read_rule(classifier.label_names_, path)
    classifier.results_, classifier.history_ = results, results[0].history
    classifier.n_iter_ = len(classifier.history_)
    return classifier


def _transformer(told: Mapping[str, Any] | None, path: Path) -> TextTransformer | None:
    """Return the transformer of a run, if it has one, with weights that are yet to be loaded."""
    try:
        return None if told is None else TextTransformer.from_json(told)
    except FeatureError as error:
        raise RunFolderError(f"The run folder {path} is not complete: {error}") from None


def read_config(path: Path) -> FitConfig:
    """Return the settings of a run folder.

    Raises:
        RunFolderError: If its `config.json` cannot be read or is not valid.
    """
    try:
        return FitConfig.parse(read_json(path / "config.json"), f"run folder {path}")
    except ConfigError as error:
        raise RunFolderError(
            f"{error}\nThe run may come from another version of bayesfuse; this is "
            f"{version('bayesfuse')}."
        ) from None


def read_environment(path: Path) -> dict[str, Any]:
    """Return what `environment.json` of a run folder tells: versions, command, catalogue.

    Raises:
        RunFolderError: If it cannot be read.
    """
    return read_json(path / "environment.json")


def read_metrics(path: Path) -> dict[str, Any]:
    """Return what `metrics.json` of a run folder tells.

    Raises:
        RunFolderError: If it cannot be read.
    """
    return read_json(path / "metrics.json")


def _fitted_config(classifier: FusionClassifier) -> dict[str, Any]:
    """Return the settings of the fit, and those of prediction as they are set now."""
    now = classifier.config().model_dump(include=set(PREDICTION))
    return {**classifier.config_.model_dump(), **now}


def _labels(classifier: FusionClassifier) -> dict[str, Any]:
    classes = classifier.binary_classes_
    return {
        "labels": list(classifier.label_names_),
        "thresholds": classifier.thresholds_.tolist(),
        "train_positives": classifier.label_counts_.tolist(),
        "num_items": classifier.model_.num_items,
        "classes": None if classes is None else classes.tolist(),
    }


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: version(name) for name in PACKAGES},
        "command": typed_command(),
    }


def typed_command() -> str:
    """Return the command that this process was started with, quoted for a shell."""
    name = Path(sys.argv[0]).name
    program = "bayesfuse" if name in {"cli.py", "__main__.py"} else name  # of python -m
    return shlex.join([program, *sys.argv[1:]])


def _write_model(classifier: FusionClassifier, file: Path) -> None:
    model = classifier.model_
    tensors = {n: t.detach().cpu().contiguous() for n, t in model.tensors().items()}
    columns = getattr(classifier, "columns_", None)
    names = getattr(classifier, "feature_names_in_", None)
    transformer = model.network.transformer
    about = {
        "widths": model.network.standardise.widths,
        "num_items": model.num_items,
        "columns": columns,
        "feature_names": None if names is None else list(names),
        "linked": classifier.links_ is not None,
        "relations": model.network.relations,
        "sequences": model.network.sequences,
        "transformer": None if transformer is None else transformer.to_json(),
        "looks": looks_to_dict(getattr(classifier, "looks_", {})),
    }
    # one key, since safetensors writes several in an order that differs from run to run
    save_file(tensors, file, {FORMAT: json.dumps(about)})
