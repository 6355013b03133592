"""Named modalities over the same items, with a mask of what was observed.

Values stay where they are (on disk, in float16, in the order of the file) until a batch is asked
for; only a batch's rows are read, and only then do they become float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.data.arrays import StoredArray
from bayesfuse.data.blocks import Blocks
from bayesfuse.data.feature_checks import as_arrays, feature_problems, listed
from bayesfuse.data.hdf5 import StoredDataset
from bayesfuse.data.rows import Rows, as_rows
from bayesfuse.data.sequences import Sequences, as_sequences
from bayesfuse.data.sources import Source
from bayesfuse.errors import FeatureError, unknown_option

AnyArray = NDArray[Any]


class FeatureTable:
    r"""Feature arrays of several modalities over the same items, and which were observed.

    .. math:: x_{im} = o_{im} \cdot v_{im}

    where :math:`v` are the stored values and :math:`o` is the observed mask: what is stored at an
    unobserved place is never seen by anyone.

    A modality is a vector an item, `items x features`, or a sequence, `items x steps x features`,
    of which an item uses its first steps only. Where one vector is wanted, that of a sequence is
    the mean over its steps, :math:`v_i = \frac{1}{T_i} \sum_{t \le T_i} v_{it}`; an item of 0
    steps is unobserved. `sequences` reads the steps themselves.

    Build one with `from_arrays`, or with `empty` and `with_modality`.

    Attributes:
        names: The modalities, in the order of the columns of `observed`.
        observed: The mask, `items x modalities`, bool.

    Example:
        >>> table = FeatureTable.from_arrays(
        ...     {"text": [[1.0, 2.0], [3.0, 4.0]], "image": [[5.0], [float("nan")]]},
        ...     observed={"image": [True, False]},
        ... )
        >>> values, observed = table.batch([1, 0])
        >>> values["image"].tolist()
        [[0.0], [5.0]]
        >>> observed.tolist()
        [[True, False], [True, True]]
    """

    def __init__(self, sources: Mapping[str, Source], observed: NDArray[np.bool_]) -> None:
        self._sources = dict(sources)
        self.names: tuple[str, ...] = tuple(self._sources)
        self.observed = observed

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, ArrayLike | StoredDataset | Sequences],
        observed: Mapping[str, ArrayLike] | None = None,
        lengths: Mapping[str, ArrayLike] | None = None,
    ) -> FeatureTable:
        """Build a table after checking every array; memory maps are kept as they are.

        Args:
            arrays: Modality -> values, `items x features` or `items x steps x features`, floating
                or integer numbers.
            observed: Modality -> mask, `items`, bool; a modality left out is wholly observed.
            lengths: Modality -> number of steps of each item, `items`, 0 to `steps`; all steps
                count in a modality left out.

        Returns:
            The table, modalities in the order of `arrays`.

        Raises:
            FeatureError: If anything does not fit; all that does not is in the one message.
        """
        values, unreadable = as_arrays(arrays)
        masks, unreadable_masks = as_arrays(observed or {})
        counts, unreadable_counts = as_arrays(lengths or {})
        problems = unreadable + unreadable_masks + unreadable_counts
        problems += feature_problems(values, masks, lengths=counts)
        if not arrays:
            problems.append("no modality was given; use FeatureTable.empty(num_items).")
        if problems:
            raise FeatureError(listed(problems))
        return cls.unchecked(values, masks, counts)

    @classmethod
    def unchecked(
        cls,
        arrays: Mapping[str, StoredArray | Sequences],
        observed: Mapping[str, AnyArray],
        lengths: Mapping[str, AnyArray] | None = None,
    ) -> FeatureTable:
        """Build a table from arrays in which `feature_problems` has found no problem.

        Args:
            arrays: Modality -> values, `items x features` or `items x steps x features`; at least
                one modality.
            observed: Modality -> mask, `items`; a modality left out is wholly observed.
            lengths: Modality -> number of steps, `items`.

        Returns:
            The table.
        """
        num_items = len(next(iter(arrays.values())))
        mask = np.ones((num_items, len(arrays)), dtype=np.bool_)
        sources = {}
        for column, (name, values) in enumerate(arrays.items()):
            if name in observed:
                mask[:, column] = observed[name]
            if values.ndim == 3:
                found = as_sequences(values, (lengths or {}).get(name)).where(mask[:, column])
                mask[:, column] &= found.num_steps() > 0
                values = found
            sources[name] = Source(values)
        return cls(sources, mask)

    @classmethod
    def empty(cls, num_items: int) -> FeatureTable:
        """Return a table of `num_items` items that has no modality yet."""
        return cls({}, np.ones((num_items, 0), dtype=np.bool_))

    @property
    def num_items(self) -> int:
        """The number of items."""
        return int(self.observed.shape[0])

    @property
    def widths(self) -> dict[str, int]:
        """The number of features of each modality."""
        return {name: int(source.values.shape[-1]) for name, source in self._sources.items()}

    @property
    def numbers_an_item(self) -> int:
        """How many numbers a batch holds an item, for the memory that it takes."""
        return sum(source.numbers for source in self._sources.values())

    @property
    def dtypes(self) -> dict[str, str]:
        """The stored dtype of each modality, such as `float16`."""
        return {name: str(source.values.dtype) for name, source in self._sources.items()}

    def is_sequence(self, name: str) -> bool:
        """Return whether a modality is `items x steps x features`.

        Raises:
            FeatureError: If there is no such modality.
        """
        return isinstance(self._source(name).values, Sequences)

    def steps(self, name: str) -> int:
        """Return for how many steps a modality has room; items may have fewer.

        Raises:
            FeatureError: If there is no such modality, or it is no sequence.
        """
        if not self.is_sequence(name):
            raise FeatureError(f"{name}: holds items x features, which have no steps.")
        return int(self._source(name).values.shape[1])

    def _source(self, name: str) -> Source:
        if name not in self:
            raise FeatureError(unknown_option("modality", name, self.names))
        return self._sources[name]

    def __len__(self) -> int:
        """Return the number of items."""
        return self.num_items

    def __repr__(self) -> str:
        """Return the number of items and each modality's width, `steps x width` of a sequence."""
        widths = ", ".join(
            f"{name}: {self.steps(name)} steps x {width}"
            if self.is_sequence(name)
            else f"{name}: {width}"
            for name, width in self.widths.items()
        )
        return f"FeatureTable({self.num_items} items; {widths or 'no modality'})"

    def take(self, rows: Rows) -> FeatureTable:
        """Return the table of these rows, in this order, without reading or copying any value.

        Args:
            rows: Row numbers (repeats allowed), a bool mask over the items, or a slice.

        Returns:
            A table over the same arrays.

        Raises:
            IndexError: If a row is out of range.
        """
        index = as_rows(rows, self.num_items)
        sources = {name: source.take(index) for name, source in self._sources.items()}
        return self._derived(FeatureTable(sources, self.observed[index]), index)

    def batch(self, rows: Rows) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.bool_]]:
        """Read these rows as float32, with 0 wherever a modality was not observed.

        Args:
            rows: Row numbers (repeats allowed), a bool mask over the items, or a slice.

        Returns:
            Modality -> values, `items x features` (of a sequence, the mean over its steps; see
            `by_step`), and the mask, `items x modalities`; both in the order of `rows`.

        Raises:
            IndexError: If a row is out of range.
        """
        index = as_rows(rows, self.num_items)
        observed = self.observed[index]
        values = {}
        for column, (name, source) in enumerate(self._sources.items()):
            # What is stored at an unobserved place may be anything, also too large for float32.
            with np.errstate(over="ignore", invalid="ignore"):
                array = source.read(index)
            array[~observed[:, column]] = source.nothing
            values[name] = array
        return values, observed

    def blocks(self, rows: Rows) -> Blocks | None:
        """Return whom the items of these rows hear; None in a table that knows of no graph."""
        return None

    def sequences(
        self, rows: Rows
    ) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.bool_]]]:
        """Read these rows' sequences step by step as float32, with 0 where an item has no step.

        Args:
            rows: Row numbers (repeats allowed), a bool mask over the items, or a slice.

        Returns:
            Modality -> steps, `items x steps x features`, and modality -> which steps the items
            have, `items x steps`, for the modalities that are sequences. There are as many steps
            as the longest of these items has; an unobserved item has none.

        Raises:
            IndexError: If a row is out of range.
        """
        index = as_rows(rows, self.num_items)
        values, used = {}, {}
        for name in filter(self.is_sequence, self.names):
            with np.errstate(over="ignore", invalid="ignore"):
                values[name], used[name] = self._sources[name].read_steps(index)
        return values, used

    def select(self, names: Iterable[str]) -> FeatureTable:
        """Return the table of these modalities, in this order.

        Args:
            names: Modalities of this table.

        Raises:
            FeatureError: If a name is unknown or comes twice.
        """
        wanted = list(names)
        problems = [
            unknown_option("modality", name, self.names) for name in wanted if name not in self
        ]
        if len(set(wanted)) < len(wanted):
            problems.append(f"a modality is named twice in {', '.join(wanted)}.")
        if problems:
            raise FeatureError(listed(problems))
        columns = [self.names.index(name) for name in wanted]
        values = {name: self._sources[name] for name in wanted}
        return self._derived(FeatureTable(values, self.observed[:, columns]))

    def __contains__(self, name: object) -> bool:
        """Return whether there is a modality of this name."""
        return name in self._sources

    def with_modality(
        self,
        name: str,
        values: ArrayLike | StoredDataset | Sequences,
        observed: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> FeatureTable:
        """Return this table with one more modality, checked as in `from_arrays`.

        Args:
            name: A name that the table does not have yet.
            values: Values, `items x features` or `items x steps x features`.
            observed: Mask, `items`; everything is observed if it is not given.
            lengths: Number of steps of each item, `items`; all steps count if not given.

        Returns:
            A table over the same arrays and the new one.

        Raises:
            FeatureError: If the name is taken, or the values or the mask do not fit.
        """
        if name in self:
            raise FeatureError(
                f'there already is a modality "{name}"; choose another name, or leave the old one '
                "out with `select`."
            )
        added = FeatureTable.from_arrays(
            {name: values},
            None if observed is None else {name: observed},
            None if lengths is None else {name: lengths},
        )
        if added.num_items != self.num_items:
            raise FeatureError(
                f"{name}: {added.num_items} rows, but the table has {self.num_items} items; give "
                "one row an item, in the table's order."
            )
        observed = np.hstack([self.observed, added.observed])
        return self._derived(FeatureTable({**self._sources, **added._sources}, observed))

    def _derived(self, table: FeatureTable, rows: AnyArray | None = None) -> FeatureTable:
        """Return a table made of this one's items (of these rows), with what else this knows."""
        return table

    def statistics(
        self, rows: Rows | None = None
    ) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        r"""Return each modality's mean and standard deviation over its observed rows.

        .. math:: loc_j = \frac{1}{n}\sum_i x_{ij}, \qquad
                  scale_j = \sqrt{\frac{1}{n}\sum_i (x_{ij} - loc_j)^2}

        Of a sequence, :math:`x_i` is the mean over the item's steps. Computed in chunks, in
        float64, so that nothing larger than a chunk is read at a time.
        A constant feature, and every feature of a modality nowhere observed, gets scale 1.

        Args:
            rows: The rows to use (those of train, say); all if not given.

        Returns:
            Modality -> (`loc`, `scale`), each `features`, float32.

        Raises:
            IndexError: If a row is out of range.
        """
        index = as_rows(slice(None) if rows is None else rows, self.num_items)
        return {
            name: source.loc_scale(index[self.observed[index, column]])
            for column, (name, source) in enumerate(self._sources.items())
        }
