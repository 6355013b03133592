"""The columns that say what an item is: its id, its split and its labels."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.findings import Findings, first_few
from bayesfuse.data.table_columns import Cell
from bayesfuse.data.tables import is_blank
from bayesfuse.errors import did_you_mean

SPLITS = ("train", "val", "test")
_ALIASES = {"validation": "val", "valid": "val", "dev": "val", "training": "train"}
_ALIASES |= {"testing": "test"}
_WARNINGS_SHOWN = 20


@dataclass(frozen=True)
class Labels:
    """Labels of items.

    Attributes:
        names: The labels, in the order of the columns of `values`.
        values: 0 or 1, `items x labels`, float32.
        labelled: Whether an item's labels are known, `items`.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]
    labelled: NDArray[np.bool_]


def read_ids(cells: Sequence[Cell], column: str, findings: Findings) -> NDArray[np.str_]:
    """Read ids as text; null and repeated ids are problems.

    Args:
        cells: The column's cells, text or whole numbers.
        column: Its name.
        findings: Where problems go.

    Returns:
        The ids, `items`.
    """
    blank = [row for row, cell in enumerate(cells) if is_blank(cell)]
    if blank:
        findings.problem(
            f'id column "{column}": {len(blank)} of {len(cells)} ids are empty (rows '
            f"{first_few(blank)}, counted from 0); every item needs an id."
        )
    odd = [row for row, cell in enumerate(cells) if not is_blank(cell) and not _is_id(cell)]
    if odd:
        findings.problem(
            f'id column "{column}": row {odd[0]} holds {cells[odd[0]]!r}; expected text or a whole '
            "number."
        )
    ids = [str(cell) for cell in cells]
    found = np.array(ids, dtype=np.str_)
    if len(np.unique(found)) == len(found):
        return found
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    repeated = [name for name in repeated if not is_blank(name) and name != "None"]
    if repeated:
        wanted = set(repeated[:3])
        rows: dict[str, list[int]] = {name: [] for name in repeated[:3]}
        for row, name in enumerate(ids):
            if name in wanted:
                rows[name].append(row)
        shown = [f'"{name}" in rows {first_few(where)}' for name, where in rows.items()]
        shown += [""] * (len(repeated) - len(shown))
        findings.problem(
            f'id column "{column}": {len(repeated)} ids come more than once ({first_few(shown)}; '
            "rows are counted from 0). Keep one row an item."
        )
    return found


def read_split(cells: Sequence[Cell], column: str, findings: Findings) -> NDArray[np.str_]:
    """Read the split of each item; `validation`, `valid`, `dev` and the like are understood.

    Args:
        cells: The column's cells.
        column: Its name.
        findings: Where problems and warnings go.

    Returns:
        `train`, `val` or `test`, `items`.
    """
    renamed: dict[str, str] = {}
    unknown: Counter[str] = Counter()
    split = []
    for cell in cells:
        given = "" if is_blank(cell) else str(cell)
        name = given.strip().lower()
        name = _ALIASES.get(name, name)
        if name not in SPLITS:
            unknown[given] += 1
        elif name != given:
            renamed[given] = name
        split.append(name)
    if unknown:
        shown = [f'"{name}" in {count} rows' for name, count in unknown.most_common()]
        hint = did_you_mean(next(iter(unknown)), SPLITS)
        findings.problem(
            f'split column "{column}": {first_few(shown)}; expected train, val or test.{hint}'
        )
    for given, name in renamed.items():
        findings.warn(f'split column "{column}": "{given}" is read as {name}.')
    return np.array(split, dtype=np.str_)


def hashed_split(ids: NDArray[np.str_], seed: int) -> NDArray[np.str_]:
    """Draw train, val or test (80, 10, 10 in 100) for each id.

    The draw depends on the id and the seed alone, so that it stays when rows are added or moved.

    Args:
        ids: The ids, `items`.
        seed: Another seed, another split.

    Returns:
        `train`, `val` or `test`, `items`.

    Example:
        >>> hashed_split(np.array(["a", "b"]), 0).tolist() == [
        ...     hashed_split(np.array([i]), 0).item() for i in ("a", "b")
        ... ]
        True
    """
    split = []
    for name in ids.tolist():
        digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
        place = int.from_bytes(digest, "big") / 2**64
        split.append("train" if place < 0.8 else "val" if place < 0.9 else "test")
    return np.array(split, dtype="<U5")


def make_labels(
    lists: Sequence[Sequence[str] | None],
    *,
    label_set: Sequence[str] | None,
    empty_means_none: bool,
    findings: Findings,
) -> Labels:
    """Make the label matrix.

    Args:
        lists: Labels an item; None where they are unknown.
        label_set: The labels, in order; all that occur, sorted, if not given.
        empty_means_none: Whether an empty list means that no label holds, rather than unknown.
        findings: Where problems and warnings go.

    Returns:
        The labels.
    """
    known = [row is not None and (empty_means_none or len(row) > 0) for row in lists]
    found = Counter(name for row in lists for name in set(row or ()))
    names = tuple(sorted(found)) if label_set is None else tuple(label_set)
    column = {name: i for i, name in enumerate(names)}
    outside = [name for name in found if name not in column]
    if outside:
        shown = [f'"{name}" ({found[name]} items)' for name in outside]
        findings.problem(
            f"labels: {len(outside)} outside the label set: {first_few(shown)}; add them to "
            f"label_set or mend them.{did_you_mean(outside[0], names)}"
        )
    values = np.zeros((len(lists), len(names)), dtype=np.float32)
    num_repeated = 0
    for i, row in enumerate(lists):
        num_repeated += len(set(row or ())) < len(row or ())
        for name in row or ():
            if name in column:
                values[i, column[name]] = 1.0
    if num_repeated:
        findings.warn(f"labels: {num_repeated} items name a label twice; it counts once.")
    return Labels(names, values, np.array(known, dtype=np.bool_))


def check_labels(labels: Labels, split: NDArray[np.str_], findings: Findings) -> None:
    """Check that there is something to learn from and to choose a model by.

    Args:
        labels: The labels.
        split: `train`, `val` or `test`, `items`.
        findings: Where problems and warnings go.
    """
    for name in ("train", "val"):
        rows = split == name
        if not rows.any():
            findings.problem(
                f"split: no item is in {name}; fitting needs train to learn from and val to choose "
                "by. The split column is --split (in catalog.toml: split)."
            )
        elif not labels.labelled[rows].any():
            findings.problem(
                f"labels: none of the {int(rows.sum())} items of {name} has labels; fitting needs "
                "some in train and in val."
            )
    train = labels.values[(split == "train") & labels.labelled]
    if not len(train):
        return
    absent = [
        name for name, count in zip(labels.names, train.sum(axis=0), strict=True) if not count
    ]
    for name in absent[:_WARNINGS_SHOWN]:
        findings.warn(
            f"label '{name}' has no positive among {len(train)} train items: its base rate is "
            "predicted."
        )
    if len(absent) > _WARNINGS_SHOWN:
        findings.warn(
            f"{len(absent) - _WARNINGS_SHOWN} more of {len(labels.names)} labels have no positive "
            "in train; is this the column of labels?"
        )


def _is_id(cell: Cell) -> bool:
    return isinstance(cell, str) or (isinstance(cell, int) and not isinstance(cell, bool))
