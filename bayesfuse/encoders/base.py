"""What every encoder is: it turns raw cells (texts, pictures) into rows of features.

An encoder learns from the cells it is given and from nothing else; who must not leak the test rows
into training gives it the training rows. Its state is JSON and arrays, so that a run folder never
holds a pickle.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

Kind = Literal["text", "image"]
Cell = str | bytes | os.PathLike[str] | None
Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True)
class CellProblem:
    """A cell that is there and could not be encoded; it counts as missing.

    Attributes:
        row: Its place among the cells that were given to `encode`.
        reason: Why, in a few words.
    """

    row: int
    reason: str


class Encoder(ABC):
    """Cells in, features and an observed mask out.

    A subclass is final, sets `name` and `kind`, and implements the four methods.

    Attributes:
        name: What the command line calls it.
        kind: The kind of cells it reads, `"text"` or `"image"`.
        width: How many features a row has; final once the encoder is fitted.
        notes_: What `fit` has to say to the user, a sentence each.
        problems_: The cells that the last `encode` could not use.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    width: int
    notes_: tuple[str, ...] = ()
    problems_: tuple[CellProblem, ...] = ()

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

    @abstractmethod
    def state(self) -> tuple[dict[str, Json], dict[str, NDArray[np.generic]]]:
        """Return the fitted encoder as settings (JSON) and arrays, for `from_state`."""

    @classmethod
    @abstractmethod
    def from_state(
        cls, config: Mapping[str, Json], arrays: Mapping[str, NDArray[np.generic]]
    ) -> Self:
        """Rebuild the encoder that returned this `state`; it encodes to the very same bits.

        Raises:
            FeatureError: If the state is incomplete or does not fit together.
        """
