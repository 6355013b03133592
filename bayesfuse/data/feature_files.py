"""Files of features: opened, their masks found, and their ids held against the table's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.arrays import (
    ARRAY_SUFFIXES,
    StoredArray,
    member_names,
    open_stored,
    read_array,
)
from bayesfuse.data.catalog_file import split_reference
from bayesfuse.data.findings import Findings
from bayesfuse.data.hdf5 import StoredDataset
from bayesfuse.data.list_columns import read_list_column
from bayesfuse.data.sequences import Ragged, Sequences
from bayesfuse.data.table_columns import Cell
from bayesfuse.data.tables import Table, open_table
from bayesfuse.errors import FeatureError, did_you_mean

AnyArray = NDArray[Any]

FEATURE_SUFFIXES = (*ARRAY_SUFFIXES, ".parquet")


@dataclass
class FeatureReader:
    """Opens features for the items of a table.

    Attributes:
        table: The catalogue's table.
        ids: The items' ids.
        id_column: The column that they are from; a features file may repeat it.
        locate: Finds a file by the name that the user gave.
        findings: Where ids that do not match go, so that the values are still checked.
        encoders: Modality to the fingerprint of its encoder, where `MEMBER_encoder` beside the
            features tells it; filled by `read`.
    """

    table: Table
    ids: NDArray[np.str_]
    id_column: str
    locate: Callable[[str], Path]
    findings: Findings
    encoders: dict[str, str] = field(default_factory=dict)
    _checked: set[Path] = field(default_factory=set)

    def read(
        self, name: str, reference: str, observed: str | None
    ) -> tuple[StoredArray | Sequences, NDArray[np.bool_]]:
        """Open a modality's features, memory-mapped where the file allows it.

        Args:
            name: The modality.
            reference: `FILE.npz:MEMBER`, `FILE.npy`, `FILE.h5:DATASET` or `FILE.parquet:COLUMN`.
            observed: Where the mask is: a member of the same archive, a column of the table, or
                another file; `MEMBER_observed` beside the features, if there is one, if not given.

        Returns:
            Values and the mask, `items`; both as long as the file has it. Values are `items x
            features`; or `items x steps x features`, then with the lengths that `MEMBER_lengths`
            beside the features, or the lists of a Parquet column, give them. With `MEMBER_starts`
            beside them, too, the file has the steps of all items in one array.

        Raises:
            FeatureError: If something is missing.
            CatalogError: If a Parquet file does not hold what was asked for.
            MissingExtraError: If it is an HDF5 file and h5py is not installed.
        """
        named = split_reference(reference, FEATURE_SUFFIXES)
        if named is None:
            raise FeatureError(
                f'modalities.{name}: features "{reference}" names no file that ends in '
                f"{', '.join(FEATURE_SUFFIXES)}; write FILE.npz:MEMBER, FILE.npy, "
                "FILE.h5:DATASET or FILE.parquet:COLUMN."
            )
        path, member = self.locate(named[0]), named[1]
        members: tuple[str, ...] = ()
        values: StoredArray | Sequences
        if path.suffix.lower() == ".parquet":
            if member is None:
                raise FeatureError(f'{name}: name the column too, as "{named[0]}:COLUMN".')
            values, mask = read_list_column(path, member)
            if path.resolve() != self.table.path.resolve():
                other = open_table(path)
                if self.id_column in other.names:
                    self._same_ids(path, np.array([str(i) for i in other.column(self.id_column)]))
        else:
            stored = values = open_stored(path, member)
            members = member_names(path)
            ids = _beside(member, (self.id_column,), members)
            if ids is not None:
                self._same_ids(path, read_array(path, ids))
            if isinstance(stored, StoredDataset) and stored.slow_to_shuffle:
                self.findings.warn(
                    f"{name}: {reference} is compressed in chunks of {stored.block} rows, which "
                    "training reads in a random order, a chunk for a row. Without chunks or "
                    "compression, or with one row a chunk, it is much faster."
                )
            starts = _beside(member, (f"{member}_starts",), members)
            if starts is not None:
                values = _ragged(name, path, stored, starts, members)
            elif stored.ndim == 3:
                lengths = _beside(member, (f"{member}_lengths", f"{name}_lengths"), members)
                values = Sequences(stored, None if lengths is None else read_array(path, lengths))
            made_by = _beside(member, (f"{member}_encoder",), members)
            if made_by is not None:
                self.encoders[name] = str(read_array(path, made_by))
            mask = np.ones(values.shape[0] if values.ndim else 0, dtype=np.bool_)
        given = self._observed(name, path, member, members, observed)
        if given is not None:
            if given.shape != mask.shape:
                raise FeatureError(
                    f"{name}: its observed mask has shape {given.shape}; expected {mask.shape}."
                )
            mask = mask & given
        return values, mask

    def _observed(
        self,
        name: str,
        path: Path,
        member: str | None,
        members: tuple[str, ...],
        wanted: str | None,
    ) -> NDArray[np.bool_] | None:
        if wanted is None:
            found = _beside(member, (f"{member}_observed", f"{name}_observed"), members)
            return (
                None
                if found is None
                else _as_mask(name, np.atleast_1d(read_array(path, found)).tolist())
            )
        if wanted in self.table.names:
            return _as_mask(name, self.table.column(wanted))
        if wanted in members:
            return _as_mask(name, np.atleast_1d(read_array(path, wanted)).tolist())
        named = split_reference(wanted, ARRAY_SUFFIXES)
        if named is not None:
            mask = read_array(self.locate(named[0]), named[1])
            return _as_mask(name, np.atleast_1d(mask).tolist())
        options = [*members, *self.table.names]
        raise FeatureError(
            f'modalities.{name}: observed "{wanted}" is neither a member of {path.name}, nor a '
            f"column of {self.table.path.name}, nor FILE.npz:MEMBER or FILE.h5:DATASET."
            f"{did_you_mean(wanted, options)}"
        )

    def _same_ids(self, path: Path, stored: AnyArray) -> None:
        if path in self._checked:
            return
        self._checked.add(path)
        theirs = [
            i.decode(errors="replace") if isinstance(i, bytes) else str(i)
            for i in stored.ravel().tolist()
        ]
        ours = self.ids.tolist()
        if theirs == ours:
            return
        first = next(
            (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
            min(len(ours), len(theirs)),
        )
        table_has = f'"{ours[first]}"' if first < len(ours) else "no row"
        file_has = f'"{theirs[first]}"' if first < len(theirs) else "no row"
        same = " They are the same ids in another order." if sorted(ours) == sorted(theirs) else ""
        self.findings.problem(
            f'{path}: its "{self.id_column}" does not match the table: {len(theirs)} ids for '
            f"{len(ours)} items; the first difference is at row {first} (from 0), where the "
            f"table has {table_has} and the features {file_has}.{same} Write the features in the "
            "table's order."
        )


def _ragged(
    name: str, path: Path, stored: AnyArray | StoredDataset, starts: str, members: tuple[str, ...]
) -> Sequences:
    """Return sequences whose steps are all in one array, `steps x features`."""
    flat = stored[:] if isinstance(stored, StoredDataset) else stored
    beside = starts.removesuffix("_starts") + "_lengths"
    if beside not in members:
        raise FeatureError(
            f"{path}: {name} has {starts}, where each item's steps start, and no {beside}, how "
            "many there are; write both."
        )
    first, lengths = read_array(path, starts), read_array(path, beside)
    numbers = first.dtype.kind in "iu" and lengths.dtype.kind in "iu"
    inside = flat.ndim == 2 and numbers and first.shape == lengths.shape and first.ndim == 1
    if inside and len(first):
        inside = bool(((first >= 0) & (lengths >= 0) & (first + lengths <= len(flat))).all())
    if not inside:
        raise FeatureError(
            f"{path}: {starts} and {beside} do not fit {name} of shape {flat.shape}; expected, for "
            "each item, the number of its first step and how many it has, in an array of steps x "
            "features."
        )
    first, lengths = first.astype(np.int64), lengths.astype(np.int64)
    return Sequences(Ragged(flat, first, lengths), lengths)


def _beside(member: str | None, names: Sequence[str], members: Sequence[str]) -> str | None:
    """Return the first of these names that is a member: in the features' group, or in none."""
    folder = (member or "").strip("/").rpartition("/")[0]
    options = [name for wanted in names for name in (f"{folder}/{wanted}", wanted)]
    return next((name.strip("/") for name in options if name.strip("/") in members), None)


_TRUTHS: dict[object, bool] = {
    **dict.fromkeys((True, 1, "1", "true", "yes"), True),
    **dict.fromkeys((False, 0, "0", "false", "no"), False),
}


def _as_mask(name: str, cells: Sequence[Cell]) -> NDArray[np.bool_]:
    mask = []
    for row, cell in enumerate(cells):
        word = cell.strip().lower() if isinstance(cell, str) else cell
        if not isinstance(word, (str, bool, int)) or word not in _TRUTHS:
            raise FeatureError(
                f"{name}: its observed mask holds {cell!r} in row {row} (counted from 0); expected "
                "true or false."
            )
        mask.append(_TRUTHS[word])
    return np.array(mask, dtype=np.bool_)
