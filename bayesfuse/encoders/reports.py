"""What became of cells that are empty, broken or odd: counted, and listed in a file."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.whole_files import whole_file
from bayesfuse.errors import CatalogError, FeatureError, write_error

FILE_NAME = "encode_report.csv"
EMPTY = "no cell, or an empty one"


@dataclass(frozen=True)
class Case:
    """A cell that needs a word.

    Attributes:
        row: The item's row in the catalogue.
        outcome: `unobserved`: it has no features; `remark`: it has, but see the reason.
        reason: Why; the same words for the same case.
    """

    row: int
    outcome: Literal["unobserved", "remark"]
    reason: str


def count_cases(cases: Sequence[Case]) -> list[tuple[str, str, int]]:
    """Return (outcome, reason, number of cells), unobserved ones first, the most frequent first.

    Example:
        >>> count_cases([Case(3, "remark", "cut"), Case(4, "unobserved", EMPTY)])
        [('unobserved', 'no cell, or an empty one', 1), ('remark', 'cut', 1)]
    """
    counts = Counter((case.outcome, case.reason) for case in cases)
    ordered = sorted(counts.items(), key=lambda item: (item[0][0] == "remark", -item[1], item[0]))
    return [(outcome, reason, count) for (outcome, reason), count in ordered]


def write_report(folder: Path, ids: Sequence[str], cases: Mapping[str, Sequence[Case]]) -> Path:
    """Write `encode_report.csv`: a row a case, `id, modality, outcome, reason`.

    Args:
        folder: A folder that exists.
        ids: Ids, `items`.
        cases: Modality to its cases.

    Raises:
        StorageError: If it cannot be written; an earlier report stays.
    """
    path = folder / FILE_NAME
    try:
        with (
            whole_file(path) as unfinished,
            unfinished.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["id", "modality", "outcome", "reason"])
            for modality, found in cases.items():
                writer.writerows(
                    [ids[case.row], modality, case.outcome, case.reason] for case in found
                )
    except OSError as error:
        raise write_error(path, error, "Make room, or choose another folder.") from error
    return path


def tell_cases(
    modality: str, ids: NDArray[np.str_], cases: Sequence[Case], total: int
) -> list[str]:
    """Return what the user should know of a modality's cases, a sentence each.

    Cells that are empty are what a catalogue may have; they are in the report only.

    Raises:
        FeatureError: If there are cells, and not one can be encoded.
    """
    lost = [case for case in cases if case.outcome == "unobserved" and case.reason != EMPTY]
    num_empty = sum(case.reason == EMPTY for case in cases)
    found = []
    if lost:
        first = f"first: item {ids[lost[0].row]}, {lost[0].reason}"
        if len(lost) + num_empty == total:
            raise FeatureError(
                f"{modality}: not one of the {len(lost):,} cells can be encoded ({first})."
            )
        reasons = [f"{count:,}: {reason}" for _, reason, count in count_cases(lost)]
        found.append(
            f"{modality}: {len(lost):,} of {total:,} cells cannot be encoded and count as missing "
            f"({'; '.join([*reasons, first])})."
        )
    remarks = [case for case in cases if case.outcome == "remark"]
    found += [
        f"{modality}: {count:,} of {total:,} cells: {reason}."
        for _, reason, count in count_cases(remarks)
    ]
    return found


def refuse_cases(
    source: str,
    ids: NDArray[np.str_],
    cases: Mapping[str, Sequence[Case]],
    report: Path | None,
) -> None:
    """Raise if a cell has no features.

    Raises:
        CatalogError: With each reason, how many cells it holds for and which is the first.
    """
    problems = []
    for modality, found in cases.items():
        lost = [case for case in found if case.outcome == "unobserved"]
        for _, reason, count in count_cases(lost):
            first = next(case for case in lost if case.reason == reason)
            problems.append(
                f"{modality}: {count:,} cells: {reason} (first: item {ids[first.row]})."
            )
    if problems:
        listed = f" All are listed in {report}." if report is not None else ""
        problems[-1] += f"{listed} Mend them, or leave --strict out to have them count as missing."
        raise CatalogError(source, problems)
