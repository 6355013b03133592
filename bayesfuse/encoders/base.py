"""What every encoder is: it turns raw cells (texts, pictures) into rows of features.

An encoder learns from the cells it is given and from nothing else; who must not leak the test rows
into training gives it the training rows. Its state is JSON and arrays, so that a run folder never
holds a pickle.
"""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.sequences import Ragged
from bayesfuse.errors import FeatureError

Kind = Literal["text", "image", "table"]
Row = Mapping[str, str | int | float | bool | None]  # column to value, of a tabular modality
Cell = str | bytes | os.PathLike[str] | Row | None
Setting = bool | int | float | str | tuple[bool | int | float | str, ...] | Mapping[str, "Setting"]
Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True)
class Resources:
    """What an encoder may use while it runs; none of it changes a feature.

    Attributes:
        device: Where a network runs, as torch names it.
        batch_size: Cells that a network reads at once, >= 1.
        workers: Processes that decode images; a core each, 8 at most, if None; 0 for none.
        tell: Called with a sentence that the user should see at once, such as of a download.
    """

    device: str = "cpu"
    batch_size: int = 64
    workers: int | None = None
    tell: Callable[[str], None] = lambda message: None


@dataclass(frozen=True)
class CellProblem:
    """A cell that needs a word to the user.

    Attributes:
        row: Its place among the cells that were given to `encode`.
        reason: What is the matter, in a few words; the same words for the same case, so that
            cases can be counted.
    """

    row: int
    reason: str


class Encoder(ABC):
    """Cells in, features and an observed mask out.

    A subclass is final, sets `name` and `kind`, and implements the four abstract methods. Its
    constructor takes its settings as keywords and refuses wrong ones with a `ConfigError`; what is
    slow or large (reading a model) waits until `fit` or the first `encode`.

    Attributes:
        name: What the command line calls it.
        kind: The kind of cells it reads, `"text"`, `"image"` or `"table"`.
        costly: Whether a cell takes so long that its features are worth keeping in a cache.
        width: How many features a row has; final once the encoder is fitted.
        steps: How many steps an item has at most, of an encoder that keeps sequences
            (`encode_steps`); None of one that makes a vector an item.
        notes_: What `fit` has to say to the user, a sentence each.
        problems_: The cells that the last `encode` could not use; they are unobserved.
        remarks_: The cells of the last `encode` that were used, but not as they stand.
        resources: What it may use while it runs.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    costly: ClassVar[bool] = False
    width: int
    steps: int | None = None
    notes_: tuple[str, ...] = ()
    problems_: tuple[CellProblem, ...] = ()
    remarks_: tuple[CellProblem, ...] = ()
    resources: Resources = Resources()

    @abstractmethod
    def fit(self, cells: Sequence[Cell]) -> Self:
        """Learn what there is to learn from these cells.

        Args:
            cells: The raw cells, one an item; `None` where there is none.

        Returns:
            The encoder itself.

        Raises:
            FeatureError: If no cell can be learned from, or one is of another type.
        """

    @abstractmethod
    def encode(self, cells: Sequence[Cell]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Encode cells; what cannot be encoded is unobserved and listed in `problems_`.

        Args:
            cells: The raw cells, one an item; `None` where there is none.

        Returns:
            Features, items x features, 0 where unobserved; and which items are observed.

        Raises:
            FeatureError: If the encoder is not fitted, or a cell is of another type.
        """

    def encode_steps(self, cells: Sequence[Cell]) -> tuple[Ragged, NDArray[np.bool_]]:
        """Encode cells step by step; of an encoder that has `steps`.

        Args:
            cells: The raw cells, one an item; `None` where there is none.

        Returns:
            Steps, float16, items x steps x features, none where unobserved; and which items are
            observed.

        Raises:
            FeatureError: If the encoder makes one vector an item; or as `encode`.
        """
        raise FeatureError(f"The encoder {self.name} makes one vector an item; it has no steps.")

    @abstractmethod
    def state(self) -> tuple[dict[str, Json], dict[str, NDArray[np.generic]]]:
        """Return the fitted encoder as settings (JSON) and arrays, for `from_state`."""

    def fingerprint(self) -> str:
        """Return 32 hex digits that are equal for encoders that encode alike, and for no others.

        They are of the fitted encoder's state: its name, settings, and weights or their hash.
        """
        config, arrays = self.state()
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
        for key in sorted(arrays):
            array = np.asarray(arrays[key], order="C")  # of any number of dimensions, 0 too
            digest.update(f"{key} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()[:32]

    @classmethod
    @abstractmethod
    def from_state(
        cls, config: Mapping[str, Json], arrays: Mapping[str, NDArray[np.generic]]
    ) -> Self:
        """Rebuild the encoder that returned this `state`; it encodes to the very same bits.

        Raises:
            FeatureError: If the state is incomplete or does not fit together.
        """
