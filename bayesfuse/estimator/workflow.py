"""What the commands do, from a catalogue to a run folder and back: read, encode, fit, predict."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayesfuse.config import CatalogConfig, FitConfig, ModelConfig, RunningConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.encoders.catalogues import Running
from bayesfuse.encoders.running import Progress
from bayesfuse.encoders.saving import load_encoders, save_encoders
from bayesfuse.errors import ConfigError, RunFolderError, StorageError, UserError
from bayesfuse.estimator.catalogs import DEMO, options_as_fitted, read_catalog, rows_of_split
from bayesfuse.estimator.classifier import FusionClassifier
from bayesfuse.estimator.devices import choose_device
from bayesfuse.estimator.encoding import encoded_folder, encoder_settings, named_encoders, resources
from bayesfuse.estimator.encoding_shares import apply_by_share, encode_by_share
from bayesfuse.estimator.finetuning import Finetuning, finetuning_settings
from bayesfuse.estimator.joint_finetuning import TEXT, JointFinetuning, is_joint, without_text
from bayesfuse.estimator.lacking import lacking
from bayesfuse.estimator.links import check_finetuned_nodes
from bayesfuse.estimator.run_folder import (
    check_new_folder,
    read_config,
    read_environment,
    save_run,
)
from bayesfuse.estimator.shares import by_share
from bayesfuse.estimator.training_warnings import training_warnings
from bayesfuse.estimator.unfinished import Unfinished
from bayesfuse.evaluation.evaluate import Evaluation, evaluate
from bayesfuse.inference.distributed import is_first
from bayesfuse.inference.history import Epoch, Step


@dataclass(frozen=True)
class Fit:
    """What a fit came to.

    Attributes:
        path: The run folder.
        classifier: The fitted classifier.
        evaluation: Scores on the val items; None if there were none.
        warnings: What the user should know.
        seconds: How long the fit took.
    """

    path: Path
    classifier: FusionClassifier
    evaluation: Evaluation | None
    warnings: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Run:
    """A run folder and a catalogue encoded as the run's was.

    Attributes:
        classifier: The fitted classifier.
        config: Its settings.
        catalog: The catalogue, with features that fit the classifier.
        rows: The rows of the split that was asked for.
        without: Modalities that were hidden (see `bayesfuse.estimator.missing`).
    """

    classifier: FusionClassifier
    config: FitConfig
    catalog: Catalog
    rows: NDArray[np.int64]
    without: tuple[str, ...] = ()


def fit_run(
    source: str | None,
    out: Path,
    config: FitConfig,
    *,
    on_step: Callable[[Step], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_encoding: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    tell: Callable[[str], None] | None = None,
    unfinished: Unfinished | None = None,
) -> Fit:
    """Read a catalogue, encode what needs it, fit, score on val, and write the run folder.

    Args:
        source: The catalogue; None for the embedded demo catalogue.
        out: The run folder to make; it must not exist.
        config: All settings.
        on_step: Called after every training step.
        on_epoch: Called after every epoch.
        on_encoding: Called now and then while raw cells are encoded.
        on_warning: Called with each warning as it comes up.
        tell: Called with what the user should see at once, such as a download.
        unfinished: Where checkpoints are kept (`bayesfuse.estimator.resuming`); None for none.

    Raises:
        RunFolderError: If the run folder is there already.
        StorageError: If it cannot be written once training is over: then the run is saved in the
            temporary folder, and the message says where.
        BayesfuseError: Whatever is wrong with the catalogue, the settings or the training.
    """
    started = time.perf_counter()
    if unfinished is None:
        check_new_folder(out)
    choose_device(config.device)
    joint = is_joint(config)
    check_finetuned_nodes(config)
    warn = on_warning or (lambda _: None)
    catalog = read_catalog(source, config)
    running = Running(
        resources(config, config.device, tell),
        encoded_folder(catalog.source, config.encoded),
        strict=config.strict,
        on_progress=on_encoding,
    )
    raw, named = catalog.raw, named_encoders(config)
    given = finetuning_settings(encoder_settings(config, catalog), config)
    if joint:  # the text is not encoded: the network reads it
        catalog = dataclasses.replace(catalog, raw=without_text(raw))
        named, given = without_text(named), without_text(given)
    encoding = encode_by_share(catalog, named, settings=given, running=running)
    catalog, encoders = encoding.catalog, encoding.encoders
    finetuning: Finetuning | JointFinetuning | None = None
    if joint:
        joined = dataclasses.replace(catalog, raw=raw)
        finetuning = JointFinetuning(joined, config, running, encoders)
        catalog, encoders = finetuning.catalog, {**encoders, TEXT: finetuning.encoder}
    for warning in catalog.warnings:
        warn(warning)
    settings = config.model_dump(include=set(ModelConfig.model_fields))
    classifier = FusionClassifier(**settings)
    if config.finetune is not None and finetuning is None:
        finetuning = Finetuning(catalog, encoders, config, choose_device(config.device))
    classifier.fit(
        catalog,
        on_step=on_step,
        on_epoch=on_epoch,
        finetuning=finetuning,
        checkpoints=None if unfinished is None else unfinished.checkpoints,
    )
    warnings = list(catalog.warnings)
    for warning in training_warnings(classifier):
        warnings.append(warning)
        warn(warning)
    catalog, val = classifier.link(catalog), catalog.labelled_rows("val")
    features = catalog.features.take(val)
    if finetuning is not None:
        features = finetuning.val_features(features)
    evaluation = _evaluate(classifier, catalog, val, features)
    seconds = time.perf_counter() - started
    if not is_first():
        return Fit(out, classifier, evaluation, tuple(warnings), seconds)

    def extra(folder: Path) -> None:
        if encoders:
            save_encoders(folder, encoders)
        if unfinished is not None and classifier.results_[-1].stopped == "interrupted":
            unfinished.copy_to(folder)

    def write(path: Path, place: Unfinished | None = None) -> Path:
        return save_run(
            classifier,
            path,
            config=config,
            metrics={
                "split": "val",
                "seconds": round(seconds, 3),
                "val": None if evaluation is None else evaluation.to_dict(),
            },
            environment={
                "catalog": _absolute(catalog.source),
                "warnings": warnings,
                "encoders": {modality: encoder.name for modality, encoder in encoders.items()},
            },
            extra=extra,
            unfinished=place,
        )

    try:
        path = write(out, unfinished)
    except (UserError, StorageError) as error:
        # hours of training are worth more than the place that was asked for
        path = write(Path(tempfile.mkdtemp(prefix="bayesfuse-")) / out.name)
        raise type(error)(f"{error} The fitted run was saved as {path} instead.") from error
    return Fit(path, classifier, evaluation, tuple(warnings), seconds)


def open_run(
    path: Path,
    source: str | None,
    options: CatalogConfig,
    *,
    split: str | None,
    device: str = "auto",
    labelled: bool = False,
    update_old: bool = False,
    running: RunningConfig | None = None,
    on_encoding: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Run:
    """Load a run folder and a catalogue, encoded by the run's own encoders.

    Args:
        path: The run folder.
        source: The catalogue; the one that the run was fitted on if None.
        options: How to read a catalogue that is one file; what it leaves open is as in the fit.
        split: `train`, `val`, `test`, or `all`; None is `all`.
        device: Where to put the model.
        labelled: Keep labelled items only.
        update_old: See `bayesfuse.estimator.links.Links.link`.
        running: How encoders run.
        on_encoding: Called now and then while raw cells are encoded.
        on_warning: Called with each warning.
        tell: Called with what the user should see at once, such as a download.

    Raises:
        RunFolderError: If the run cannot be read.
        CatalogError: If the catalogue cannot.
        UserError: If no item is left.
    """
    classifier = FusionClassifier.load(path, device)
    config = read_config(path)
    fitted_on = read_environment(path).get("catalog")
    given, source = source, recorded_catalog(path) if source is None else source
    same = isinstance(fitted_on, str) and _absolute(source) == fitted_on
    options, notes = options_as_fitted(source, options, config, same=same)
    # of a fit on a folder that is called as the embedded catalogue is, the whole path is recorded
    embedded = given is None and source == DEMO
    catalog = read_catalog(None if embedded else source, options, require_labels=False)
    encoders = load_encoders(path)
    lost = [name for name in read_environment(path).get("encoders", {}) if name not in encoders]
    if lost:
        raise RunFolderError(
            f"The run folder {path} lacks the encoders of {', '.join(lost)}: encoders.json and "
            "encoders.safetensors. Copy it again from where it was fitted, or fit again."
        )
    if encoders:
        running = running or RunningConfig.parse({})
        folder = encoded_folder(catalog.source, running.encoded)
        how = Running(
            resources(running, device, tell),
            # a cache that is there, or was asked for; predicting makes no folder by itself
            folder if running.encoded or (folder and folder.is_dir()) else None,
            strict=running.strict,
            on_progress=on_encoding,
        )
        catalog = apply_by_share(catalog, encoders, running=how)
    catalog = dataclasses.replace(catalog, warnings=(*catalog.warnings, *notes))
    catalog = classifier.link(catalog, update_old=update_old)
    notes = lacking(classifier, catalog, labelled=labelled)
    catalog = dataclasses.replace(catalog, warnings=(*catalog.warnings, *notes))
    rows = rows_of_split(catalog, split, labelled=labelled)
    for warning in catalog.warnings:
        if on_warning is not None:
            on_warning(warning)
    return Run(classifier, config, catalog, rows)


def recorded_catalog(path: Path) -> str:
    """Return the catalogue that a run was fitted on, as `environment.json` tells.

    Raises:
        RunFolderError: If it does not.
    """
    source = read_environment(path).get("catalog")
    if not isinstance(source, str):
        raise RunFolderError(
            f"The run folder {path} does not tell which catalogue it was fitted on: it was fitted "
            "on arrays. Name a catalogue after it."
        )
    return source


def evaluate_run(run: Run, *, draws: int | None = None, seed: int | None = None) -> Evaluation:
    """Score a run's posterior predictive on the rows of a `Run`.

    Labels are matched by name; a label of the catalogue that the run does not know is an error.
    """
    features = run.catalog.features.take(run.rows)
    found = _evaluate(run.classifier, run.catalog, run.rows, features, draws, seed)
    if found is None:
        raise UserError(f"{run.catalog.source} has no labelled items to evaluate.")
    return found


def known_labels(classifier: FusionClassifier, catalog: Catalog) -> NDArray[np.float32]:
    """Return the labels of a catalogue in the order of the classifier's, `items x labels`.

    Raises:
        ConfigError: If the catalogue has a label that the classifier was not fitted on.
    """
    names = {name: column for column, name in enumerate(catalog.label_names)}
    unknown = [name for name in names if name not in classifier.label_names_]
    if unknown:
        raise ConfigError(
            f"{catalog.source} has labels that the run was not fitted on: {', '.join(unknown)}. "
            f"The run knows {', '.join(classifier.label_names_)}. Leave them out, or fit again."
        )
    matrix = np.zeros((len(catalog), len(classifier.label_names_)), np.float32)
    for column, name in enumerate(classifier.label_names_):
        if name in names:
            matrix[:, column] = catalog.labels[:, names[name]]
    return matrix


def _absolute(source: str) -> str:
    """Return where a catalogue is, whatever the working directory; the demo's has no place."""
    return source if source == DEMO else os.path.abspath(source)


def _evaluate(
    classifier: FusionClassifier,
    catalog: Catalog,
    rows: NDArray[np.int64],
    features: FeatureTable,
    draws: int | None = None,
    seed: int | None = None,
) -> Evaluation | None:
    """Score the labelled ones of these rows, whose features are given."""
    labelled = catalog.labelled[rows]
    if not labelled.any():
        return None
    labels = known_labels(classifier, catalog)[rows[labelled]]

    def predict(some: FeatureTable) -> NDArray[np.float64]:
        chunks = classifier.iter_proba(some, draws, seed)
        return np.concatenate([chunk.mean(axis=0, dtype=np.float64) for chunk in chunks])

    mean = by_share(predict, features.take(labelled))
    return evaluate(mean, labels, classifier.label_names_, classifier.thresholds_)


__all__ = ["DEMO", "Fit", "Run", "evaluate_run", "fit_run", "open_run", "read_catalog"]
