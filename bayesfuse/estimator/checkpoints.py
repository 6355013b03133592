"""The checkpoints of a fit: what each member's training is at, and what those ended came to.

A folder holds `checkpoint.safetensors`, the state of the member in training after its last epoch,
and `member-K.safetensors` of each member that has ended, counted from 1.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from bayesfuse.data.whole_files import remove_left_behind, whole_file
from bayesfuse.errors import RunFolderError
from bayesfuse.estimator.checkpoint_file import read_checkpoint, write_checkpoint
from bayesfuse.inference.checkpointing import Keep, training_state
from bayesfuse.inference.distributed import first_does, is_first
from bayesfuse.inference.history import Epoch, SVIResult
from bayesfuse.inference.svi import TrainingRun

CHECKPOINT = "checkpoint.safetensors"
_MEMBERS = "member-*.safetensors"


class Checkpoints:
    """What is kept of a fit while it is not finished; of several processes the first one keeps it.

    A checkpoint that cannot be written, on a disk that is full, ends no training: the one before
    stays, and a warning says so, once.

    Args:
        folder: Where; it exists.
        every: Epochs from one checkpoint to the next; 0 to read those that are there alone.
        warn: Called with a warning.
    """

    def __init__(
        self, folder: Path, every: int = 1, warn: Callable[[str], None] = lambda _: None
    ) -> None:
        self.folder, self.every, self._warn = folder, every, warn
        self._warned = False
        self._digest = ""
        self._going_on = False
        if is_first():
            remove_left_behind(folder)
            self._going_on = self.any_in(folder)

    @staticmethod
    def any_in(folder: Path) -> bool:
        """Return whether there is a checkpoint in a folder."""
        return (folder / CHECKPOINT).is_file() or any(folder.glob(_MEMBERS))

    @property
    def there(self) -> bool:
        """Whether there is anything to go on from."""
        return self.any_in(self.folder)

    def check(self, digest: str) -> None:
        """Hold the items of this fit against those of the checkpoints that are there.

        Args:
            digest: Of all that training sees (`bayesfuse.estimator.digests`).

        Raises:
            RunFolderError: If they are others, or a checkpoint cannot be read.
        """
        self._digest = digest
        first_does(lambda: self._check(digest))

    def _check(self, digest: str) -> None:
        paths = [path for path in (self.folder / CHECKPOINT,) if path.is_file()]
        for path in [*paths, *sorted(self.folder.glob(_MEMBERS))]:
            if read_checkpoint(path).get("items") != digest:
                raise RunFolderError(
                    f"{path} is of a fit on other items: the catalogue, or what its cells are "
                    "encoded to, has changed since. Go on with the catalogue as it was, or remove "
                    f"{self.folder} and fit again."
                )

    def state(self, number: int) -> dict[str, Any] | None:
        """Return the state of a member's training; None if that had not begun.

        Args:
            number: Which member, from 0.
        """
        return first_does(lambda: self._state(number))

    def _state(self, number: int) -> dict[str, Any] | None:
        path = self.folder / CHECKPOINT
        if not self._going_on or not path.is_file():
            return None
        found = read_checkpoint(path)
        return found["state"] if found.get("member") == number else None

    def result(self, number: int) -> tuple[list[dict[str, Tensor]], SVIResult] | None:
        """Return the tensors of a member whose training has ended, and how it went; or None."""
        return first_does(lambda: self._result(number))

    def _result(self, number: int) -> tuple[list[dict[str, Tensor]], SVIResult] | None:
        path = self._member(number)
        if not self._going_on or not path.is_file():
            return None
        found = read_checkpoint(path)
        told = found["result"]
        told["history"] = tuple(Epoch(*row) for row in told["history"])
        return found["modules"], SVIResult(**{**told, "notes": tuple(told["notes"])})

    def keeper(self, number: int, *, from_start: bool) -> Keep:
        """Return what training is to call between epochs.

        Args:
            number: Which member, from 0.
            from_start: Whether a model that was not trained yet is worth keeping.
        """

        def keep(done: int, run: TrainingRun) -> None:
            if self.every and done % self.every == 0 and (done > 0 or from_start):
                value = {"member": number, "state": training_state(run)}
                self._write(self.folder / CHECKPOINT, value)

        return keep

    def finish(
        self, number: int, modules: Sequence[Mapping[str, Tensor]], ended: SVIResult
    ) -> None:
        """Keep what the training of a member came to.

        Args:
            number: Which member, from 0.
            modules: All tensors that it changed.
            ended: How it went.
        """
        if not self.every:
            return
        told = {**asdict(ended), "history": [list(row) for row in ended.history]}
        self._write(self._member(number), {"modules": list(modules), "result": told})

    def copy_to(self, folder: Path) -> None:
        """Copy the checkpoints into a folder.

        Raises:
            OSError: If it cannot be written into.
        """
        for path in [*self.folder.glob(_MEMBERS), self.folder / CHECKPOINT]:
            if path.is_file():
                with whole_file(folder / path.name) as unfinished:
                    shutil.copyfile(path, unfinished)

    def _member(self, number: int) -> Path:
        return self.folder / _MEMBERS.replace("*", str(number + 1))

    def _write(self, path: Path, value: dict[str, Any]) -> None:
        if not is_first():
            return
        try:
            write_checkpoint(path, {"items": self._digest, **value})
        except (OSError, SafetensorError) as error:
            if not self._warned:
                reason = getattr(error, "strerror", None) or error
                self._warn(
                    f"No checkpoint could be written to {self.folder} ({reason}); training goes "
                    "on, and could go on from an earlier one only."
                )
            self._warned = True
