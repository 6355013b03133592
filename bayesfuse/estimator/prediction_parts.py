"""Predictions as a folder of Parquet files, made by several processes, or by one that may stop.

    predictions.parquet/
      _plan.json                      of which items, run and draws the parts are
      part-00000-of-00004.parquet     some of the items; there only once it is whole
      _common_metadata                the schema of all parts; there once all of them are

Readers of Parquet take the folder for one table, and leave out what starts with `_` or a dot.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from bayesfuse.errors import ConfigError, UserError, write_error
from bayesfuse.estimator.predictions import SCHEMA, write_predictions
from bayesfuse.inference.distributed import (
    barrier,
    from_first,
    is_first,
    part_of,
    processes,
    sum_,
)
from bayesfuse.inference.predictive import LANES

PLAN, WHOLE = "_plan.json", "_common_metadata"

FORMAT = 1
"""Of the plan."""


@dataclass(frozen=True)
class PredictionParts:
    """A folder of predictions that is being made.

    Attributes:
        folder: The folder.
        count: Its parts.
        num_items: Items of all parts.
        metadata: Kept in the schema of each part.
    """

    folder: Path
    count: int
    num_items: int
    metadata: dict[str, Any]

    def path(self, part: int) -> Path:
        """Return the file of a part."""
        return self.folder / f"part-{part:05}-of-{self.count:05}.parquet"

    def items(self, part: int) -> slice:
        """Return which items are in a part."""
        return part_of(self.num_items, part, self.count, LANES)

    @property
    def mine(self) -> list[int]:
        """The parts that this process has to make: its share of those that are missing."""
        own = processes()
        lacking = [part for part in range(self.count) if not self.path(part).exists()]
        return [part for part in lacking if part % own.size == own.rank]

    @property
    def num_mine(self) -> int:
        """How many items are in them."""
        return sum(self.items(part).stop - self.items(part).start for part in self.mine)

    def write(
        self,
        predicted: Callable[[slice], Iterator[pa.Table]],
        on_rows: Callable[[int], None] | None = None,
    ) -> int:
        """Write what is missing; return the rows of all parts, once all processes are done.

        Args:
            predicted: Yields the predictions of some of the items.
            on_rows: Called with the rows that this process has written so far.

        Raises:
            StorageError: If the disk is full; the parts that are whole stay.
        """
        done = 0
        for part in self.mine:
            before = done

            def tell(rows: int, before: int = before) -> None:
                if on_rows is not None:
                    on_rows(before + rows)

            tables = predicted(self.items(part))
            done += write_predictions(tables, self.path(part), self.metadata, tell)
        barrier()
        if is_first():
            self._finish()
        own = [pq.read_metadata(self.path(part)).num_rows for part in self._shared_out()]
        return int(sum_(torch.tensor(sum(own), dtype=torch.int64)))

    def _shared_out(self) -> range:
        """Return the parts that this process looks at when all are there."""
        return range(processes().rank, self.count, processes().size)

    def _finish(self) -> None:
        schema = SCHEMA.with_metadata({"bayesfuse": json.dumps(self.metadata)})
        try:
            pq.write_metadata(schema, self.folder / WHOLE)
            for path in self.folder.glob(".part-*.partial"):  # of a process that was killed
                path.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(self.folder, error, "Make room and run the command again.") from error


def wants_parts(parts: int | None) -> bool:
    """Return whether predictions go to a folder: if asked for, or with several processes."""
    return parts is not None or processes().size > 1


def check_parts(out: Path, explain: Path | None) -> None:
    """Raise if the options do not go with parts.

    Raises:
        ConfigError: If the parts would be CSV, or neighbours are to be told of, too.
    """
    if explain is not None:
        raise ConfigError(
            "--explain: for one process that makes one file. Leave it out, or --parts and torchrun."
        )
    if out.suffix.lower() == ".csv":
        raise ConfigError(f"--out {out}: parts are Parquet; choose another name for their folder.")


def prediction_parts(
    folder: Path, count: int | None, ids: NDArray[Any], run: Path, metadata: dict[str, Any]
) -> PredictionParts:
    """Begin a folder of predictions, or go on with one that is not whole.

    Args:
        folder: The folder.
        count: How many parts; those of the folder that is there if None, else one a process.
        ids: Of the items, in order.
        run: The run folder.
        metadata: Draws, seed, and whatever else the numbers depend on.

    Raises:
        UserError: If the folder is whole, or holds something else.
        StorageError: If it cannot be made.
    """
    about = {"items": _digest(ids), "run": _digest_of_file(run / "model.safetensors"), **metadata}
    plan: dict[str, Any] = {"format": FORMAT, "parts": count, "num_items": len(ids), "about": about}
    problem = None
    if is_first():
        try:
            plan = _begun(folder, json.loads(json.dumps(plan)))
        except UserError as error:
            problem = str(error)
    # all end with the reason, and none waits for one that has ended
    problem, plan = from_first((problem, plan))
    if problem is not None:
        raise UserError(problem)
    return PredictionParts(folder, int(plan["parts"]), len(ids), metadata)


def _begun(folder: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """Return the plan by which a folder is made, which is in it from now on."""
    path = folder / PLAN
    if not os.path.lexists(folder):
        plan["parts"] = plan["parts"] or processes().size
        unfinished = folder / f".{PLAN}.{os.getpid()}.tmp"
        try:
            folder.mkdir(parents=True)
            unfinished.write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
            unfinished.rename(path)
        except OSError as error:
            raise write_error(folder, error, "Make room or choose another --out.") from error
        return plan
    if not path.is_file() or (folder / WHOLE).exists():
        raise UserError(f"{folder} exists already and is left as it is. Choose another --out.")
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        same = all(found[name] == plan[name] for name in ("format", "num_items", "about"))
        same = same and plan["parts"] in (None, found["parts"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} cannot be read ({error!r}). Choose another --out.") from None
    if not same:
        raise UserError(
            f"{folder} holds parts of other predictions (another run, other items, draws or "
            "numbers of parts). Give the same options as before, or choose another --out."
        )
    return found


def _digest(ids: NDArray[Any]) -> str:
    found = hashlib.sha256()
    for some in ids:
        found.update(f"{some}\0".encode())
    return found.hexdigest()


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = ["PredictionParts", "check_parts", "prediction_parts", "wants_parts"]
