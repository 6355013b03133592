"""What labels weigh in training: a kind of weights by name, or a number a label."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bayesfuse.errors import unknown_option

CLASS_WEIGHTS = ("balanced", "effective", "frequency", "inverse", "none", "positive")
COLUMNS = ["label", "weight"]


def weights_of(value: Any) -> Any:
    """Read a name in `CLASS_WEIGHTS`, `LABEL=WEIGHT,...`, a CSV of `label,weight`, or a mapping.

    What a file says is in the settings from then on: they no longer hang on it.

    Example:
        >>> weights_of("Drama=0.5, War=2")
        {'Drama': 0.5, 'War': 2.0}
    """
    if isinstance(value, Mapping):
        pairs = [(str(label), weight) for label, weight in value.items()]
        return _numbers(pairs, "class weights")
    if not isinstance(value, str) or value in CLASS_WEIGHTS:
        return value
    path = Path(value)
    if path.suffix.lower() == ".csv" or path.is_file():
        return _numbers(_rows(path), value)
    parts = [part.rpartition("=") for part in value.split(",")] if "=" in value else []
    if not parts:
        raise ValueError(
            f"{unknown_option('class weights', value, CLASS_WEIGHTS)} Or name a CSV file with the "
            "columns label,weight."
        )
    return _numbers([(label.strip(), weight) for label, _, weight in parts], "class weights")


def _rows(path: Path) -> list[tuple[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"cannot read {path}: {reason}. Expected a CSV with the columns label,weight."
        ) from None
    if not rows or [name.strip() for name in rows[0]] != COLUMNS:
        got = ",".join(rows[0]) if rows else "nothing"
        raise ValueError(f"{path} begins with {got!r}; expected the columns label,weight.")
    wrong = [number for number, row in enumerate(rows, start=1) if len(row) != len(COLUMNS)]
    if wrong:
        raise ValueError(f"{path}: row {wrong[0]} has not two cells; expected label,weight.")
    return [(label.strip(), weight) for label, weight in rows[1:]]


def _numbers(pairs: list[tuple[str, Any]], source: str) -> dict[str, float]:
    """Return the weights by label, all mistakes told at once."""
    found: dict[str, float] = {}
    problems = []
    for label, weight in pairs:
        try:
            number = float(weight)
        except (TypeError, ValueError):
            number = math.nan
        if not 0 < number < math.inf:
            problems.append(f"the weight of {label!r} is {weight!r}, expected a number > 0")
        if label in found:
            problems.append(f"{label!r} comes twice")
        found[label] = number
    if not pairs:
        problems.append("there is no label in it")
    if problems:
        raise ValueError(f"{source}: {'; '.join(problems)}.")
    return found


ClassWeighting = Annotated[
    str | dict[str, Annotated[float, Field(gt=0)]], BeforeValidator(weights_of)
]
