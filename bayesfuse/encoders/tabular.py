"""Columns of numbers and categories as features: imputed, scaled, one-hot, rare ones together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.raw import RawColumn
from bayesfuse.data.table_cells import ColumnKind, column_kind
from bayesfuse.data.tables import is_blank
from bayesfuse.encoders.base import Cell, CellProblem, Encoder, Json, Kind, Row
from bayesfuse.encoders.tabular_columns import (
    Learned,
    learn_columns,
    learned_from_json,
    learned_to_json,
)
from bayesfuse.errors import ConfigError, FeatureError, unknown_option

UNUSABLE = "nothing in the columns that the encoder uses"


@final
class TabularEncoder(Encoder):
    r"""Numbers and categories of a table, side by side.

    A number x gives :math:`(x - loc) / scale`, with the median in place of a missing one, and, if
    training lacked some, an indicator of that, scaled alike; both are cut at ±10. A category gives
    one feature for each category that is frequent enough in training, one for all others together,
    and one for a missing cell if training lacked some. What training teaches is learned by
    scikit-learn's `ColumnTransformer` of `SimpleImputer`, `StandardScaler` and `OneHotEncoder`;
    what is kept of it are numbers and names, never a pickle.

    A row whose cells are all blank is unobserved. A category that training did not have counts as a
    rare one (as none of them, if training had no rare ones), and text in place of a number as
    missing; `remarks_` lists these rows.

    Args:
        min_frequency: How often a category must occur in training; less (2 at least) where there
            are fewer than 50 times as many rows.
        max_categories: The most categories of a column, the rare ones together being one.
        numbers: The columns that are numbers, all others being categories; told from the cells if
            not given.

    Attributes:
        columns_: Column -> what was learned of it.

    Raises:
        ConfigError: If a setting is not a whole number, or too small.

    Example:
        >>> rows = [{"year": 1990, "country": "NO"}, {"year": None, "country": "SE"}, None] * 2
        >>> encoder = TabularEncoder().fit(rows)
        >>> encoder.feature_names_
        ('year', 'year missing', 'country=NO', 'country=SE')
        >>> features, observed = encoder.encode(rows[:3])
        >>> features.tolist(), observed.tolist()
        ([[0.0, -1.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]], [True, True, False])

    Reference: Pedregosa et al., 2011, "Scikit-learn: Machine learning in Python".
    """

    name: ClassVar[str] = "tabular"
    kind: ClassVar[Kind] = "table"

    def __init__(
        self,
        min_frequency: int = 10,
        max_categories: int = 50,
        numbers: Sequence[str] | None = None,
    ) -> None:
        for setting, value, least in (
            ("min_frequency", min_frequency, 1),
            ("max_categories", max_categories, 2),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(
                    f"TabularEncoder: {setting} is {value!r}; expected a whole number, {least} or "
                    "more."
                )
        names = [numbers] if isinstance(numbers, str) else numbers
        if names is not None and not (
            isinstance(names, Sequence) and all(isinstance(name, str) for name in names)
        ):
            raise ConfigError(f"TabularEncoder: numbers is {numbers!r}; expected names of columns.")
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.numbers = None if names is None else tuple(names)
        self.width = 0
        self.columns_: dict[str, Learned] = {}

    @property
    def feature_names_(self) -> tuple[str, ...]:
        """A name for each feature, in order."""
        columns = self.columns_.items()
        return tuple(name for column, learned in columns for name in learned.feature_names(column))

    def fit(self, cells: Sequence[Cell]) -> Self:
        """Learn medians, scales and frequent categories; see `Encoder.fit`."""
        told = cells.columns if isinstance(cells, RawColumn) else {}
        parts: Iterable[Sequence[Cell]] = [cells]
        if isinstance(cells, RawColumn):
            parts = (part for _, part in cells.stream())
        found: dict[str, list[object]] = {column: [] for column in told}
        num_rows = 0
        for row in (row for part in parts for row in _rows(part) if row is not None):
            found = found or {column: [] for column in row}
            _check_columns(row, found)
            for column, cell in row.items():
                found[column].append(cell)
            num_rows += 1
        if not num_rows:
            raise FeatureError(
                f"There is nothing to learn from: all {len(cells):,} rows are blank. Check the "
                "columns that the modality names, and the train split."
            )
        self.columns_, self.notes_ = learn_columns(
            found,
            self._kinds(found, told),
            min(self.min_frequency, max(2, num_rows // 50)),
            self.max_categories,
        )
        self.width = len(self.feature_names_)
        if not self.width:
            raise FeatureError(
                f"There is nothing to learn from {num_rows:,} rows. {' '.join(self.notes_)}"
            )
        return self

    def encode(self, cells: Sequence[Cell]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Scale numbers and mark categories; see `Encoder.encode`."""
        if not self.width:
            raise FeatureError("This TabularEncoder is not fitted; call fit(cells) first.")
        rows = _rows(cells)
        places = [place for place, row in enumerate(rows) if row is not None]
        present = [row for row in rows if row is not None]
        for row in present:
            _check_columns(row, self.columns_)
        features = np.zeros((len(rows), self.width), dtype=np.float32)
        known = np.zeros(len(present), dtype=np.bool_)
        odd: list[dict[str, list[str]]] = [{} for _ in present]  # reason to columns, a row
        start = 0
        for column, learned in self.columns_.items():
            block = learned.encode([row[column] for row in present])
            stop = start + block.values.shape[1]
            features[places, start:stop] = block.values
            start = stop
            known |= block.known
            for reason, where in block.odd.items():
                for place in np.flatnonzero(where).tolist():
                    odd[place].setdefault(reason, []).append(column)
        observed = np.zeros(len(rows), dtype=np.bool_)
        observed[places] = known
        features[~observed] = 0
        told = zip(places, known.tolist(), odd, strict=True)
        self.problems_ = tuple(
            CellProblem(place, UNUSABLE)
            for place, is_known in zip(places, known.tolist(), strict=True)
            if not is_known
        )
        self.remarks_ = tuple(
            CellProblem(place, "; ".join(f"{', '.join(c)}: {why}" for why, c in reasons.items()))
            for place, is_known, reasons in told
            if is_known and reasons
        )
        return features, observed

    def state(self) -> tuple[dict[str, Json], dict[str, NDArray[np.generic]]]:
        """Return settings and what was learned as JSON; there are no arrays."""
        if not self.width:
            raise FeatureError("This TabularEncoder is not fitted; there is no state to keep.")
        return {
            "name": self.name,
            "min_frequency": self.min_frequency,
            "max_categories": self.max_categories,
            "numbers": None if self.numbers is None else list(self.numbers),
            "width": self.width,
            "columns": [learned_to_json(*column) for column in self.columns_.items()],
        }, {}

    @classmethod
    def from_state(
        cls, config: Mapping[str, Json], arrays: Mapping[str, NDArray[np.generic]]
    ) -> Self:
        """Rebuild a fitted encoder; see `Encoder.from_state`."""
        try:
            settings: Any = {k: config[k] for k in ("min_frequency", "max_categories", "numbers")}
            entries: Any = config["columns"]
            encoder = cls(**settings)
            encoder.columns_ = dict(map(learned_from_json, entries))
            if len(encoder.columns_) < len(entries):
                raise ValueError("a column comes twice")
        except KeyError as error:
            raise FeatureError(f"The state of the tabular encoder has no {error}.") from error
        except (TypeError, ValueError) as error:
            raise FeatureError(
                f"The state of the tabular encoder does not fit together: {error}"
            ) from error
        encoder.width = len(encoder.feature_names_)
        if not encoder.width or encoder.width != config.get("width"):
            raise FeatureError(
                f"The state of the tabular encoder names {encoder.width} features; it should name "
                f"{config.get('width')}."
            )
        return encoder

    def _kinds(
        self, cells: Mapping[str, Sequence[object]], told: Mapping[str, ColumnKind]
    ) -> dict[str, ColumnKind]:
        if self.numbers is None:
            return {
                column: told[column] if told else column_kind(found, from_text=False)
                for column, found in cells.items()
            }
        for column in self.numbers:
            if column not in cells:
                raise ConfigError(f"numbers: {unknown_option('column', str(column), cells)}")
        return {column: "number" if column in self.numbers else "category" for column in cells}


def _rows(cells: Sequence[Cell]) -> list[Row | None]:
    """Return the rows, None where all cells are blank."""
    rows: list[Row | None] = []
    for place, cell in enumerate(cells):
        if cell is not None and not isinstance(cell, Mapping):
            raise FeatureError(
                f"Row {place} is {type(cell).__name__}, not a row of a table; expected a mapping "
                "of column to value, or None."
            )
        blank = cell is None or all(map(is_blank, cell.values()))
        rows.append(None if blank else cell)
    return rows


def _check_columns(row: Row, columns: Mapping[str, object]) -> None:
    if row.keys() == columns.keys():
        return
    missing = [column for column in columns if column not in row]
    unknown = [column for column in row if column not in columns]
    got = [f"no column {', '.join(missing)}"] if missing else []
    got += [f"an unknown column {', '.join(map(str, unknown))}"] if unknown else []
    raise FeatureError(
        f"A row has {' and '.join(got)}; the encoder learns from and encodes the same columns: "
        f"{', '.join(columns)}."
    )
