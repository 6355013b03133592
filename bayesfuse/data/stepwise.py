"""Tables whose batches hold sequences step by step, for networks that read them so."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from bayesfuse.data.features import FeatureTable
from bayesfuse.data.sequences import Sequences
from bayesfuse.data.sources import Source
from bayesfuse.errors import FeatureError


def by_step(table: FeatureTable, names: Collection[str]) -> FeatureTable:
    """Return the table whose batches hold these sequences step by step, and all others' means.

    In a batch such a modality is `items x steps x features`, of as many steps as the longest of
    the items has, with NaN in the steps that an item does not have. Its statistics are those of
    all steps.

    Args:
        table: A table; one of which nothing is read.
        names: Modalities that are sequences; one that is not observed of any item may be vectors.

    Raises:
        FeatureError: If a modality is unknown, or no sequence.

    Example:
        >>> table = FeatureTable.from_arrays({"text": [[[1.0], [2.0]], [[5.0], [0.0]]]},
        ...                                  lengths={"text": [2, 1]})
        >>> by_step(table, ["text"]).batch([0, 1])[0]["text"].tolist()
        [[[1.0], [2.0]], [[5.0], [nan]]]
        >>> by_step(table, []).batch([0, 1])[0]["text"].tolist()
        [[1.5], [5.0]]
    """
    sources = {name: replace(source, by_step=False) for name, source in table._sources.items()}
    for name in names:
        source = table._source(name)
        if not table.is_sequence(name):
            if table.observed[:, table.names.index(name)].any():
                raise FeatureError(
                    f'modality "{name}" holds one vector an item; expected a sequence, items x '
                    "steps x features, as the model was fitted on. Encode it with --keep-sequence "
                    f"{name}, or with the encoders of the run."
                )
            empty = np.broadcast_to(np.float16(0), (table.num_items, 1, table.widths[name]))
            source = Source(Sequences(empty, np.zeros(table.num_items, dtype=np.int64)))
        sources[name] = replace(source, by_step=True)
    return table._derived(FeatureTable(sources, table.observed))


def read_by_step(table: FeatureTable) -> tuple[str, ...]:
    """Return the modalities that batches of a table hold step by step."""
    return tuple(name for name, source in table._sources.items() if source.by_step)
