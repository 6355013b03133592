"""The folder of encoded features: the cache, the features of one catalogue, and what was said.

    encoded/
      cache/FINGERPRINT/part-*.npy   features by content, for every encoder that was ever used
      features.npz                   ids; of each modality its features, mask and encoder; of one
                                     that is kept as sequences, where each item's steps start, and
                                     how many there are
      encoding.json                  which encoders
      encode_report.csv              the cells that are empty, broken or odd

Everything is written under another name, synced and renamed.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.arrays import member_names, open_array, read_array
from bayesfuse.data.sequences import Ragged, Sequences
from bayesfuse.data.whole_files import remove_left_behind, whole_file
from bayesfuse.errors import UserError, write_error

FEATURES = "features.npz"
CACHE = "cache"
_BLOCK = 1 << 22


def default_folder(source: str | Path) -> Path:
    """Return where a catalogue's features are kept if no place is named.

    Example:
        >>> default_folder("items.csv").name
        'items.encoded'
    """
    path = Path(source)
    if path.name == "catalog.toml":
        path = path.parent
    return (
        path / "encoded" if path.is_dir() else path.with_name(path.name.split(".")[0] + ".encoded")
    )


def make_folder(folder: Path) -> None:
    """Make the folder, or say why it cannot be written into.

    Raises:
        UserError: If it is a file, or somebody else's.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_left_behind(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        advice = "Choose another folder with --out (fit, predict: --encoded)."
        raise write_error(folder, error, advice) from error
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; expected a folder for encoded features.")


@dataclass(frozen=True)
class EncodedModality:
    """Where the features of a modality lie before they go into `features.npz`.

    Attributes:
        values: A `.npy` file, `items x features`, float32; or `steps x features` of all items.
        observed: Which items have them, `items`.
        fingerprint: Of the encoder.
        starts: Where each item's steps start, `items`; None of vectors.
        lengths: How many steps each item has, `items`; None of vectors.
    """

    values: Path
    observed: NDArray[np.bool_]
    fingerprint: str
    starts: NDArray[np.int64] | None = None
    lengths: NDArray[np.int64] | None = None

    def stored(self, values: NDArray[Any]) -> NDArray[Any] | Sequences:
        """Return the features, once the file (or a copy of it) is opened."""
        if self.starts is None or self.lengths is None:
            return values
        return Sequences(Ragged(values, self.starts, self.lengths), self.lengths)


def write_features(
    folder: Path, id_name: str, ids: NDArray[np.str_], modalities: Mapping[str, EncodedModality]
) -> Path:
    """Write `features.npz`, which `features = "encoded/features.npz:NAME"` can name.

    Its members are the ids under `id_name`, and NAME, NAME_observed and NAME_encoder for each
    modality, and of sequences NAME_starts and NAME_lengths. Not compressed, so that it is
    read through a memory map; written block by block.

    Raises:
        StorageError: If the disk is full; an earlier file stays.
    """
    path = folder / FEATURES
    try:
        with (
            whole_file(path) as unfinished,
            zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
        ):
            _add_array(archive, id_name, ids)
            for name, modality in modalities.items():
                with (
                    modality.values.open("rb") as source,
                    archive.open(f"{name}.npy", "w", force_zip64=True) as target,
                ):
                    while block := source.read(_BLOCK):
                        target.write(block)
                if modality.starts is not None and modality.lengths is not None:
                    _add_array(archive, f"{name}_starts", modality.starts)
                    _add_array(archive, f"{name}_lengths", modality.lengths)
                _add_array(archive, f"{name}_observed", modality.observed)
                _add_array(archive, f"{name}_encoder", np.array(modality.fingerprint))
    except OSError as error:
        raise write_error(path, error, "Make room, or choose another folder.") from error
    return path


def read_features(
    folder: Path, modality: str
) -> tuple[NDArray[Any] | Sequences, NDArray[np.bool_]]:
    """Return a modality's features and mask in `features.npz`, through a memory map.

    Args:
        folder: Where `write_features` wrote them.
        modality: Which.
    """
    path = folder / FEATURES
    observed = read_array(path, f"{modality}_observed")
    stored = EncodedModality(path, observed, str(read_array(path, f"{modality}_encoder")))
    if f"{modality}_starts" in member_names(path):
        starts, lengths = (read_array(path, f"{modality}_{n}") for n in ("starts", "lengths"))
        stored = replace(stored, starts=starts, lengths=lengths)
    return stored.stored(open_array(path, modality)), observed


def _add_array(archive: zipfile.ZipFile, name: str, array: NDArray[np.generic]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as target:
        np.lib.format.write_array(target, np.asarray(array), allow_pickle=False)
