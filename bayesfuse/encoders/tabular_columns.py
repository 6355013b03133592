"""What training teaches of each column of a table, and how that encodes its cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bayesfuse.data.table_cells import ColumnKind, as_category, as_number
from bayesfuse.data.tables import is_blank

NEW_CATEGORY = "a category that training did not have"
NO_NUMBER = "no number where training had numbers; it counts as missing"
FAR_OFF = "more than 10 standard deviations from the mean of training; it counts as 10"

_LIMIT = 10.0
_HUGE = 1e100  # its square is finite

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Block:
    """The features of some cells of one column.

    Attributes:
        values: `items x features`.
        known: Where a cell says something, `items`.
        odd: Reason -> where a cell was not used as it stands, `items`.
    """

    values: Floats
    known: Mask
    odd: dict[str, Mask]


@dataclass(frozen=True)
class Number:
    """A column of numbers: its value and, if training lacked some, whether it is missing.

    Attributes:
        median: What stands for a missing value.
        loc: The means of the value and of the indicator.
        scale: Their standard deviations.
    """

    median: float
    loc: tuple[float, ...]
    scale: tuple[float, ...]
    kind: ClassVar[str] = "number"

    def feature_names(self, column: str) -> tuple[str, ...]:
        """Name the features."""
        return (column, f"{column} missing")[: len(self.loc)]

    def encode(self, cells: Sequence[object]) -> Block:
        """Scale the cells' numbers."""
        numbers = _numbers(cells)
        missing = np.isnan(numbers)
        values = np.stack([np.where(missing, self.median, numbers), missing.astype(float)], axis=1)
        scaled = (values[:, : len(self.loc)] - np.array(self.loc)) / np.array(self.scale)
        no_number = missing & ~np.array([is_blank(cell) for cell in cells], dtype=np.bool_)
        odd = {NO_NUMBER: no_number, FAR_OFF: ~missing & (np.abs(scaled[:, 0]) > _LIMIT)}
        return Block(np.clip(scaled, -_LIMIT, _LIMIT), ~missing, odd)


@dataclass(frozen=True)
class Category:
    """A column of categories: one feature each, and one for all rare ones if there are any.

    Attributes:
        kept: The categories with a feature; `""` is a missing cell.
        rare: The others of training.
    """

    kept: tuple[str, ...]
    rare: tuple[str, ...]
    kind: ClassVar[str] = "category"

    def feature_names(self, column: str) -> tuple[str, ...]:
        """Name the features."""
        names = [
            f"{column}={category}" if category else f"{column} missing" for category in self.kept
        ]
        return (*names, f"{column} rare") if self.rare else tuple(names)

    def encode(self, cells: Sequence[object]) -> Block:
        """Mark the cells' categories."""
        names = [as_category(cell) for cell in cells]
        width = len(self.kept) + bool(self.rare)
        feature_of = {name: place for place, name in enumerate(self.kept)}
        rare = frozenset(self.rare)
        # A missing cell, where training lacked none, is no rare category: all features are 0.
        other = len(self.kept) if self.rare else width
        places = np.array([feature_of.get(n, other if n else width) for n in names], dtype=np.int64)
        values = np.eye(width + 1)[places, :width]
        new = [bool(n) and n not in feature_of and n not in rare for n in names]
        known = np.array([bool(name) for name in names], dtype=np.bool_)
        return Block(values, known, {NEW_CATEGORY: np.array(new, dtype=np.bool_)})


@dataclass(frozen=True)
class LeftOut:
    """A column of which nothing could be learned."""

    kind: ClassVar[str] = "left out"

    def feature_names(self, column: str) -> tuple[str, ...]:
        """Name no features."""
        return ()

    def encode(self, cells: Sequence[object]) -> Block:
        """Say nothing of the cells."""
        return Block(np.zeros((len(cells), 0)), np.zeros(len(cells), dtype=np.bool_), {})


Learned = Number | Category | LeftOut


