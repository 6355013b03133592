"""The authors' `multimodal_imdb.hdf5`: features, genres and ids of every movie, split by split.

The file was written for the library Fuel: one row a movie in every dataset, and an attribute
`split` of the file with a record for each (split, dataset) that says where the split's rows are.

| dataset | shape | what |
| --- | --- | --- |
| `imdb_ids` | movies, 7 bytes each | ids |
| `genres` | movies x 23, int32 | 0 or 1; the attribute `target_names` names the columns, in JSON |
| `features` | movies x 300, float32 | mean of word2vec vectors of the plot's words |
| `vgg_features` | movies x 4096, float32 | of the poster |
| `sequences` | movies, lists of int32 | numbers of the plot's words, of the vocabulary's file |

`images`, `three_grams` and `word_grams` are not read.

Reference:
    `make_dataset.py` of github.com/johnarevalo/gmu-mmimdb; `H5PYDataset.create_split_array` of
    Fuel (github.com/mila-iqia/fuel).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.config.parsing import parse_json
from bayesfuse.data.findings import Findings, first_few
from bayesfuse.data.hdf5 import StoredDataset, dataset_names, open_dataset
from bayesfuse.data.mmimdb_protocol import GENRES, RARE_GENRES, SPLIT_NAMES
from bayesfuse.data.rows import chunks
from bayesfuse.errors import did_you_mean

FILE = "multimodal_imdb.hdf5"
FEATURES = {"text": "features", "image": "vgg_features"}
"""Modality -> the dataset of its features."""

_WANTED = ("imdb_ids", "genres", *FEATURES.values())


@dataclass(frozen=True, eq=False)
class MovieVectors:
    """What the HDF5 file says of its movies; features and word numbers stay on disk.

    Attributes:
        path: The file.
        ids: Ids, `items`.
        splits: `train`, `val` or `test`, `items`.
        genre_names: The columns of `genres`.
        genres: Which genres a movie has, `items x labels`, bool.
        features: Modality -> values, `items x features`.
        finite: Modality -> where all features are finite, `items`: a plot without a word that
            word2vec knows has a mean of nothing, which is NaN.
        has_words: Whether there are word numbers.
    """

    path: Path
    ids: tuple[str, ...]
    splits: tuple[str, ...]
    genre_names: tuple[str, ...]
    genres: NDArray[np.bool_]
    features: dict[str, NDArray[Any] | StoredDataset]
    finite: dict[str, NDArray[np.bool_]]
    has_words: bool

    @classmethod
    def read(cls, path: Path, findings: Findings) -> MovieVectors | None:
        """Open the file and check it.

        Args:
            path: The file.
            findings: Where mistakes go.

        Returns:
            What it says; None if there was a mistake.

        Raises:
            FeatureError: If it is damaged, or no HDF5 file.
            MissingExtraError: If h5py is not installed.
        """
        before = len(findings.problems)
        names = dataset_names(path)
        for name in _WANTED:
            if name not in names:
                findings.problem(
                    f'{path}: no dataset "{name}"; it holds {first_few(names, 8) or "nothing"}.'
                    f"{did_you_mean(name, names)}"
                )
        if len(findings.problems) > before:
            return None
        arrays = {name: open_dataset(path, name) for name in _WANTED}
        ids = tuple(np.atleast_1d(arrays["imdb_ids"][:]).astype(str).ravel().tolist())
        _check_shapes(path, arrays, len(ids), findings)
        _check_ids(path, ids, findings)
        import h5py  # is there, or the datasets could not have been opened

        with h5py.File(path, "r") as file:
            splits = _splits(path, file.attrs.get("split"), len(ids), findings)
            genre_names = _genre_names(path, file["genres"].attrs.get("target_names"), findings)
            words = file.get("sequences")
            has_words = words is not None and words.shape == (len(ids),)
        if words is not None and not has_words:
            findings.problem(f"{path}: sequences: expected one list a movie.")
        if len(findings.problems) > before:
            return None
        genres = _genres(path, arrays["genres"], genre_names, findings)
        if len(findings.problems) > before:
            return None
        features = {modality: arrays[name] for modality, name in FEATURES.items()}
        finite = {modality: _finite(values) for modality, values in features.items()}
        return cls(path, ids, splits, genre_names, genres, features, finite, has_words)

    def genres_of(self, row: int) -> list[str]:
        """Return the genres of a movie, in the order of `genre_names`."""
        return [self.genre_names[column] for column in np.flatnonzero(self.genres[row])]

    def words(self, rows: Sequence[int]) -> list[list[int] | None]:
        """Read the word numbers of some movies; None for a row of -1."""
        import h5py

        wanted = sorted({row for row in rows if row >= 0})
        with h5py.File(self.path, "r") as file:
            read = file["sequences"][wanted] if wanted else []
            found = {row: [int(n) for n in cells] for row, cells in zip(wanted, read, strict=True)}
        return [found.get(row) for row in rows]

    def copy(self, modality: str, rows: NDArray[np.int64], file: Path) -> None:
        """Write the features of some movies as `.npy`, a chunk at a time.

        Args:
            modality: Whose features.
            rows: Row of each movie, -1 for one that has none and gets zeros.
            file: The file to write.
        """
        values = self.features[modality]
        shape = (len(rows), values.shape[1])
        header = {"descr": np.lib.format.dtype_to_descr(values.dtype), "fortran_order": False}
        with file.open("wb") as out:
            np.lib.format.write_array_header_1_0(out, {**header, "shape": shape})
            for part in chunks(*shape):
                wanted = rows[part]
                block = np.zeros((len(wanted), shape[1]), dtype=values.dtype)
                block[wanted >= 0] = values[wanted[wanted >= 0]]
                out.write(block.tobytes())


def _check_shapes(path: Path, arrays: dict[str, Any], num_items: int, findings: Findings) -> None:
    for name in _WANTED[1:]:
        shape, dtype = arrays[name].shape, arrays[name].dtype
        if len(shape) != 2 or shape[0] != num_items or shape[1] == 0 or dtype.kind not in "fiub":
            findings.problem(
                f"{path}: {name} has shape {shape} of {dtype}; expected numbers, {num_items} rows "
                "(one for each of imdb_ids) x columns."
            )


def _check_ids(path: Path, ids: tuple[str, ...], findings: Findings) -> None:
    repeated = [movie_id for movie_id, count in Counter(ids).items() if count > 1]
    if repeated:
        findings.problem(
            f"{path}: imdb_ids: {len(repeated)} come more than once ({first_few(repeated)})."
        )


def _splits(path: Path, records: Any, num_items: int, findings: Findings) -> tuple[str, ...]:
    """Read which rows are train, val and test."""
    fields = getattr(getattr(records, "dtype", None), "names", None) or ()
    if not {"split", "source", "start", "stop"}.issubset(fields):
        findings.problem(
            f'{path}: no attribute "split" as Fuel writes it (records of split, source, start, '
            "stop); make_dataset.py of the authors adds it last, so the file may be incomplete."
        )
        return ()
    before = len(findings.problems)
    split: list[str] = [""] * num_items
    places: dict[str, set[tuple[int, int]]] = {}
    for record in records:
        if _text(record["source"]) in _WANTED and (
            "available" not in fields or record["available"]
        ):
            if "indices" in fields and record["indices"]:
                findings.problem(f"{path}: split: rows by number; expected a start and a stop.")
            where = (int(record["start"]), int(record["stop"]))
            places.setdefault(_text(record["split"]), set()).add(where)
    for name, ranges in places.items():
        start, stop = min(ranges)
        if name not in SPLIT_NAMES:
            hint = did_you_mean(name, SPLIT_NAMES)
            findings.problem(f'{path}: unknown split "{name}"; expected train, dev, test.{hint}')
        elif len(ranges) > 1 or not 0 <= start <= stop <= num_items or any(split[start:stop]):
            findings.problem(
                f'{path}: split "{name}" is rows {first_few(sorted(ranges))} of {num_items}; '
                "expected the same rows in every dataset, and each in one split."
            )
        else:
            split[start:stop] = [SPLIT_NAMES[name]] * (stop - start)
    if "" in split and len(findings.problems) == before:
        findings.problem(f"{path}: {split.count('')} of {num_items} movies are in no split.")
    return tuple(split)


def _genre_names(path: Path, attribute: Any, findings: Findings) -> tuple[str, ...]:
    try:
        names = parse_json(attribute)
    except (TypeError, ValueError, AttributeError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        findings.problem(
            f'{path}: genres has no attribute "target_names" with a list of names in JSON; the '
            "columns cannot be told apart."
        )
        return ()
    for name in names:
        if name not in (*GENRES, *RARE_GENRES):
            hint = did_you_mean(name, GENRES)
            findings.problem(f'{path}: target_names: "{name}" is no genre of MM-IMDb.{hint}')
    if len(set(names)) < len(names):
        findings.problem(f"{path}: target_names: a genre is named twice.")
    return tuple(names)


def _genres(
    path: Path, stored: Any, names: tuple[str, ...], findings: Findings
) -> NDArray[np.bool_]:
    values = np.asarray(stored[:])
    if values.shape[1] != len(names):
        findings.problem(
            f"{path}: genres has {values.shape[1]} columns, but target_names names {len(names)}."
        )
    if not np.isin(values, (0, 1)).all():
        findings.problem(f"{path}: genres holds other numbers than 0 and 1.")
    return values.astype(np.bool_)


def _finite(values: NDArray[Any] | StoredDataset) -> NDArray[np.bool_]:
    found = np.ones(values.shape[0], dtype=np.bool_)
    for part in chunks(*values.shape):
        found[part] = np.isfinite(values[part]).all(axis=1)
    return found


def _text(value: Any) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
