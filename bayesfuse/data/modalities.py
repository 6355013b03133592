"""The modalities of a catalogue: raw cells and features, joined to the table and checked."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.arrays import StoredArray
from bayesfuse.data.catalog_file import ModalitySpec, Setting, split_reference
from bayesfuse.data.feature_checks import feature_problems
from bayesfuse.data.feature_files import FeatureReader
from bayesfuse.data.features import FeatureTable
from bayesfuse.data.findings import Findings, first_few
from bayesfuse.data.raw import RawColumn, RawKind
from bayesfuse.data.raw_reading import ColumnCells
from bayesfuse.data.sequences import Sequences
from bayesfuse.data.tables import (
    TABLE_SUFFIXES,
    Table,
    is_blank,
    open_table,
    table_suffix,
)
from bayesfuse.data.tabular_columns import read_columns
from bayesfuse.errors import CatalogError

AnyArray = NDArray[Any]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
_LOOKED_AT = 100  # cells whose ends tell whether a column names images


@dataclass(frozen=True)
class Modalities:
    """What `ModalityReader` has read.

    Attributes:
        features: The encoded modalities.
        raw: The modalities that have raw cells.
        encoders: The encoders asked for.
        encoder_settings: Their settings.
        feature_encoders: The fingerprint of the encoder that made some features, where known.
    """

    features: FeatureTable
    raw: dict[str, RawColumn]
    encoders: dict[str, str]
    encoder_settings: dict[str, dict[str, Setting]]
    feature_encoders: dict[str, str]


@dataclass
class ModalityReader:
    """Reads modalities for the items of a table.

    Attributes:
        table: The catalogue's table.
        ids: The items' ids.
        id_column: The column that they are from.
        folders: Where relative files are looked for, in this order.
        delimiter: What separates the fields of a CSV.
        findings: Where problems and warnings go.
    """

    table: Table
    ids: NDArray[np.str_]
    id_column: str
    folders: Sequence[Path]
    delimiter: str | None
    findings: Findings

    def read(self, specs: dict[str, ModalitySpec]) -> Modalities:
        """Read and check these modalities.

        Args:
            specs: Modality -> where it is.

        Returns:
            What was read; not to be used if `findings` has problems.
        """
        raw: dict[str, RawColumn] = {}
        arrays: dict[str, StoredArray | Sequences] = {}
        observed: dict[str, NDArray[np.bool_]] = {}
        reader = FeatureReader(self.table, self.ids, self.id_column, self._file, self.findings)
        for name, spec in specs.items():
            with self.findings.gathering():
                if spec.column is not None:
                    raw[name] = self._raw(name, spec.column, spec)
                elif spec.columns is not None:
                    rows = read_columns(
                        name, self.table, spec.columns, spec.categories, self.findings
                    )
                    raw |= {} if rows is None else {name: rows}
            with self.findings.gathering():
                if spec.features is not None:
                    arrays[name], mask = reader.read(name, spec.features, spec.observed)
                    if arrays[name].shape[:1] == mask.shape == self.ids.shape:
                        observed[name] = mask & raw[name].observed if name in raw else mask
            if spec.observed is not None and spec.features is None:
                self.findings.problem(
                    f"modalities.{name}: observed is for features; an empty cell marks a missing "
                    "raw one."
                )
        for message in feature_problems(arrays, observed, num_items=len(self.ids), ids=self.ids):
            self.findings.problem(message)
        features = FeatureTable.empty(len(self.ids))
        if arrays and not self.findings.problems:
            features = FeatureTable.unchecked(arrays, observed)
        encoders = {name: spec.encoder for name, spec in specs.items() if spec.encoder is not None}
        settings = {name: spec.settings for name, spec in specs.items() if spec.settings}
        return Modalities(features, raw, encoders, settings, reader.encoders)

    def _file(self, name: str) -> Path:
        places = [folder / name for folder in self.folders]
        return next((place for place in places if os.path.exists(place)), places[0])

    def _raw(self, name: str, column: str, spec: ModalitySpec) -> RawColumn:
        reference = None if column in self.table.names else split_reference(column, TABLE_SUFFIXES)
        if reference is None:
            self.table.require(column, f"modalities.{name}")
            return self._column(name, self.table, column, spec, None)
        file, member = reference
        path = self._file(file)
        if member is None:
            raise CatalogError(
                path, [f'modalities.{name}: name the column too, as "{file}:COLUMN".']
            )
        # A delimiter is said of the catalogue's table; another kind of file has none.
        is_csv = table_suffix(path) in (".csv", ".tsv")
        other = open_table(path, self.delimiter if is_csv else None)
        other.require(self.id_column, f"modalities.{name}, the id to join on")
        other.require(member, f"modalities.{name}")
        return self._column(name, other, member, spec, self._joined(name, other))

    def _joined(self, name: str, other: Table) -> NDArray[np.int64]:
        """Return each item's row in another table, -1 where it has none."""
        there = [str(cell) for cell in other.column(self.id_column) if not is_blank(cell)]
        if len(there) < other.num_rows:
            raise CatalogError(
                other.path,
                [
                    f'{other.path}: {other.num_rows - len(there)} rows have no "{self.id_column}"; '
                    "each row needs one to be joined by."
                ],
            )
        repeated = [id_ for id_, count in Counter(there).items() if count > 1]
        if repeated:
            raise CatalogError(
                other.path,
                [
                    f"{other.path}: {len(repeated)} ids come more than once ({first_few(repeated)})"
                    "; keep one row an item."
                ],
            )
        row_of = {id_: row for row, id_ in enumerate(there)}
        order = np.array([row_of.get(id_, -1) for id_ in self.ids.tolist()], dtype=np.int64)
        absent = self.ids[order < 0]
        if len(absent) == len(self.ids):
            raise CatalogError(
                other.path,
                [
                    f"{other.path}: not one id of {self.table.path} is in its column "
                    f'"{self.id_column}" (which has {first_few(there) or "none"}).'
                ],
            )
        if len(absent):
            self.findings.warn(
                f"{name}: {len(absent)} of {len(self.ids)} ids are not in {other.path} "
                f"({first_few(absent.tolist())}); these items have no {name}."
            )
        return order

    def _column(
        self, name: str, table: Table, column: str, spec: ModalitySpec, order: AnyArray | None
    ) -> RawColumn:
        present = ~table.missing(column)
        kind = self._kind(name, table, column, spec)
        folder = table.path.resolve().parent if kind == "path" else None
        observed = present if order is None else (order >= 0) & present[order]
        raw = RawColumn(name, kind, observed, ColumnCells(table, column, folder), order=order)
        if kind == "path" and spec.features is None:
            self._require_one_file(raw, folder)
        return raw

    def _require_one_file(self, raw: RawColumn, folder: Path | None) -> None:
        """Find the mistake of a wrong folder; of single files that are missing, encoders tell."""
        first, count = "", 0
        for path in (cell for _, cells in raw.stream() for cell in cells):
            if isinstance(path, str):
                if os.path.isfile(path):
                    return
                first, count = first or path, count + 1
        if count > 1:
            self.findings.problem(
                f"{raw.name}: not one of the {count:,} image files is there (first: "
                f"{first}). Paths are relative to {folder}; leave the cell empty where an item "
                "has none."
            )

    def _kind(self, name: str, table: Table, column: str, spec: ModalitySpec) -> RawKind:
        if table.is_binary(column):
            if spec.kind == "text":
                raise CatalogError(
                    table.path, [f'{name}: kind is "text", but column "{column}" holds bytes.']
                )
            return "bytes"
        cells = (cell for cell in table.cells(column) if not is_blank(cell))
        first: list[str] = []
        odd = None
        for cell in cells:
            if not isinstance(cell, str):
                odd = cell
                break
            if len(first) < _LOOKED_AT:
                first.append(cell)
        if odd is not None:
            raise CatalogError(
                table.path,
                [
                    f'{name}: column "{column}" of {table.path} holds {type(odd).__name__} '
                    f"({str(odd)[:40]}); raw cells are text, image bytes or paths of images. "
                    f'Numbers go into a modality of columns: columns = ["{column}"], or --tabular.'
                ],
            )
        kind = spec.kind or (name if name in ("text", "image") else None)
        if kind is None:
            looks = all(cell.lower().endswith(IMAGE_SUFFIXES) for cell in first)
            kind = "image" if first and looks else "text"
        return "path" if kind == "image" else "text"
