"""Datasets of HDF5 files: mapped where they lie in one piece, read by rows where they do not."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.findings import first_few
from bayesfuse.data.rows import runs
from bayesfuse.errors import FeatureError, MissingExtraError, did_you_mean

AnyArray = NDArray[Any]

HDF5_SUFFIXES = (".h5", ".hdf5", ".he5")

# Chunks that were decompressed are kept up to so many bytes a dataset, for the rows of the next
# batch; a dataset that fits is decompressed once. The slots are a prime, many for each chunk.
CACHE_BYTES = 64 << 20
CACHE_SLOTS = 100_003

# What h5py raises for a file that is damaged, whichever way.
_DAMAGES = (OSError, RuntimeError, LookupError, TypeError, ValueError, OverflowError, struct.error)


class StoredDataset:
    """A dataset that is read by rows, so that no more of it is in memory than is asked for.

    The file is opened when rows are first read, and again in every process that this goes to,
    whether by pickling or by a fork.

    Args:
        path: The file.
        name: The dataset, as `group/dataset`.
        shape: Its shape, of two dimensions or more.
        dtype: Its dtype.
        block: The number of rows that have to be read together, since they are compressed together.
    """

    def __init__(
        self, path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], block: int
    ) -> None:
        self.path, self.name, self.block = path, name, block
        self.shape, self.ndim, self.dtype = shape, len(shape), dtype
        self._opened: tuple[int, Any] | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    @property
    def slow_to_shuffle(self) -> bool:
        """Whether rows in a random order are decompressed with many others, again and again."""
        num_bytes = int(np.prod(self.shape)) * self.dtype.itemsize
        return self.block > 1 and num_bytes > CACHE_BYTES

    def __repr__(self) -> str:
        """Return where the dataset is, and its shape."""
        return f"StoredDataset({self.path}:{self.name}, {self.shape}, {self.dtype})"

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs to open the dataset."""
        return {**self.__dict__, "_opened": None}

    def __getitem__(self, key: Any) -> AnyArray:
        """Read rows (row numbers or a slice), or `rows, steps` of which `steps` is a slice.

        Raises:
            FeatureError: If the file has gone, was written anew, or is damaged.
        """
        rows, steps = key if isinstance(key, tuple) else (key, slice(None))
        if isinstance(rows, slice):
            rows = np.arange(len(self))[rows]
        wanted, back = np.unique(rows, return_inverse=True)
        num_steps = len(range(*steps.indices(self.shape[1])))
        found = np.empty((len(wanted), num_steps, *self.shape[2:]), dtype=self.dtype)
        with _reading(self.path):
            dataset = self._dataset()
            for run in runs(wanted, self.block):
                first, last = int(wanted[run.start]), int(wanted[run.stop - 1])
                read = dataset[first : last + 1, steps]
                found[run] = (
                    read if len(read) == run.stop - run.start else read[wanted[run] - first]
                )
        return found if len(wanted) == len(rows) and np.array_equal(wanted, rows) else found[back]

    def _dataset(self) -> Any:
        # A file that a parent process opened is not to be shared with it.
        if self._opened is None or self._opened[0] != os.getpid():
            file = _open(self.path)
            dataset = _find(file, self.path, self.name)
            if dataset.shape != self.shape or dataset.dtype != self.dtype:
                raise FeatureError(
                    f'{self.path}: dataset "{self.name}" was written anew since it was opened: '
                    f"it is {dataset.shape} of {dataset.dtype}, was {self.shape} of {self.dtype}. "
                    "Read the features again."
                )
            self._opened = (os.getpid(), dataset)
        return self._opened[1]


def open_dataset(path: Path, name: str | None = None) -> AnyArray | StoredDataset:
    """Open a dataset of an HDF5 file.

    Numbers that lie in the file in one piece, as they are unless chunks or compression were asked
    for, are memory-mapped; others are read by rows when they are asked for. What has fewer than
    two dimensions (a mask, ids) and text is read at once.

    Args:
        path: The file.
        name: The dataset, as `dataset` or `group/dataset`.

    Returns:
        The array, read-only where it is mapped, or what reads it.

    Raises:
        FeatureError: If the file or the dataset is missing or truncated, or does not hold numbers
            or text.
        MissingExtraError: If h5py is not installed.
    """
    if not os.path.isfile(path):
        raise FeatureError(f"{path}: no such file.")
    with _reading(path), _open(path) as file:
        dataset = _find(file, path, name)
        text = _text(dataset)
        if text is not None:
            return text
        _refuse_what_is_no_numbers(path, dataset)
        _refuse_missing_filters(path, dataset)
        if dataset.ndim < 2 or 0 in dataset.shape:
            return np.asarray(dataset[()])
        mapped = _mapped(path, dataset)
        if mapped is not None:
            return mapped
        packed = dataset.chunks is not None and dataset.id.get_create_plist().get_nfilters() > 0
        block = dataset.chunks[0] if packed else 1
        return StoredDataset(path, str(name), dataset.shape, dataset.dtype, int(block))


