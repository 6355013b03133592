"""What `fit` and `predict` accept, turned into feature tables and label matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_array, column_or_1d

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.data.modality_names import modality_name_problems
from bayesfuse.errors import ConfigError, FeatureError, unknown_option

Columns = slice | Sequence[int]

_INDICATOR = (
    "Expected an indicator matrix of 0 and 1, items x labels; "
    "sklearn.preprocessing.MultiLabelBinarizer makes one of lists of labels."
)


@dataclass(frozen=True)
class Labels:
    """A label matrix and what its columns are called.

    Attributes:
        matrix: `items x labels`, 0 or 1, float32.
        names: One a column.
        classes: The two classes of a single binary target (`labels` is 1); None for multi-label.
    """

    matrix: NDArray[np.float32]
    names: tuple[str, ...]
    classes: NDArray[Any] | None = None


@dataclass(frozen=True)
class TrainingData:
    """Features and labels of the training items, and of the validation items if there are any.

    Attributes:
        train: Features of the labelled training items.
        train_labels: Their labels, 0 or 1; shares in [0, 1] of several sources of labels.
        val: Features of the labelled validation items.
        val_labels: Their labels.
        every: Features of all training items; None if all of them have labels.
    """

    train: FeatureTable
    train_labels: NDArray[np.float32]
    val: FeatureTable | None
    val_labels: NDArray[np.float32] | None
    every: FeatureTable | None = None


def as_labels(y: Any) -> Labels:
    """Return the label matrix of what scikit-learn calls y.

    Args:
        y: An indicator matrix, `items x labels`, of 0 and 1 (its column names are kept if it is a
            DataFrame); or one binary target, `items`, of any two classes.

    Raises:
        FeatureError: If y is continuous, or has more than two classes and no indicator matrix.
    """
    if y is None:
        raise FeatureError(
            "This FusionClassifier requires y to be passed, but the target y is None; give an "
            "indicator matrix, items x labels, or fit a Catalog, which holds its labels."
        )
    if sparse.issparse(y):
        raise FeatureError("Sparse labels are not supported; give y.toarray(), items x labels.")
    names = [str(name) for name in y.columns] if isinstance(y, pd.DataFrame) else None
    if names is not None and len(set(names)) < len(names):
        raise FeatureError(f"y has a label twice: {', '.join(names)}; give each column one name.")
    try:
        array = np.asarray(y)
    except ValueError:
        raise FeatureError(f"y is a list of lists of different lengths. {_INDICATOR}") from None
    if array.ndim == 2 and array.shape[1] == 1 and names is None:
        array = column_or_1d(array, warn=True)
    if array.ndim == 1:
        return _binary(array)
    matrix = check_array(array, dtype=None, ensure_min_features=1, input_name="y")
    if not np.isin(matrix, (0, 1)).all():
        raise FeatureError(
            f"Unknown label type: y has {matrix.shape[1]} columns that hold "
            f"{np.unique(matrix)[:5].tolist()}. {_INDICATOR}"
        )
    columns = names or [f"label_{c}" for c in range(matrix.shape[1])]
    return Labels(matrix.astype(np.float32), tuple(columns))


def match_labels(y: Any, labels: Labels) -> Labels:
    """Return the label matrix of further items, such as those of validation.

    Args:
        y: As for `as_labels`; one binary target may be all of one class here.
        labels: Those of the training items.

    Raises:
        FeatureError: If y has other labels, or the same in another order.
    """
    if labels.classes is None:
        found = as_labels(y)
        if found.classes is not None or found.names != labels.names:
            raise FeatureError(
                f"The validation labels are {', '.join(found.names)}; expected those of the "
                f"training items, in the same order: {', '.join(labels.names)}."
            )
        return found
    array = column_or_1d(np.asarray(y))
    unknown = np.setdiff1d(array, labels.classes)
    if len(unknown):
        raise FeatureError(
            f"The validation labels hold {unknown[:5].tolist()}; expected the classes of the "
            f"training items, {labels.classes.tolist()}."
        )
    matrix = (array == labels.classes[1]).astype(np.float32)[:, None]
    return Labels(matrix, labels.names, labels.classes)


def _binary(array: NDArray[Any]) -> Labels:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise FeatureError("Input y contains NaN or infinity; expected two classes.")
    kind = type_of_target(array, input_name="y", raise_unknown=True)
    if kind not in {"binary", "multiclass"}:
        raise FeatureError(
            f"Unknown label type: {kind}. Expected an indicator matrix, items x labels, or one "
            "binary target."
        )
    classes = np.unique(array)
    if len(classes) > 2:
        raise FeatureError(
            f"Only binary classification is supported for one target. The type of the target is "
            f"{kind}: {len(classes)} classes. For labels of which an item has any number, give an "
            "indicator matrix, items x labels."
        )
    if len(classes) < 2:
        raise FeatureError(
            f"Classifier can't train when only one class is present: y is {classes[0]!r} "
            "everywhere. Expected items of two classes."
        )
    return Labels((array == classes[1]).astype(np.float32)[:, None], (str(classes[1]),), classes)


def as_columns(modalities: Mapping[str, Columns] | None, num_features: int) -> dict[str, list[int]]:
    """Return which columns of a 2-D array are whose: modality to column numbers.

    Args:
        modalities: Modality to a slice, column numbers, or a mask over the columns; one modality
            `features` if None.
        num_features: Columns of the array.

    Raises:
        ConfigError: If a name is not usable, or columns are outside the array, empty, or taken
            twice; columns of no modality are an error too, since they would be ignored.
    """
    if modalities is None:
        return {"features": list(range(num_features))}
    problems = modality_name_problems(modalities)
    found: dict[str, list[int]] = {}
    taken = np.zeros(num_features, int)
    for name, columns in modalities.items():
        index = columns if isinstance(columns, slice) else np.asarray(columns)
        if not isinstance(index, slice) and (index.ndim != 1 or index.dtype.kind not in "iub"):
            if index.size or index.ndim != 1:
                problems.append(
                    f'"{name}" got {columns!r}; expected a slice, a list of column numbers, or a '
                    "mask of true and false."
                )
                continue
            index = index.astype(int)  # an empty list is one of floats
        try:
            chosen = np.arange(num_features)[index]
        except IndexError:
            problems.append(f'"{name}" has columns outside 0..{num_features - 1}: {columns}.')
            continue
        if not len(chosen):
            problems.append(f'"{name}" has no columns: {columns} of {num_features}.')
        found[name] = chosen.tolist()
        np.add.at(taken, chosen, 1)
    if (taken > 1).any():
        problems.append(f"columns taken twice: {np.flatnonzero(taken > 1)[:5].tolist()}.")
    if not problems and (taken == 0).any():
        problems.append(
            f"columns of no modality: {np.flatnonzero(taken == 0)[:5].tolist()}; drop them from X "
            "or name a modality for them."
        )
    if problems:
        raise ConfigError("In `modalities`: " + " ".join(problems))
    return found


def refuse_modalities(modalities: Mapping[str, Columns] | None) -> None:
    """Raise if columns are said to be a modality's though X names its modalities itself.

    Raises:
        ConfigError: If `modalities` is not None.
    """
    if modalities is not None:
        raise ConfigError(
            f"`modalities` says which columns of one array are whose, got "
            f"{', '.join(modalities)}; X names its modalities itself. Leave it at None."
        )


def split_columns(X: NDArray[Any], columns: Mapping[str, list[int]]) -> FeatureTable:
    """Return the feature table of a 2-D array whose columns belong to modalities."""
    return FeatureTable.from_arrays({name: X[:, numbers] for name, numbers in columns.items()})


def is_table(X: object) -> bool:
    """Return whether X is a catalogue, a feature table or a mapping of arrays, not one array."""
    # some sparse matrices are mappings from (row, column) to value
    return isinstance(X, Catalog | FeatureTable | Mapping) and not sparse.issparse(X)


def as_table(X: Catalog | FeatureTable | Mapping[str, Any]) -> FeatureTable:
    """Return the features of a catalogue, a feature table, or a mapping of arrays.

    An array of a mapping is `items x features`, or `items x steps x features`. It may come with a
    mask, `items`, of the same name plus `_observed`; and one of sequences with the number of steps
    of each item, of the same name plus `_lengths`.

    Raises:
        FeatureError: If anything does not fit; all that does not is in the one message.
    """
    if isinstance(X, Catalog):
        return X.features
    if isinstance(X, FeatureTable):
        return X
    masks, lengths = _of_suffix(X, "_observed"), _of_suffix(X, "_lengths")
    values = {name: v for name, v in X.items() if not name.endswith(("_observed", "_lengths"))}
    return FeatureTable.from_arrays(values, masks or None, lengths or None)


def _of_suffix(X: Mapping[str, Any], suffix: str) -> dict[str, Any]:
    return {n.removesuffix(suffix): array for n, array in X.items() if n.endswith(suffix)}


def match_modalities(
    table: FeatureTable, widths: Mapping[str, int], *, ignore_others: bool = True
) -> FeatureTable:
    """Return the table with just the modalities that a network was fitted on, in its order.

    A modality that the table lacks is unobserved for every item.

    Args:
        table: The features.
        widths: Modality to number of features, of the network.
        ignore_others: Whether the table may have modalities that the network does not know; a
            catalogue may, but in a mapping a name that is not known is a mistake.

    Raises:
        FeatureError: If there is no item, no modality is left, or a width is another one.
    """
    problems = ["Found array with 0 samples; expected at least one item."] * (not len(table))
    if not ignore_others:
        problems += [
            unknown_option("modality", name, widths) for name in table.names if name not in widths
        ]
    problems += [
        f'modality "{name}" has {table.widths[name]} features; expected {width}: were they made '
        "by the encoder that the model was fitted with?"
        for name, width in widths.items()
        if name in table and table.widths[name] != width
    ]
    known = [name for name in widths if name in table]
    if not known:
        problems.append(
            f"none of the modalities {', '.join(widths)} is there; got "
            f"{', '.join(table.names) or 'none'}."
        )
    if problems:
        raise FeatureError("The features do not fit the model: " + " ".join(problems))
    for name, width in widths.items():
        if name not in table:
            nothing = np.zeros(table.num_items, bool)
            empty = np.broadcast_to(np.float16(0), (table.num_items, width))
            table = table.with_modality(name, empty, nothing)
    return table.select(widths)
