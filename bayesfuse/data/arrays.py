"""Arrays on disk, opened without reading them: `.npy`, members of `.npz`, datasets of HDF5.

NumPy maps an `.npy` file but copies a member of an `.npz` into memory, even where the archive is
not compressed. Such a member is a plain `.npy` file at some offset, so it can be mapped in place.
"""

from __future__ import annotations

import lzma
import math
import mmap
import os
import struct
import sys
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.hdf5 import HDF5_SUFFIXES, StoredDataset, dataset_names, open_dataset
from bayesfuse.errors import FeatureError, did_you_mean

# An array whose dtype is only known once the file is open.
AnyArray = NDArray[Any]

ARRAY_SUFFIXES = (".npz", ".npy", *HDF5_SUFFIXES)

_DAMAGES = (
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    # of compression that Python does not know, and of headers that are no Python
    *(RuntimeError, tokenize.TokenError, TypeError, SyntaxError, OverflowError),
)
"""What is raised for a file that is not what its name says."""

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")


class StoredArray(Protocol):
    """What can be read by rows: an array, a memory map, or a dataset that is never read whole.

    A key is rows (numbers that increase, or a slice), or such rows and a slice of steps.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, rows first."""
        ...

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The stored dtype."""
        ...

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def __getitem__(self, key: Any, /) -> Any:
        """Read rows."""
        ...


def open_stored(path: Path, member: str | None = None) -> AnyArray | StoredDataset:
    """Open an array of a `.npy`, `.npz` or HDF5 file without reading it, wherever that can be.

    Args:
        path: The file.
        member: The array's name within an archive, or the dataset's within an HDF5 file.

    Returns:
        An array, read-only where it is mapped; or a dataset of HDF5 that is read by rows.

    Raises:
        FeatureError: As `open_array` and `bayesfuse.data.hdf5.open_dataset`.
        MissingExtraError: If it is an HDF5 file and h5py is not installed.
    """
    if path.suffix.lower() in HDF5_SUFFIXES:
        return open_dataset(path, member)
    return open_array(path, member)


def read_array(path: Path, member: str | None = None) -> AnyArray:
    """Return what `open_stored` opens, read whole where it is not mapped: a mask, or ids."""
    found = open_stored(path, member)
    array = found[:] if isinstance(found, StoredDataset) else found
    if array.dtype.kind == "U" and array.size:
        codes = np.ascontiguousarray(array).reshape(-1).view(array.dtype.byteorder + "u4")
        if codes.max() > sys.maxunicode:
            raise FeatureError(_broken(path, ValueError("its text holds what is no character")))
    return array


def open_array(path: Path, member: str | None = None) -> AnyArray:
    """Open an array of a `.npy` or `.npz` file, memory-mapped wherever the file allows it.

    A member of a compressed `.npz` is read into memory; anything else is mapped and costs only
    the pages that are touched. Pickled objects are never loaded.

    Args:
        path: A `.npy` file, or an `.npz` archive.
        member: The array's name within the archive; not given for `.npy`.

    Returns:
        The array, read-only where it is mapped.

    Raises:
        FeatureError: If the file or the member is missing, truncated, or holds Python objects.
    """
    if not os.path.isfile(path):
        raise FeatureError(f"{path}: no such file.")
    try:
        if path.suffix.lower() == ".npz":
            return _open_member(path, member)
        if member is not None:
            raise FeatureError(
                f'{path}: only an .npz archive has named members; got member "{member}". '
                f'Write "{path.name}" without ":{member}".'
            )
        return _open_npy(path)
    except MemoryError as error:
        raise FeatureError(
            f"{path}: there is too little memory to read it ({error}). Write it again with "
            "numpy.savez, which does not compress, so that it is read as it is needed."
        ) from error
    except _DAMAGES as error:
        raise FeatureError(_broken(path, error)) from error
    except ValueError as error:
        if isinstance(error, FeatureError):
            raise
        raise FeatureError(_refused(path, error)) from error


def release_pages(array: object) -> None:
    """Let go of what was read of a read-only memory map; of any other array nothing changes.

    The system may keep the pages and gives them back faster than the disk would, but they count as
    memory of this process no longer. Where it does not know how, nothing happens.
    """
    if not isinstance(array, np.memmap) or array.mode != "r":  # others may hold changes
        return
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def member_names(path: Path) -> tuple[str, ...]:
    """Return the names of the arrays in an `.npz` archive or an HDF5 file; a `.npy` has none.

    Args:
        path: The file.

    Returns:
        Names in the file's order; without `.npy`, and with their groups, as `group/dataset`.

    Raises:
        FeatureError: If the file is missing, truncated, or not what its name says.
        MissingExtraError: If it is an HDF5 file and h5py is not installed.
    """
    if not os.path.isfile(path):
        raise FeatureError(f"{path}: no such file.")
    if path.suffix.lower() in HDF5_SUFFIXES:
        return dataset_names(path)
    if path.suffix.lower() == ".npy":
        return ()
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(name.removesuffix(".npy") for name in archive.namelist())
    except (*_DAMAGES, ValueError) as error:
        raise FeatureError(_broken(path, error)) from error


def _open_npy(path: Path) -> AnyArray:
    with path.open("rb") as file:
        shape = _read_header(file)[0]
    # An array of no bytes cannot be mapped.
    mode: Literal["r"] | None = "r" if 0 not in shape else None
    array: AnyArray = np.load(path, mmap_mode=mode, allow_pickle=False)
    return array


def _open_member(path: Path, member: str | None) -> AnyArray:
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if member is None or member not in names:
            asked = f'no member "{member}".' if member is not None else "no member was named."
            hint = did_you_mean(member or "", names)
            raise FeatureError(
                f"{path}: {asked} It holds {', '.join(names) or 'nothing'}; write "
                f'"{path.name}:NAME".{hint}'
            )
        info = next(i for i in archive.infolist() if i.filename.removesuffix(".npy") == member)
        if info.compress_type != zipfile.ZIP_STORED:
            with archive.open(info) as file:
                shape, _, dtype = _read_header(file)
            _require_bytes(info, shape, dtype)  # before numpy makes room for what a header says
    if info.compress_type == zipfile.ZIP_STORED:
        mapped = _map_member(path, info)
        if mapped is not None:
            return mapped
    with np.load(path, allow_pickle=False) as arrays:
        array: AnyArray = arrays[member]
    return array


def _map_member(path: Path, info: zipfile.ZipInfo) -> AnyArray | None:
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        name_length, extra_length = header[-2:]
        start = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        file.seek(start)
        shape, fortran, dtype = _read_header(file)
        offset = file.tell()
    if 0 in shape:
        return None
    _require_bytes(info, shape, dtype, offset - start)
    return np.memmap(
        path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C"
    )


def _require_bytes(
    info: zipfile.ZipInfo, shape: tuple[int, ...], dtype: np.dtype[Any], before: int = 0
) -> None:
    """Raise if a member is shorter than its header says; of whole numbers, which do not wrap."""
    if before + dtype.itemsize * math.prod(shape) > info.file_size:
        raise EOFError(f'member "{info.filename}" is shorter than its header says')


def _read_header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    # Versions 2 and 3 differ in the encoding of field names alone, which numbers do not have.
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("the array holds Python objects")
    return shape, fortran, dtype


def _broken(path: Path, error: Exception) -> str:
    return (
        f"{path}: cannot be read ({error}). The file is truncated or is not what its name says; "
        "write it again with numpy.save or numpy.savez."
    )


def _refused(path: Path, error: Exception) -> str:
    if "object" in str(error).lower():
        return (
            f"{path}: holds Python objects, which would have to be unpickled and are never loaded. "
            "Save a numeric array (or, for ids, an array of str)."
        )
    return _broken(path, error)
