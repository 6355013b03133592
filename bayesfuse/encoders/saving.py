"""Keeping fitted encoders in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from bayesfuse.config.parsing import parse_json
from bayesfuse.data.whole_files import whole_file
from bayesfuse.encoders.base import Encoder, Json
from bayesfuse.encoders.names import encoder_class
from bayesfuse.errors import ConfigError, FeatureError, RunFolderError

_CONFIG_FILE = "encoders.json"
_ARRAYS_FILE = "encoders.safetensors"


def encoder_from_state(
    config: Mapping[str, Json], arrays: Mapping[str, NDArray[np.generic]]
) -> Encoder:
    """Rebuild the encoder that returned this state.

    Raises:
        ConfigError: If the state's encoder is unknown.
        FeatureError: If the state does not fit together.
    """
    return encoder_class(str(config.get("name"))).from_state(config, arrays)


def save_encoders(folder: str | Path, encoders: Mapping[str, Encoder]) -> None:
    """Write fitted encoders as `encoders.json` and `encoders.safetensors`.

    Args:
        folder: A folder that exists.
        encoders: Modality to fitted encoder.

    Raises:
        FeatureError: If an encoder is not fitted.
    """
    config: dict[str, Json] = {}
    arrays = {}
    for place, (modality, encoder) in enumerate(encoders.items()):
        settings, own = encoder.state()
        config[modality] = settings
        # numbered, because a modality's name may hold any character
        arrays.update({f"{place}.{key}": np.asarray(own[key], order="C") for key in own})
    text = json.dumps(config, indent=1, ensure_ascii=False)
    with whole_file(Path(folder) / _ARRAYS_FILE) as file:
        save_file(arrays, file)
    with whole_file(Path(folder) / _CONFIG_FILE) as file:
        file.write_text(text + "\n", encoding="utf-8")


def load_encoders(folder: str | Path) -> dict[str, Encoder]:
    """Read what `save_encoders` wrote; the encoders give the very same features.

    Args:
        folder: Where the two files are. A folder with neither has no encoders.

    Returns:
        Modality to fitted encoder, in the order they were saved.

    Raises:
        RunFolderError: If one file is missing, or one is truncated or does not fit.
    """
    files = [Path(folder) / name for name in (_CONFIG_FILE, _ARRAYS_FILE)]
    missing = [file for file in files if not file.is_file()]
    if len(missing) == len(files):
        return {}
    if missing:
        raise RunFolderError(f"{missing[0]} is missing; restore it, or fit again.")
    try:
        config = parse_json(files[0].read_text(encoding="utf-8"))
        arrays = load_file(files[1])
        encoders = {}
        for place, (modality, settings) in enumerate(config.items()):
            mark = f"{place}."
            own = {key.removeprefix(mark): arrays[key] for key in arrays if key.startswith(mark)}
            encoders[modality] = encoder_from_state(settings, own)
    except (SafetensorError, ValueError, AttributeError) as error:
        reason = str(error) if isinstance(error, ConfigError | FeatureError) else repr(error)
        raise RunFolderError(
            f"The encoders in {folder} cannot be read: {reason} "
            f"Restore {_CONFIG_FILE} and {_ARRAYS_FILE}, or fit again."
        ) from error
    return encoders
