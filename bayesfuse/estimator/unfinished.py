"""A run that is not finished: its settings and its checkpoints, in a folder beside its place.

While `run` is being fitted there is `run.partial`, held by a lock, with

=======================  =====================================================================
fit.json                 the settings, the catalogue and the version of bayesfuse
checkpoint.safetensors   the state of the training after an epoch
member-K.safetensors     members of a mixture whose training has ended
new, before              the run folder being written, and one whose place it takes
=======================  =====================================================================

A run that was interrupted has the first three in its own folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bayesfuse.config import FitConfig
from bayesfuse.data.locking import locked
from bayesfuse.data.whole_files import whole_file
from bayesfuse.errors import ConfigError, RunFolderError, write_error
from bayesfuse.estimator.checkpoints import Checkpoints
from bayesfuse.estimator.files import read_json, write_json

FILE = "fit.json"
FORMAT = "bayesfuse-fit-1"


@dataclass(frozen=True)
class Unfinished:
    """Where a fit keeps what it would go on from.

    Attributes:
        folder: The folder, which this process holds.
        checkpoints: Its checkpoints; None to keep none.
        replaces: Whether the run folder to make takes the place of an interrupted run.
    """

    folder: Path
    checkpoints: Checkpoints | None
    replaces: bool = False

    def copy_to(self, folder: Path) -> None:
        """Copy what it takes to go on into a run folder, if there is a checkpoint.

        Raises:
            OSError: If it cannot be written.
        """
        if self.checkpoints is not None and self.checkpoints.there:
            self.checkpoints.copy_to(folder)
            shutil.copyfile(self.folder / FILE, folder / FILE)


@dataclass(frozen=True)
class Told:
    """What `fit.json` tells: how the fit was begun.

    Attributes:
        config: All settings.
        catalog: The catalogue; None for the embedded demo catalogue.
    """

    config: FitConfig
    catalog: str | None

    def write(self, folder: Path) -> None:
        """Write it.

        Raises:
            OSError: If it cannot be written.
        """
        with whole_file(folder / FILE) as file:
            write_json(
                file,
                {
                    "format": FORMAT,
                    "version": version("bayesfuse"),
                    "catalog": self.catalog,
                    "config": self.config.model_dump(mode="json"),
                },
            )

    @classmethod
    def read(cls, folder: Path) -> Told:
        """Read it.

        Raises:
            RunFolderError: If it cannot be read, or is of another version.
        """
        path = folder / FILE
        told = read_json(path)
        made = told.get("format"), told.get("version")
        if made != (FORMAT, version("bayesfuse")):
            raise RunFolderError(
                f"{path} is of {made[0]}, written by bayesfuse {made[1]}; expected {FORMAT} of "
                f"bayesfuse {version('bayesfuse')}, since another version may go on to other "
                "numbers. Go on with the version that wrote it, or fit again."
            )
        catalog = told.get("catalog")
        try:
            config = FitConfig.parse(told.get("config") or {}, str(path))
        except ConfigError as error:
            raise RunFolderError(f"{path} was edited or damaged: {error}") from None
        return cls(config, None if catalog is None else str(catalog))


def unfinished_folder(run: Path) -> Path:
    """Return where an unfinished run is kept.

    Example:
        >>> unfinished_folder(Path("films/run")).name
        'run.partial'
    """
    return run.with_name(f"{run.name}.partial")


@contextmanager
def held(run: Path) -> Iterator[Path]:
    """Hold the folder of an unfinished run inside the block; it is removed after if it is empty.

    Raises:
        LockedError: If another fit holds it.
        UserError: If it cannot be made.
        StorageError: If the disk is full.
    """
    folder = unfinished_folder(run)
    with locked(folder, "Choose another --out."):
        try:
            yield folder
        finally:
            if not Checkpoints.any_in(folder):
                remove(folder)


def remove(folder: Path) -> None:
    """Remove what was kept, the checkpoints first of all.

    Raises:
        UserError: If it cannot be removed.
    """
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise write_error(folder, error, "Remove it yourself.") from error
