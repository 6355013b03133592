"""Predictions as a long table: one row an (item, label), streamed to Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bayesfuse.data.batches import cut
from bayesfuse.estimator.rules import rule_of
from bayesfuse.estimator.table_file import write_tables
from bayesfuse.evaluation.decisions import DecisionRule
from bayesfuse.evaluation.uncertainty import Predictive, summarise

if TYPE_CHECKING:
    from bayesfuse.estimator.classifier import FusionClassifier

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("label", pa.string()),
        ("mean", pa.float32()),
        ("sd", pa.float32()),
        ("q05", pa.float32()),
        ("q95", pa.float32()),
        ("mutual_information", pa.float32()),
        ("decision", pa.bool_()),
    ]
)
"""The columns: probabilities in [0, 1], mutual information in nats."""

SUMMARISED = 2**21
"""Draws of probabilities that are summarised at once, which takes some ten times their memory."""


def iter_predictions(
    classifier: FusionClassifier,
    X: Any,
    ids: NDArray[np.str_],
    *,
    draws: int | None = None,
    seed: int | None = None,
    decision: str | None = None,
    kind: str = "joint",
) -> Iterator[pa.Table]:
    """Yield the predictions of one chunk of items after the other, in the schema `SCHEMA`.

    Args:
        classifier: A fitted classifier.
        X: The items, as `FusionClassifier.predict_proba` accepts them.
        ids: Their ids, `items`.
        draws: Posterior draws; the classifier's if None.
        seed: Seed of the draws; the classifier's if None.
        decision: By which rule items are tagged; see `bayesfuse.estimator.rules.rule_of`.
        kind: See `FusionClassifier.sample_proba`.
    """
    names = np.array(classifier.label_names_)
    rule = rule_of(classifier, decision)
    start = 0
    for chunk in classifier.iter_proba(X, draws, seed, kind=kind):
        num_draws, num_items, num_labels = chunk.shape
        for some in cut(num_items, max(1, SUMMARISED // (num_draws * num_labels))):
            found = summarise(chunk[:, some])
            stop = start + found.mean.shape[0]
            yield _table(found, ids[start:stop], names, rule)
            start = stop
        del chunk  # or it would stay while the next one is made


def _table(
    found: Predictive, ids: NDArray[np.str_], names: NDArray[np.str_], rule: DecisionRule
) -> pa.Table:
    columns = {
        "id": np.repeat(ids, len(names)),
        "label": np.tile(names, len(ids)),
        "mean": found.mean.ravel(),
        "sd": found.sd.ravel(),
        "q05": found.quantiles[0.05].ravel(),
        "q95": found.quantiles[0.95].ravel(),
        "mutual_information": found.epistemic.ravel(),
        "decision": rule(found.mean).ravel(),
    }
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def write_predictions(
    tables: Iterator[pa.Table],
    path: Path,
    metadata: dict[str, Any],
    on_rows: Callable[[int], None] | None = None,
) -> int:
    """Write predictions to a Parquet file that does not exist yet.

    Args:
        tables: What `iter_predictions` yields.
        path: The file; written beside its place and renamed once it is whole.
        metadata: Kept in the file's schema under `bayesfuse`, as JSON: draws, seed, temperature.
        on_rows: Called with the rows written so far.

    Returns:
        The number of rows.

    Raises:
        UserError: If the file exists, or its folder cannot be written into.
        StorageError: If the disk is full.
    """
    return write_tables(tables, path, SCHEMA, metadata, on_rows)
