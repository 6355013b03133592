"""CSV and JSON lines: tables that are text, where most mistakes are made before reading begins."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import itertools
import json
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from bayesfuse.config.parsing import parse_json
from bayesfuse.data.spooled_columns import Spool
from bayesfuse.data.table_columns import Cell, Columns
from bayesfuse.errors import CatalogError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
COMPRESSED = (".gz", ".bz2", ".xz")
_CANDIDATES = (",", ";", "\t", "|")

MOST_CHARACTERS = 1 << 28
"""Of a cell, and of a line of it: beyond that a quote is not closed, or the file is no table."""

MOST_UNPACKED = 1 << 30
MOST_RATIO = 200
"""A compressed table of more bytes than the former is no more than so many times its file's size:
real texts come to 3 to 20 times, and a decompression bomb to a thousand and more."""


@dataclass(frozen=True)
class TextTable:
    """A table of text that has been read and found whole.

    Attributes:
        names: The columns' names.
        num_rows: The number of rows, the header not counted.
        columns: The cells.
    """

    names: tuple[str, ...]
    num_rows: int
    columns: Columns


def read_csv(path: Path, delimiter: str | None, default: str) -> TextTable:
    """Read a CSV with a header; every cell is text, exactly as written.

    Args:
        path: The file, UTF-8, possibly compressed.
        delimiter: What separates the fields, `tab` for a tab; `default` if not given.
        default: The delimiter that the file's name stands for.

    Returns:
        The table; a bounded part of it is in memory.

    Raises:
        CatalogError: If the delimiter looks wrong, a row has too few or too many fields, a column
            is named twice, or the file is not UTF-8 or is damaged.
    """
    used = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter) if delimiter else default
    if len(used) != 1:
        raise CatalogError(path, [f'{path}: the delimiter is one character; got "{delimiter}".'])
    with _text(path) as file, _long_cells():
        lines = _lines(path, file, used, chosen=delimiter is not None)
        return _read_rows(path, lines, used)


def read_json_lines(path: Path) -> TextTable:
    """Read JSON lines: one object a line; a key that a line leaves out is null there.

    Args:
        path: The file, UTF-8, possibly compressed.

    Returns:
        The table, its columns in order of appearance; a bounded part of it is in memory.

    Raises:
        CatalogError: If a line is not a JSON object, or the file is not UTF-8 or is damaged.
    """
    # The last line may name a new column, so that cells are kept on a second reading only.
    names = tuple(dict.fromkeys(name for row in _objects(path) for name in row))
    spool = Spool(path, names)
    for row in _objects(path):
        if not row.keys() <= set(names):
            raise CatalogError(path, [f"{path}: changed while it was read."])
        cells = [row.get(name) for name in names]
        spool.append([None if cell is None else json.dumps(cell) for cell in cells])
    return TextTable(names, spool.num_rows, spool.columns(json.loads))


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


def _lines(path: Path, file: TextIO, used: str, *, chosen: bool) -> Iterator[str]:
    """Return the lines of a CSV, once its header speaks for the delimiter."""
    rest = _bounded(path, file)
    first = next(rest, "")
    if not first.strip():
        raise CatalogError(path, [f"{path}: the table is empty; expected a header and rows."])
    likely = likely_delimiter(first.rstrip("\r\n"), used, chosen=chosen)
    if likely is not None:
        shown = _shown(likely)
        raise CatalogError(
            path,
            [
                f"{path}: its header does not come apart at '{_shown(used)}'; it looks like "
                f"'{shown}'. --delimiter '{shown}' reads it (in catalog.toml: "
                f'delimiter = "{shown}").'
            ],
        )
    return itertools.chain([first], rest)


def _bounded(path: Path, file: TextIO) -> Iterator[str]:
    """Go through the lines of a file, none of which is longer than a cell may be."""
    for number, line in enumerate(iter(partial(file.readline, MOST_CHARACTERS), ""), start=1):
        if len(line) >= MOST_CHARACTERS:
            raise CatalogError(
                path,
                [
                    f"{path}, line {number}: longer than {MOST_CHARACTERS:,} characters; expected "
                    "a table, one row a line. Is it another kind of file?"
                ],
            )
        yield line


def _read_rows(path: Path, lines: Iterator[str], used: str) -> TextTable:
    reader = csv.reader(lines, delimiter=used, strict=True)
    names: tuple[str, ...] = ()
    num_uneven, first_uneven = 0, ""
    try:
        names = tuple(next(reader))
        spool = Spool(path, names)
        for row in reader:
            if len(row) == len(names):
                spool.append(row)
            elif row:
                num_uneven += 1
                first_uneven = first_uneven or f"line {reader.line_num}, {len(row)}"
    except csv.Error as error:
        raise CatalogError(
            path,
            [
                f"{path}, line {reader.line_num}: does not parse as a CSV ({error}). Quote cells "
                "that hold the delimiter, a quote or a line break, and double a quote within them."
            ],
        ) from error
    if num_uneven:
        raise CatalogError(
            path,
            [
                f"{path}: {num_uneven} of {num_uneven + spool.num_rows} rows have another number "
                f"of fields than the header's {len(names)} (first: {first_uneven}). Quote cells "
                f"that hold the delimiter '{_shown(used)}' or a line break."
            ],
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CatalogError(
            path, [f"{path}: columns named twice: {', '.join(map(repr, twice))}; rename them."]
        )
    return TextTable(names, spool.num_rows, spool.columns())


def _objects(path: Path) -> Iterator[dict[str, Cell]]:
    with _text(path) as file:
        for number, line in enumerate(_bounded(path, file), start=1):
            if not line.strip():
                continue
            try:
                row = parse_json(line)
            except ValueError as error:
                reason = getattr(error, "msg", None) or error
                raise CatalogError(
                    path,
                    [f"{path}, line {number}: not JSON ({reason}); expected one object a line."],
                ) from error
            if not isinstance(row, dict):
                raise CatalogError(
                    path,
                    [
                        f"{path}, line {number}: a JSON {type(row).__name__}; expected one object "
                        'a line, such as {"id": "a", "genres": ["Drama"]}.'
                    ],
                )
            yield row


def _shown(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else delimiter


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let a cell be longer than the csv module's 128 KiB, and put its limit back."""
    limit = csv.field_size_limit(MOST_CHARACTERS)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    """Open a file as UTF-8, with or without a byte-order mark."""
    try:
        with (
            _Unpacked(path) as raw,
            io.BufferedReader(raw) as buffered,
            io.TextIOWrapper(buffered, "utf-8-sig", newline="") as text,
        ):
            yield text
    except UnicodeDecodeError as error:
        raise CatalogError(path, [_not_utf8(path)]) from error
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise CatalogError(path, [f"{path}: truncated or damaged ({error})."]) from error


