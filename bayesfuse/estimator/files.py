"""Reading and writing the single files of a run folder, each checked."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from bayesfuse.config.parsing import parse_json
from bayesfuse.errors import RunFolderError
from bayesfuse.inference.history import Epoch, SVIResult

FORMAT = "bayesfuse-run-1"
"""What the metadata of `model.safetensors` call this kind of run folder.

The number goes up when a folder can no longer be read by what read the one before; then those of
the numbers that are still read are listed here, and others are refused with the reason.
"""

_NUMBERED = re.compile("bayesfuse-run-([0-9]{1,9})")


def read_tensors(file: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors of a safetensors file, and what its metadata tell of the model.

    Raises:
        RunFolderError: If it is truncated, no safetensors file, or of another format.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = dict(opened.metadata() or {})
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError) as error:
        raise RunFolderError(
            f"{file} cannot be read ({error}): it is truncated or no safetensors file. Copy it "
            "again from where it was fitted, or fit again."
        ) from None
    if FORMAT not in metadata:
        raise RunFolderError(f"{file} {_other_format(metadata)}")
    try:
        about = parse_json(metadata[FORMAT])
    except ValueError as error:
        about = error
    if not isinstance(about, dict):
        raise RunFolderError(
            f"{file} does not tell of which model it is ({about!r:.80}): it was edited. Copy it "
            "again from where it was fitted, or fit again."
        )
    return tensors, about


def _other_format(metadata: Iterable[str]) -> str:
    """Say of a file whose metadata name no format of ours why it is not read."""
    this = f'this is bayesfuse {version("bayesfuse")}, which reads "{FORMAT}"'
    numbers = [int(found[1]) for name in metadata if (found := _NUMBERED.fullmatch(name))]
    if not numbers:
        return f"has no format of a run ({', '.join(metadata)[:80] or 'none'}); {this}."
    if max(numbers) > int(FORMAT.rpartition("-")[2]):
        return (
            f"has the format bayesfuse-run-{max(numbers)}, of a later version of bayesfuse; {this}."
            " Upgrade bayesfuse, or fit again with this one."
        )
    return (
        f"has the format bayesfuse-run-{max(numbers)}, of an earlier version of bayesfuse; {this}."
        " Load it with the version that wrote it (environment.json tells which), or fit again."
    )


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    """Write an object as JSON; NaN and infinity are refused."""
    file.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(file: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        RunFolderError: If the file cannot be read, or holds something else.
    """
    try:
        value = parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"{file} cannot be read ({error}): it is truncated or was edited. Copy it again from "
            "where it was fitted, or fit again."
        ) from None
    if not isinstance(value, dict):
        raise RunFolderError(f"{file} holds a {type(value).__name__}; expected an object.")
    return value


def write_history(history: tuple[Epoch, ...], file: Path) -> None:
    """Write one row an epoch as CSV; what was not measured is an empty cell.

    The last column, macro F1, is there only if it was measured.
    """
    columns = list(Epoch._fields)
    if all(math.isnan(epoch.val_macro_f1) for epoch in history):
        columns.remove("val_macro_f1")
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for epoch in history:
            row = [getattr(epoch, name) for name in columns]
            writer.writerow(["" if math.isnan(value) else value for value in row])


def read_history(file: Path) -> tuple[Epoch, ...]:
    """Return the epochs of a CSV file.

    Raises:
        ValueError: If its columns are not those of `Epoch`, or a cell is no number.
    """
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    if not rows or tuple(rows[0]) not in {Epoch._fields, Epoch._fields[:-1]}:
        raise ValueError(f"history.csv has the columns {rows[:1]}")
    if any(len(row) != len(rows[0]) for row in rows):
        raise ValueError("a row of history.csv is cut short")
    numbers = [[math.nan if cell == "" else float(cell) for cell in row] for row in rows[1:]]
    return tuple(Epoch(int(row[0]), *row[1:]) for row in numbers)


def write_results(results: Sequence[SVIResult], folder: Path) -> list[dict[str, Any]]:
    """Write the history of each member, and return what `metrics.json` is to tell besides."""
    for number, result in enumerate(results, start=1):
        write_history(result.history, folder / _history_of(number))
    return [
        {"best_epoch": r.best_epoch, "stopped": r.stopped, "annealed": r.annealed} for r in results
    ]


def read_results(folder: Path, metrics: Mapping[str, Any]) -> tuple[SVIResult, ...]:
    """Return how the training of each member went.

    Args:
        folder: A run folder.
        metrics: What its `metrics.json` holds; runs of earlier versions have one member there.

    Raises:
        KeyError, TypeError, ValueError, OSError: If the files do not hold that.
    """
    found = []
    for number, told in enumerate(metrics.get("members") or [metrics], start=1):
        history = read_history(folder / _history_of(number))
        best = int(told["best_epoch"])
        if not 0 <= best < len(history):
            raise ValueError(
                f"{_history_of(number)} has {len(history)} epochs, and epoch {best} is said to be "
                "the best"
            )
        found.append(SVIResult(history, best, str(told["stopped"]), bool(told["annealed"])))
    return tuple(found)


def _history_of(number: int) -> str:
    """Return the file of a member's history; members are counted from 1."""
    return "history.csv" if number == 1 else f"history-{number}.csv"
