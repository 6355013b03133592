"""What can be wrong with arrays of features, found for all modalities together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.rows import chunks, is_mask
from bayesfuse.errors import did_you_mean

AnyArray = NDArray[Any]


def feature_problems(
    arrays: Mapping[str, AnyArray],
    observed: Mapping[str, AnyArray],
    *,
    num_items: int | None = None,
    ids: Sequence[str] | NDArray[np.str_] | None = None,
) -> list[str]:
    """Return one sentence for everything that is wrong with these arrays and masks.

    Args:
        arrays: Modality -> values, `items x features`.
        observed: Modality -> mask, `items`; a modality left out is wholly observed.
        num_items: The number of rows expected; the arrays must only agree if it is not given.
        ids: The items' ids, to name a row by.

    Returns:
        The problems, none if all is well. Values are read in chunks.
    """
    problems = [
        f'observed: "{name}" is not a modality.{did_you_mean(name, arrays)}'
        for name in observed
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
        mask = observed.get(name)
        found = [] if mask is None else _mask_problems(name, mask, rows[name])
        problems += found
        if not found:
            problems += _value_problems(name, arrays[name], mask, ids)
    return problems


def _shape_problems(name: str, values: AnyArray) -> list[str]:
    if values.dtype.kind not in "fiub":
        return [f"{name}: holds {values.dtype}; expected floating or integer numbers."]
    if values.ndim != 2:
        hint = "; a single column is `array.reshape(-1, 1)`" if values.ndim == 1 else ""
        return [f"{name}: has shape {values.shape}; expected items x features{hint}."]
    if values.shape[1] == 0:
        return [f"{name}: has no column; expected at least one feature."]
    return []


def _mask_problems(name: str, mask: AnyArray, num_rows: int) -> list[str]:
    if mask.shape != (num_rows,):
        return [f"{name}: its observed mask has shape {mask.shape}; expected ({num_rows},)."]
    if is_mask(mask) or (mask.dtype.kind in "iu" and np.isin(mask, (0, 1)).all()):
        return []
    return [f"{name}: its observed mask holds {mask.dtype}; expected true or false (or 1 or 0)."]


def _value_problems(
    name: str,
    values: AnyArray,
    mask: AnyArray | None,
    ids: Sequence[str] | NDArray[np.str_] | None,
) -> list[str]:
    if values.dtype.kind != "f":
        return []
    bad_rows = 0
    first = -1
    for part in chunks(*values.shape):
        # A float64 beyond float32's range would become infinite in a batch.
        with np.errstate(over="ignore", invalid="ignore"):
            bad = ~np.isfinite(np.asarray(values[part], dtype=np.float32)).all(axis=1)
        if mask is not None:
            bad &= mask[part].astype(np.bool_)
        if first < 0 and bad.any():
            first = part.start + int(bad.argmax())
        bad_rows += int(bad.sum())
    if not bad_rows:
        return []
    where = f"row {first}"
    if ids is not None and first < len(ids):
        where += f', id "{ids[first]}"'
    return [
        f"{name}: {bad_rows} of {len(values)} rows hold NaN or infinite features (first: {where}; "
        "rows are counted from 0). Mend them, or mark these items as having no "
        f"{name}: an array of true/false beside the features (npz member `{name}_observed`, "
        f'`observed={{"{name}": mask}}` in Python), or an empty cell in the raw column.'
    ]
