"""The folder that keeps what fits came to, so that a table goes on where it was stopped.

A file a fit, whole or not at all. Its name ends in a digest of all that the fit hangs on: the
content of the catalogue, the settings with the seed, the split, and the version of bayesfuse.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bayesfuse.config import FitConfig, ModelConfig
from bayesfuse.config.parsing import parse_json
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.whole_files import whole_file
from bayesfuse.errors import UserError, write_error
from bayesfuse.estimator.tables.fitting import RowResult
from bayesfuse.evaluation.resampling import Bootstrap

FORMAT = "bayesfuse-row-1"
ROWS = "rows"
ROWS_AT_ONCE = 4096
_NUMBERS = ("fit_seconds", "predict_seconds", "num_parameters", "best_epoch", "epochs")


def catalog_digest(catalog: Catalog) -> str:
    """Return a word that only a catalogue with this content has: items, labels, features, people.

    Args:
        catalog: With features.
    """
    digest = hashlib.sha256()
    facts = [
        catalog.ids.tolist(),
        list(catalog.label_names),
        catalog.split.tolist(),
        catalog.people,
        list(catalog.features.names),
    ]
    digest.update(json.dumps(facts, sort_keys=True).encode())
    shares = () if catalog.label_shares is None else (catalog.label_shares,)
    for array in (catalog.labels, catalog.labelled, catalog.features.observed, *shares):
        digest.update(np.ascontiguousarray(array).tobytes())
    for start in range(0, len(catalog), ROWS_AT_ONCE):
        rows = np.arange(start, min(start + ROWS_AT_ONCE, len(catalog)))
        values, _ = catalog.features.batch(rows)
        steps, used = catalog.features.sequences(rows)
        for part in (values, steps, used):
            for name, array in part.items():
                digest.update(f"{name} {array.shape} {array.dtype}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def row_key(content: str, config: FitConfig, scored: str, labelled: float = 1.0) -> str:
    """Return a word that only the same fit has.

    Args:
        content: What `catalog_digest` says.
        config: The settings of the row, with its seed.
        scored: The split.
        labelled: Share of the training items whose labels it knows.
    """
    names = {*ModelConfig.model_fields, "modalities"}
    facts = {
        "format": FORMAT,
        "version": importlib.metadata.version("bayesfuse"),
        "content": content,
        "scored": scored,
        "labelled": labelled,
        "settings": config.model_dump(mode="json", include=names),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ResultFolder:
    """Reads and writes what fits came to.

    Attributes:
        path: The folder; made when something is written.
        on_warning: Called with what is wrong with a file, which then counts as missing.
    """

    path: Path
    on_warning: Callable[[str], None] = lambda _: None

    def check(self) -> None:
        """Refuse a folder that holds something else.

        Raises:
            UserError: If it does, or is a file.
        """
        if self.path.is_dir():
            if (self.path / ROWS).is_dir() or not any(self.path.iterdir()):
                return
        elif not os.path.lexists(self.path):
            return
        raise UserError(
            f"{self.path} is there and no folder of `bayesfuse compare --models`, so it is left as "
            "it is. Choose another --results."
        )

    def file(self, name: str, seed: int, key: str) -> Path:
        """Return where a fit is kept.

        Args:
            name: Of the row.
            seed: Of the fit.
            key: See `row_key`.
        """
        word = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()
        return self.path / ROWS / f"{word}-seed{seed}-{key}.npz"

    def read(self, file: Path) -> RowResult | None:
        """Return what a file holds; None if it is not there, or not whole."""
        try:
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as found:
                about = parse_json(str(found["about"]))
                if about["format"] != FORMAT:
                    raise ValueError(f"format {about['format']}")
                scores = {
                    name: Bootstrap(
                        found[f"estimate.{name}"],
                        found[f"replicates.{name}"],
                        tuple(about["resampled"]),
                    )
                    for name in about["scores"]
                }
                return RowResult(
                    probability=found["probability"],
                    thresholds=found["thresholds"],
                    scores=scores,
                    warnings=tuple(about["warnings"]),
                    **{name: about[name] for name in _NUMBERS},
                )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile) as error:
            self.on_warning(f"{file} is not whole ({error}); the row is fitted again.")
            return None

    def write(self, file: Path, result: RowResult) -> None:
        """Keep what a fit came to.

        Raises:
            UserError: If the folder cannot be written into.
            StorageError: If the disk is full.
        """
        resampled = next(iter(result.scores.values())).resampled
        about = {
            "format": FORMAT,
            "scores": list(result.scores),
            "resampled": list(resampled),
            "warnings": list(result.warnings),
            **{name: getattr(result, name) for name in _NUMBERS},
        }
        arrays: dict[str, Any] = {
            "probability": result.probability,
            "thresholds": result.thresholds,
        }
        for name, score in result.scores.items():
            arrays[f"estimate.{name}"] = score.estimate
            arrays[f"replicates.{name}"] = score.replicates
        buffer = io.BytesIO()
        np.savez_compressed(buffer, about=np.array(json.dumps(about)), **arrays)
        write_whole(file, buffer.getvalue())


def write_whole(file: Path, content: bytes) -> None:
    """Write a file in place of an earlier one, whole or not at all.

    Raises:
        UserError: If it cannot be written there.
        StorageError: If the disk is full.
    """
    try:
        file.absolute().parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise write_error(file, error, "Make room, or choose another --results.") from error