class _Unpacked(io.RawIOBase):
    """The bytes of a file, unpacked if it is compressed, as long as it is no bomb."""

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, _binary(path)
        packed = path.suffix.lower() in COMPRESSED
        self.most = max(MOST_UNPACKED, MOST_RATIO * path.stat().st_size) if packed else sys.maxsize
        self.count = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes.

        Raises:
            CatalogError: If they are more than any table would have.
        """
        count = self.file.readinto(buffer)
        self.count += count
        if self.count > self.most:
            raise CatalogError(
                self.path,
                [
                    f"{self.path}: unpacks to more than {self.most:,} bytes, {MOST_RATIO} times "
                    "its size; no table is packed so well. If it is yours, unpack it first."
                ],
            )
        return count

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        super().close()


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
        mark = file.read(2)
        if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return (
                f"{path}: is UTF-16, as Excel saves it. Save the table as UTF-8: "
                f"iconv -f utf-16 -t utf-8 {path.name} > new.csv"
            )
        file.seek(0)
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return (
                    f"{path}, line {number}: byte 0x{line[error.start]:02x} is not UTF-8. Save the "
                    f"table as UTF-8; from Latin-1: iconv -f latin1 -t utf-8 {path.name} > new.csv"
                )
    return f"{path}: not UTF-8."