def learn_columns(
    cells: Mapping[str, Sequence[object]],
    kinds: Mapping[str, ColumnKind],
    min_frequency: int,
    max_categories: int,
) -> tuple[dict[str, Learned], tuple[str, ...]]:
    """Learn medians, scales and frequent categories.

    Args:
        cells: Column -> its cells, `items`.
        kinds: Column -> what it holds.
        min_frequency: How often a category that is kept has to occur.
        max_categories: The most features of a column, that of the rare categories included.

    Returns:
        Column -> what was learned, and what to tell the user.
    """
    columns: dict[str, NDArray[Any]] = {}
    learned: dict[str, Learned] = dict.fromkeys(cells, LeftOut())
    notes = []
    for name, held in cells.items():
        values = _numbers(held) if kinds[name] == "number" else _names(held)
        different = pd.unique(values)
        if len(different) > 1:
            columns[name] = values
        elif different[0] in ("", None) or different[0] != different[0]:
            notes.append(f'Column "{name}" is left out: it is blank in all rows of training.')
        else:
            notes.append(
                f'Column "{name}" is left out: it is {str(different[0])[:40]} in all rows of '
                "training."
            )
    numbers = [name for name in columns if kinds[name] == "number"]
    categories = [name for name in columns if kinds[name] == "category"]
    if columns:
        transformer = ColumnTransformer(
            [
                (
                    "numbers",
                    make_pipeline(
                        SimpleImputer(strategy="median", add_indicator=True), StandardScaler()
                    ),
                    numbers,
                ),
                (
                    "categories",
                    OneHotEncoder(
                        min_frequency=min_frequency,
                        max_categories=max_categories,
                        handle_unknown="infrequent_if_exist",
                    ),
                    categories,
                ),
            ]
        ).fit(pd.DataFrame(columns, dtype=object))
        if numbers:
            learned |= _learned_numbers(transformer.named_transformers_["numbers"], numbers)
        if categories:
            encoder = transformer.named_transformers_["categories"]
            for name, found in _learned_categories(encoder, categories).items():
                if not found.kept:
                    notes.append(
                        f'Column "{name}" is left out: none of its {len(found.rare):,} categories '
                        f"is in {min_frequency} rows of training."
                    )
                    continue
                learned[name] = found
                if found.rare:
                    notes.append(
                        f'Column "{name}": {len(found.rare):,} rare categories count as one; '
                        f"{len(found.kept):,} have a feature each."
                    )
    return learned, tuple(notes)


def learned_to_json(column: str, learned: Learned) -> dict[str, Any]:
    """Return what was learned of a column as JSON has it."""
    values = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(learned).items()}
    return {"column": column, "kind": learned.kind, **values}


def learned_from_json(entry: Mapping[str, Any]) -> tuple[str, Learned]:
    """Return the column and what was learned of it.

    Raises:
        ValueError: If it does not fit together.
        KeyError: If something is missing.
        TypeError: If something is of another type.
    """
    column, kind = entry["column"], entry["kind"]
    if not isinstance(column, str):
        raise TypeError("a column's name is no text")
    if kind == LeftOut.kind:
        return column, LeftOut()
    if kind == Category.kind:
        kept, rare = tuple(entry["kept"]), tuple(entry["rare"])
        names = [*kept, *rare]
        if not kept or not all(isinstance(n, str) for n in names) or len({*names}) < len(names):
            raise ValueError(f"the categories of {column} are no different names")
        return column, Category(kept, rare)
    if kind != Number.kind:
        raise ValueError(f"{column} is {kind!r}")
    median, loc, scale = float(entry["median"]), tuple(entry["loc"]), tuple(entry["scale"])
    if len(loc) not in (1, 2) or len(scale) != len(loc) or min(scale) <= 0:
        raise ValueError(f"loc and scale of {column} do not match")
    if not all(isinstance(v, float) and math.isfinite(v) for v in (median, *loc, *scale)):
        raise ValueError(f"a number of {column} is not finite")
    return column, Number(median, loc, scale)


def _learned_numbers(pipeline: Any, columns: Sequence[str]) -> dict[str, Number]:
    imputer, scaler = pipeline[0], pipeline[1]
    with_indicator = imputer.indicator_.features_.tolist()
    found = {}
    for place, column in enumerate(columns):
        at = [place]
        if place in with_indicator:
            at.append(len(columns) + with_indicator.index(place))
        loc, scale = scaler.mean_[at].tolist(), scaler.scale_[at].tolist()
        found[column] = Number(float(imputer.statistics_[place]), tuple(loc), tuple(scale))
    return found


def _learned_categories(encoder: OneHotEncoder, columns: Sequence[str]) -> dict[str, Category]:
    """Return the categories; a missing cell is one of its own, however rare."""
    found = {}
    for column, names, rare in zip(
        columns, encoder.categories_, encoder.infrequent_categories_, strict=True
    ):
        few = set() if rare is None else {*rare.tolist()} - {""}
        every = names.tolist()
        found[column] = Category(
            tuple(name for name in every if name not in few),
            tuple(name for name in every if name in few),
        )
    return found


def _numbers(cells: Sequence[object]) -> Floats:
    """Return the cells' numbers, NaN where there is none."""
    numbers = np.array([as_number(cell) for cell in cells], dtype=np.float64)
    return np.where(np.isfinite(numbers), np.clip(numbers, -_HUGE, _HUGE), np.nan)


def _names(cells: Sequence[object]) -> NDArray[np.object_]:
    return np.array([as_category(cell) for cell in cells], dtype=object)
