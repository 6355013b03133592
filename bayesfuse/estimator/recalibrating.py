"""The recalibration of a classifier: fitted on val after training, kept in the run folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayesfuse.config import ModelConfig
from bayesfuse.errors import ConfigError, RunFolderError
from bayesfuse.estimator.files import read_json, write_json
from bayesfuse.estimator.inputs import TrainingData
from bayesfuse.estimator.validating import Validator
from bayesfuse.evaluation.recalibration import Recalibration

FILE = "recalibration.json"
FORMAT = "bayesfuse-recalibration-1"


def check_recalibrable(data: TrainingData, config: ModelConfig) -> None:
    """Raise before training if there is nothing to recalibrate by.

    Raises:
        ConfigError: If there are no labelled val items.
    """
    if config.recalibrate != "none" and data.val is None:
        raise ConfigError(
            f"--recalibrate {config.recalibrate} needs labelled items in val, and there are none. "
            "Name some in the split, set --validation-fraction, or leave it at none."
        )


def fit_recalibration(
    validator: Validator, labels: NDArray[np.float32], config: ModelConfig
) -> tuple[Recalibration | None, NDArray[np.float32]]:
    """Return the recalibration, if one is wanted, and the val items' probabilities after it.

    Args:
        validator: Of the trained model.
        labels: Of its items, `items x labels`.
        config: The settings.

    Returns:
        The recalibration or None, and `items x labels`.
    """
    if config.recalibrate == "none":
        return None, validator.probability(config.draws)
    draws = validator.draws_of_probability(config.draws)
    found = Recalibration.fit(config.recalibrate, draws, labels)
    return found, found(draws).mean(axis=0)


def write_recalibration(
    recalibration: Recalibration, label_names: tuple[str, ...], folder: Path
) -> None:
    """Write a recalibration into a run folder that is being made."""
    told = {"format": FORMAT, "labels": list(label_names), **recalibration.to_dict()}
    write_json(folder / FILE, told)


def read_recalibration(
    config: ModelConfig, label_names: tuple[str, ...], folder: Path
) -> Recalibration | None:
    """Return the recalibration of a run folder; None if its settings want none.

    Raises:
        RunFolderError: If it is missing, cannot be read, or is of another kind or other labels.
    """
    if config.recalibrate == "none":
        return None
    path = folder / FILE
    advice = "Copy the run again from where it was fitted, or fit again."
    if not path.is_file():
        raise RunFolderError(f"The run folder {folder} lacks {FILE}. {advice}")
    told = read_json(path)
    if told.get("format") != FORMAT:
        raise RunFolderError(
            f'{path} has the format "{told.get("format")}"; expected "{FORMAT}". Load it with the '
            "version of bayesfuse that wrote it."
        )
    try:
        found = Recalibration.from_dict(told)
        if told["labels"] != list(label_names) or found.method != config.recalibrate:
            raise ValueError("it is not of the same fit")
        if found.knots and len(found.knots) != len(label_names):
            raise ValueError(f"{len(found.knots)} isotonic maps")
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{path} does not fit the run ({error!r}). {advice}") from None
    return found