def dataset_names(path: Path) -> tuple[str, ...]:
    """Return the names of the datasets of an HDF5 file, those within groups as `group/dataset`.

    Raises:
        FeatureError: If the file is missing or is not a whole HDF5 file.
        MissingExtraError: If h5py is not installed.
    """
    if not os.path.isfile(path):
        raise FeatureError(f"{path}: no such file.")
    with _reading(path), _open(path) as file:
        return _names(file)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError(
            "Reading HDF5 needs h5py, which is not installed. Try: pip install 'bayesfuse[hdf5]'"
        ) from error
    return h5py


def _open(path: Path) -> Any:
    return _h5py().File(path, "r", rdcc_nbytes=CACHE_BYTES, rdcc_nslots=CACHE_SLOTS)


def _names(group: Any) -> tuple[str, ...]:
    dataset_type = _h5py().Dataset
    names: list[str] = []
    group.visititems(
        lambda name, found: names.append(name) if isinstance(found, dataset_type) else None
    )
    return tuple(names)


def _find(file: Any, path: Path, name: str | None) -> Any:
    found = file.get(name) if name is not None and name.strip("/") else None
    if isinstance(found, _h5py().Dataset):
        return found
    if isinstance(found, _h5py().Group):
        inside = [f"{name}/{inner}" for inner in _names(found)]
        holds, example = _listed(inside), inside[0] if inside else f"{name}/DATASET"
        raise FeatureError(
            f'{path}: "{name}" is a group, not a dataset. It holds {holds}; write '
            f'"{path.name}:{example}".'
        )
    names = _names(file)
    asked = f'no dataset "{name}".' if name is not None else "no dataset was named."
    raise FeatureError(
        f'{path}: {asked} It holds {_listed(names)}; write "{path.name}:NAME".'
        f"{did_you_mean(name or '', names)}"
    )


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return first_few(names, 8) or "no dataset"


def _text(dataset: Any) -> NDArray[np.str_] | None:
    # asked of the type itself: h5py has no dtype for some types
    if not isinstance(dataset.id.get_type(), _h5py().h5t.TypeStringID) or dataset.shape is None:
        return None
    return np.asarray(dataset.asstr(errors="replace")[()], dtype=np.str_)


def _refuse_what_is_no_numbers(path: Path, dataset: Any) -> None:
    h5py, kind = _h5py(), ""
    try:
        dtype = dataset.dtype
    except TypeError as error:
        kind = f"a type of number that NumPy does not have ({error})"
    else:
        if dataset.shape is None:
            kind = "nothing"
        elif h5py.check_vlen_dtype(dtype) is not None:
            kind = "lists of different lengths"
        elif h5py.check_ref_dtype(dtype) is not None:
            kind = "references"
        elif dtype.names is not None:
            kind = f"records of {first_few(dtype.names)}"
        elif dtype.kind not in "fiubc":
            kind = f"{dtype}, which is no number"
    if kind:
        raise FeatureError(
            f'{path}: dataset "{dataset.name.strip("/")}" holds {kind}; expected plain numbers, '
            "items x features (or items x steps x features, padded, with the number of steps in "
            "NAME_lengths beside them); write it so with h5py's create_dataset."
        )


def _refuse_missing_filters(path: Path, dataset: Any) -> None:
    settings = dataset.id.get_create_plist()
    for index in range(settings.get_nfilters()):
        code, _, _, name = settings.get_filter(index)
        if not _h5py().h5z.filter_avail(code):
            raise FeatureError(
                f'{path}: dataset "{dataset.name.strip("/")}" is compressed with '
                f'"{name.decode(errors="replace")}" (filter {code}), which this h5py cannot read; '
                'write it with compression="gzip", or with none, which is read fastest.'
            )


def _mapped(path: Path, dataset: Any) -> AnyArray | None:
    h5py = _h5py()
    settings = dataset.id.get_create_plist()
    in_one_piece = (
        settings.get_layout() == h5py.h5d.CONTIGUOUS
        and settings.get_external_count() == 0
        and os.path.realpath(dataset.file.filename) == os.path.realpath(path)
        # a type that is only converted to a dtype of NumPy's has other bytes in the file
        and dataset.id.get_type().equal(h5py.h5t.py_create(dataset.dtype, logical=True))
    )
    offset = dataset.id.get_offset() if in_one_piece else None
    if offset is None:
        return None
    end = offset + dataset.dtype.itemsize * dataset.size
    if end > path.stat().st_size:
        raise OSError(f"it ends at byte {path.stat().st_size}, but its dataset at {end}")
    return np.memmap(path, dtype=dataset.dtype, mode="r", offset=offset, shape=dataset.shape)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (FeatureError, MissingExtraError):
        raise
    except MemoryError as error:
        raise FeatureError(
            f"{path}: there is too little memory to read it ({error}). Write it again with chunks "
            "of some rows, which are read as they are needed."
        ) from error
    except _DAMAGES as error:
        reason = " ".join(str(error).split())
        if "lock" in reason or "already open" in reason or "consistency" in reason:
            why = "It is open for writing, or was not closed; close the program that writes it."
        else:
            why = "The file is truncated, damaged or no HDF5 file; write it again with h5py."
        raise FeatureError(f"{path}: cannot be read ({reason}). {why}") from error
