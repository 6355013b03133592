"""Costs of wrong tags and of missed labels, a label at a time, from a CSV or TOML file."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.errors import ConfigError, did_you_mean

KINDS = ("false_positive", "false_negative")
OTHERS = "*"
"""What stands for all labels that are not named."""


def read_costs(
    path: Path, label_names: tuple[str, ...], others: tuple[float, float] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the costs of wrong tags and of missed labels, `labels` each.

    A CSV file has the columns `label`, `false_positive` and `false_negative`; a TOML file a table
    a label, `[Horror]` with `false_positive = 1` and `false_negative = 5`. `*` (in TOML `["*"]`)
    stands for all labels that are not named.

    Args:
        path: The file; TOML if its name ends in `.toml`, else CSV.
        label_names: The labels of the run.
        others: Costs of the labels that the file does not name; None if it has to name them.

    Raises:
        ConfigError: If the file cannot be read or has mistakes, all of which are told; if it names
            a label that the run does not know, or leaves one out.
    """
    problems: list[str] = []
    found: dict[str, tuple[float, float]] = {} if others is None else {OTHERS: others}
    named: set[str] = set()
    for label, costs in _entries(path):
        if label in named:
            problems.append(f'"{label}" comes twice.')
        elif label != OTHERS and label not in label_names:
            problems.append(f'the run knows no label "{label}".{did_you_mean(label, label_names)}')
        named.add(label)
        numbers = [_number(costs.get(kind)) for kind in KINDS]
        unknown = [str(kind) for kind in costs if kind not in KINDS]
        if None in numbers or unknown:
            problems.append(
                f'"{label}" has {", ".join(f"{k}: {v}" for k, v in costs.items()) or "nothing"}; '
                f"expected {' and '.join(KINDS)}, numbers of 0 or more."
            )
            continue
        wrong, missed = (number for number in numbers if number is not None)
        found[label] = (wrong, missed)
    left_out = [name for name in label_names if name not in named and OTHERS not in found]
    if left_out:
        problems.append(
            f"{', '.join(left_out)} left out; name {'it' if len(left_out) == 1 else 'them'}, or "
            f'"{OTHERS}" for all others, or give --false-positive and --false-negative.'
        )
    if problems:
        raise ConfigError("\n".join([f"In the costs {path}:", *(f"  - {p}" for p in problems)]))
    wrong_and_missed = np.array([found.get(name) or found[OTHERS] for name in label_names])
    return wrong_and_missed[:, 0], wrong_and_missed[:, 1]


def _entries(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".toml":
            for label, costs in tomllib.loads(text).items():
                yield label, costs if isinstance(costs, dict) else {"": costs}
            return
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"Cannot read the costs {path}: {getattr(error, 'strerror', None) or error}. Expected "
            f"a TOML file, or a CSV file with the columns label, {', '.join(KINDS)}."
        ) from None
    rows = csv.DictReader(text.splitlines())
    if set(rows.fieldnames or ()) != {"label", *KINDS}:
        raise ConfigError(
            f"The costs {path} have the columns {', '.join(rows.fieldnames or ()) or 'none'}; "
            f"expected label, {', '.join(KINDS)}."
        )
    for row in rows:
        label = row.pop("label")
        yield str(label), row


def _number(value: object) -> float | None:
    """Return a cost; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < np.inf else None
