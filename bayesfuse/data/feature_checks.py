"""What can be wrong with arrays of features, found for all modalities together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.arrays import StoredArray, release_pages
from bayesfuse.data.hdf5 import StoredDataset
from bayesfuse.data.rows import chunks, is_mask
from bayesfuse.data.sequences import Sequences, as_sequences
from bayesfuse.errors import did_you_mean

AnyArray = NDArray[Any]


def as_arrays(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return modality -> array, and a sentence for everything that is none.

    Memory maps, datasets of HDF5 and sequences stay as they are.
    """
    arrays: dict[str, Any] = {}
    problems = []
    for name, values in given.items():
        try:
            stored = isinstance(values, StoredDataset | Sequences)
            arrays[name] = values if stored else np.asanyarray(values)
        except ValueError:
            problems.append(
                f"{name}: rows of different lengths; give one row of numbers an item. Sequences "
                "are padded to items x steps x features, with lengths to say which steps count."
            )
    return arrays, problems


def feature_problems(
    arrays: Mapping[str, StoredArray | Sequences],
    observed: Mapping[str, AnyArray],
    *,
    lengths: Mapping[str, AnyArray] | None = None,
    num_items: int | None = None,
    ids: Sequence[str] | NDArray[np.str_] | None = None,
) -> list[str]:
    """Return one sentence for everything that is wrong with these arrays and masks.

    Args:
        arrays: Modality -> values, `items x features` or `items x steps x features`.
        observed: Modality -> mask, `items`; a modality left out is wholly observed.
        lengths: Modality -> number of steps of each item, `items`, 0 to `steps`; all steps count
            in a modality left out.
        num_items: The number of rows expected; the arrays must only agree if it is not given.
        ids: The items' ids, to name a row by.

    Returns:
        The problems, none if all is well. Values are read in chunks.
    """
    lengths = lengths or {}
    problems = [
        f'{what}: "{name}" is not a modality.{did_you_mean(name, arrays)}'
        for what, given in (("observed", observed), ("lengths", lengths))
        for name in given
        if name not in arrays
    ]
    well_shaped = []
    for name, values in arrays.items():
        found = _shape_problems(name, values)
        problems += found
        if not found:
            well_shaped.append(name)
    rows = {name: len(arrays[name]) for name in well_shaped}
    if num_items is not None:
        problems += [
            f"{name}: {count} feature rows, but the table has {num_items} items; encode every "
            "item, in the table's order (an item without this modality keeps a row, masked)."
            for name, count in rows.items()
            if count != num_items
        ]
    elif len(set(rows.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in rows.items())
        problems.append(f"the modalities differ in their number of rows: {counts}.")
    for name in well_shaped:
        mask, values = observed.get(name), arrays[name]
        found = [] if mask is None else _mask_problems(name, mask, rows[name])
        seen = np.ones(rows[name], np.bool_) if mask is None or found else mask.astype(np.bool_)
        if values.ndim == 3:
            values = as_sequences(values, lengths.get(name))
            found += _length_problems(name, values, seen, ids)
        elif name in lengths:
            found.append(
                f"{name}: has lengths, which are for items x steps x features; its shape is "
                f"{values.shape}. Leave the lengths out."
            )
        problems += found
        if not found:
            problems += _value_problems(name, values, seen, ids)
    return problems


def _shape_problems(name: str, values: StoredArray | Sequences) -> list[str]:
    if values.dtype.kind not in "fiub":
        return [f"{name}: holds {values.dtype}; expected floating or integer numbers."]
    if values.ndim not in (2, 3):
        hint = "; a single column is `array.reshape(-1, 1)`" if values.ndim == 1 else ""
        return [
            f"{name}: has shape {values.shape}; expected items x features, or items x steps x "
            f"features for sequences{hint}."
        ]
    if values.shape[-1] == 0:
        what = "column" if values.ndim == 2 else "feature in any step"
        return [f"{name}: has no {what}; expected at least one feature."]
    return []


def _mask_problems(name: str, mask: AnyArray, num_rows: int) -> list[str]:
    if mask.shape != (num_rows,):
        return [f"{name}: its observed mask has shape {mask.shape}; expected ({num_rows},)."]
    if is_mask(mask) or (mask.dtype.kind in "iu" and np.isin(mask, (0, 1)).all()):
        return []
    return [f"{name}: its observed mask holds {mask.dtype}; expected true or false (or 1 or 0)."]


def _length_problems(
    name: str,
    values: Sequences,
    seen: NDArray[np.bool_],
    ids: Sequence[str] | NDArray[np.str_] | None,
) -> list[str]:
    lengths, most = values.lengths, values.shape[1]
    if lengths is None:
        return []
    if lengths.shape != (len(values),):
        return [f"{name}: its lengths have shape {lengths.shape}; expected ({len(values)},)."]
    if lengths.dtype.kind not in "iu":
        return [f"{name}: its lengths hold {lengths.dtype}; expected whole numbers of steps."]
    wrong = seen & ((lengths < 0) | (lengths > most))
    if not wrong.any():
        return []
    first = int(wrong.argmax())
    return [
        f"{name}: {int(wrong.sum())} of {len(values)} lengths are not in 0..{most}, the steps "
        f"that items x steps x features {values.shape} has room for (first: {lengths[first]} at "
        f"{_place(first, ids)}); give the number of steps of each item."
    ]


def _value_problems(
    name: str,
    values: StoredArray | Sequences,
    seen: NDArray[np.bool_],
    ids: Sequence[str] | NDArray[np.str_] | None,
) -> list[str]:
    if values.dtype.kind != "f":
        return []
    if isinstance(values, Sequences):
        values = values.where(seen)  # of steps that an item does not have, nothing is looked at
    bad_rows = 0
    first = -1
    for part in chunks(len(values), int(np.prod(values.shape[1:]))):
        # A float64 beyond float32's range would become infinite in a batch.
        with np.errstate(over="ignore", invalid="ignore"):
            if isinstance(values, Sequences):
                read = values.read(np.arange(part.start, part.stop))[0].reshape(len(seen[part]), -1)
            else:
                read = np.asarray(values[part], dtype=np.float32)
        bad = ~np.isfinite(read).all(axis=1)
        bad &= seen[part]
        if first < 0 and bad.any():
            first = part.start + int(bad.argmax())
        bad_rows += int(bad.sum())
        del read  # it may be a view of the file
        release_pages(values)
    if not bad_rows:
        return []
    hint = ""
    if isinstance(values, Sequences):
        hint = (
            f" Steps that an item does not have are left out by their number (npz member "
            f'`{name}_lengths`, `lengths={{"{name}": counts}}` in Python).'
        )
    return [
        f"{name}: {bad_rows} of {len(values)} rows hold NaN or infinite features (first: "
        f"{_place(first, ids)}; rows are counted from 0). Mend them, or mark these items as having "
        f"no {name}: an array of true/false beside the features (npz member `{name}_observed`, "
        f'`observed={{"{name}": mask}}` in Python), or an empty cell in the raw column.{hint}'
    ]


def _place(row: int, ids: Sequence[str] | NDArray[np.str_] | None) -> str:
    return f'row {row}, id "{ids[row]}"' if ids is not None and row < len(ids) else f"row {row}"


def listed(problems: Sequence[str]) -> str:
    """Return the problems as one message."""
    if len(problems) == 1:
        return problems[0]
    return "\n".join(
        [f"{len(problems)} problems found in the features.", *(f"  - {p}" for p in problems)]
    )
