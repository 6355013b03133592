"""Features that were computed before, found by what they are features of.

A cache is a folder of parts. A part is a `.npy` file of records (key, remark, features), written
whole under another name, synced and renamed, so that whoever is killed at any moment leaves only
whole parts behind. Parts are never changed, and several processes may add parts at once; to join
two caches of one encoder, copy the parts of both into one folder.

Of a sequence each step is a record, and those of one cell follow on one another under its key; so a
short text takes little room. Steps are float16.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.sequences import Ragged
from bayesfuse.data.whole_files import remove_left_behind, whole_file
from bayesfuse.errors import StorageError, write_error

KEY_BYTES = 16
REMARK_BYTES = 80

Keys = NDArray[np.bytes_]


class FeatureCache:
    """The features of one encoder by the key of their cell.

    Args:
        folder: Where the caches of all encoders are; it need not exist.
        fingerprint: Of the encoder, whose parts lie in a folder of this name.
        width: Features of a cell, or of a step of it.
        steps: Whether cells have steps.

    Attributes:
        damaged: Parts that are no longer what was written, and are not used.

    Example:
        >>> import tempfile
        >>> cache = FeatureCache(Path(tempfile.mkdtemp()), "0f", width=2)
        >>> keys = np.array([b"some key", b"another"], dtype="S16")
        >>> cache.add(keys, np.array([[1, 2], [3, 4]], dtype=np.float32), ["", "cut"])
        >>> cache.find(np.array([b"another", b"unknown"], dtype="S16")).tolist()
        [1, -1]
        >>> cache.read(np.array([1]))[0].tolist()
        [[3.0, 4.0]]
    """

    def __init__(self, folder: Path, fingerprint: str, width: int, steps: bool = False) -> None:
        self.folder, self.steps = folder / fingerprint, steps
        self.damaged: list[Path] = []
        self._dtype = np.dtype(
            [
                ("key", f"S{KEY_BYTES}"),
                ("remark", f"S{REMARK_BYTES}"),
                ("features", "<f2" if steps else "<f4", (width,)),
            ]
        )
        self._parts: list[Path] = []
        self._starts = [0]
        self._keys: Keys = np.zeros(0, dtype=f"S{KEY_BYTES}")
        self._places = np.zeros(0, dtype=np.int64)
        self._counts = np.zeros(0, dtype=np.int64)
        if self.folder.is_dir():
            remove_left_behind(self.folder)
            for path in sorted(self.folder.glob("part-*.npy")):
                self._open(path)

    def __len__(self) -> int:
        """Return how many cells' features there are."""
        return len(self._keys)

    def find(self, keys: Keys) -> NDArray[np.int64]:
        """Return the place of each key, `items`; -1 where its features are not known."""
        at = np.searchsorted(self._keys, keys)
        found = np.full(len(keys), -1, dtype=np.int64)
        inside = np.flatnonzero(at < len(self._keys))
        same = inside[self._keys[at[inside]] == keys[inside]]
        found[same] = self._places[at[same]]
        return found

    def read(self, places: NDArray[np.int64]) -> tuple[NDArray[np.float32] | Ragged, list[str]]:
        """Return the features, `items x features` (or steps), and the remarks at these places.

        Args:
            places: What `find` returned, >= 0.

        Raises:
            StorageError: If a part that was there can no longer be read.
        """
        if not self.steps:
            records = self._records(places)
            return np.ascontiguousarray(records["features"]), _remarks(records)
        order = np.argsort(self._places)
        lengths = self._counts[order[np.searchsorted(self._places[order], places)]]
        first = np.cumsum(lengths) - lengths
        within = np.arange(lengths.sum()) - np.repeat(first, lengths)
        records = self._records(np.repeat(places, lengths) + within)
        flat = np.ascontiguousarray(records["features"])
        return Ragged(flat, first, lengths), _remarks(records[first])

    def _records(self, places: NDArray[np.int64]) -> NDArray[np.void]:
        """Return the records at these places."""
        records = np.empty(len(places), dtype=self._dtype)
        part_of = np.searchsorted(self._starts, places, side="right") - 1
        for number in np.unique(part_of).tolist():
            rows = np.flatnonzero(part_of == number)
            part = self._mapped(self._parts[number])
            size = self._starts[number + 1] - self._starts[number]
            if part is None or len(part) != size:
                raise StorageError(
                    f"{self._parts[number]}: removed or changed while it was read; nothing else is "
                    "lost. Run the command again: what it held is encoded anew."
                )
            records[rows] = part[places[rows] - self._starts[number]]
        return records

    def add(self, keys: Keys, features: NDArray[np.float32] | Ragged, remarks: list[str]) -> None:
        """Write a part and know it from now on.

        Args:
            keys: Keys, `items`, each once.
            features: Features, `items x features`; or steps, of which each item has one at least.
            remarks: What there is to say of each cell, at most 80 bytes.

        Raises:
            StorageError: If it cannot be written; what was there stays whole.
        """
        if not len(keys):
            return
        told = np.array([r.encode()[:REMARK_BYTES] for r in remarks], dtype=f"S{REMARK_BYTES}")
        if isinstance(features, Ragged):
            keys, told = np.repeat(keys, features.lengths), np.repeat(told, features.lengths)
            features = features.steps()
        records = np.empty(len(keys), dtype=self._dtype)
        records["key"], records["features"], records["remark"] = keys, features, told
        self._open(self._write(records))

    def _write(self, records: NDArray[np.void]) -> Path:
        path = self.folder / f"part-{uuid.uuid4().hex}.npy"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as unfinished, unfinished.open("wb") as file:
                np.save(file, records, allow_pickle=False)
        except OSError as error:
            raise write_error(
                path, error, "Make room, or choose another folder with --encoded."
            ) from error
        return path

    def _open(self, path: Path) -> None:
        part = self._mapped(path)
        if part is None:
            self.damaged.append(path)
            return
        keys = np.array(part["key"])
        keys, first, counts = np.unique(keys, return_index=True, return_counts=True)
        new = self.find(keys) < 0  # another process may have encoded the same cell
        keys, places = keys[new], first[new] + self._starts[-1]
        at = np.searchsorted(self._keys, keys)
        self._counts = np.insert(self._counts, at, counts[new])
        self._keys = np.insert(self._keys, at, keys)
        self._places = np.insert(self._places, at, places)
        self._parts.append(path)
        self._starts.append(self._starts[-1] + len(part))

    def _mapped(self, path: Path) -> NDArray[np.void] | None:
        """Return a part as it lies on disk; None if it is not what a part is.

        Nobody holds on to it: a mapped file counts as this process's memory once it has been read.
        """
        try:
            part: NDArray[np.void] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return part if part.dtype == self._dtype and part.ndim == 1 and len(part) else None


def _remarks(records: NDArray[np.void]) -> list[str]:
    return [remark.decode() for remark in records["remark"].tolist()]


__all__ = ["FeatureCache", "StorageError"]
