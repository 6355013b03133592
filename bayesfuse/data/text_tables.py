"""CSV and JSON lines: tables that are text, where most mistakes are made before reading begins."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import json
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from bayesfuse.errors import CatalogError

Cell = object  # str, bytes, a number, a list, or None where there is nothing

DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
COMPRESSED = (".gz", ".bz2", ".xz")
_CANDIDATES = (",", ";", "\t", "|")


def read_csv(
    path: Path, delimiter: str | None, default: str
) -> tuple[tuple[str, ...], dict[str, list[Cell]]]:
    """Read a CSV with a header; every cell is text, exactly as written.

    Args:
        path: The file, UTF-8, possibly compressed.
        delimiter: What separates the fields, `tab` for a tab; `default` if not given.
        default: The delimiter that the file's name stands for.

    Returns:
        The columns' names, and each column's cells.

    Raises:
        CatalogError: If the delimiter looks wrong, a row has too few or too many fields, a column
            is named twice, or the file is not UTF-8 or is damaged.
    """
    used = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter) if delimiter else default
    if len(used) != 1:
        raise CatalogError(path, [f'{path}: the delimiter is one character; got "{delimiter}".'])
    with _text(path) as file, _long_cells():
        rows, problem = _rows(path, file, used, chosen=delimiter is not None)
    if problem:
        raise CatalogError(path, [problem])
    names = tuple(rows[0])
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CatalogError(
            path, [f"{path}: columns named twice: {', '.join(map(repr, twice))}; rename them."]
        )
    return names, {name: [row[i] for row in rows[1:]] for i, name in enumerate(names)}


def read_json_lines(path: Path) -> tuple[tuple[str, ...], dict[str, list[Cell]]]:
    """Read JSON lines: one object a line; a key that a line leaves out is null there.

    Args:
        path: The file, UTF-8, possibly compressed.

    Returns:
        The columns' names, in order of appearance, and each column's cells.

    Raises:
        CatalogError: If a line is not a JSON object, or the file is not UTF-8 or is damaged.
    """
    rows: list[dict[str, Cell]] = []
    with _text(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise CatalogError(
                    path,
                    [f"{path}, line {number}: not JSON ({error.msg}); expected one object a line."],
                ) from error
            if not isinstance(row, dict):
                raise CatalogError(
                    path,
                    [
                        f"{path}, line {number}: a JSON {type(row).__name__}; expected one object "
                        'a line, such as {"id": "a", "genres": ["Drama"]}.'
                    ],
                )
            rows.append(row)
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    return names, {name: [row.get(name) for row in rows] for name in names}


def likely_delimiter(header: str, used: str, *, chosen: bool) -> str | None:
    """Return the delimiter that a CSV's first line speaks for, if it is another than `used`.

    Args:
        header: The first line.
        used: The delimiter in use.
        chosen: Whether the user chose it; then only a header of one column is doubted.

    Returns:
        One of `,`, `;`, a tab and `|`, or None where `used` fits.

    Example:
        >>> likely_delimiter("id;title, year;genres", ",", chosen=False)
        ';'
    """
    counts = {
        candidate: len(next(csv.reader([header], delimiter=candidate), []))
        for candidate in dict.fromkeys((used, *_CANDIDATES))
    }
    best = max(counts, key=lambda candidate: counts[candidate])
    if counts[best] <= counts[used] or (chosen and counts[used] > 1):
        return None
    return best


def _rows(
    path: Path, file: TextIO, used: str, *, chosen: bool
) -> tuple[list[list[str]], str | None]:
    first = file.readline()
    if not first.strip():
        return [], f"{path}: the table is empty; expected a header and rows."
    likely = likely_delimiter(first.rstrip("\r\n"), used, chosen=chosen)
    if likely is not None:
        shown = _shown(likely)
        return [], (
            f"{path}: its header does not come apart at '{_shown(used)}'; it looks like '{shown}'. "
            f"--delimiter '{shown}' reads it (in catalog.toml: delimiter = \"{shown}\")."
        )
    reader = csv.reader(itertools.chain([first], file), delimiter=used, strict=True)
    rows: list[list[str]] = []
    uneven: list[tuple[int, int]] = []
    try:
        for row in reader:
            if rows and row and len(row) != len(rows[0]):
                uneven.append((reader.line_num, len(row)))
            if row:
                rows.append(row)
    except csv.Error as error:
        return [], (
            f"{path}, line {reader.line_num}: does not parse as a CSV ({error}). Quote cells that "
            "hold the delimiter, a quote or a line break, and double a quote within them."
        )
    if uneven:
        line, got = uneven[0]
        return [], (
            f"{path}: {len(uneven)} of {len(rows) - 1} rows have another number of fields than the "
            f"header's {len(rows[0])} (first: line {line}, {got}). Quote cells that hold the "
            f"delimiter '{_shown(used)}' or a line break."
        )
    return rows, None


def _shown(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else delimiter


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let a cell be longer than the csv module's 128 KiB, and put its limit back."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    """Open a file as UTF-8, with or without a byte-order mark."""
    try:
        with _binary(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
            yield text
    except UnicodeDecodeError as error:
        raise CatalogError(path, [_not_utf8(path)]) from error
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise CatalogError(path, [f"{path}: truncated or damaged ({error})."]) from error


def _binary(path: Path) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | io.BufferedReader:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return gzip.open(path)
    if suffix == ".bz2":
        return bz2.open(path)
    if suffix == ".xz":
        return lzma.open(path)
    return path.open("rb")


def _not_utf8(path: Path) -> str:
    with _binary(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return (
                    f"{path}, line {number}: byte 0x{line[error.start]:02x} is not UTF-8. Save the "
                    f"table as UTF-8; from Latin-1: iconv -f latin1 -t utf-8 {path.name} > new.csv"
                )
    return f"{path}: not UTF-8."
