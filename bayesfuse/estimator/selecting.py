"""Some items of a run's catalogue, by id or title."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from bayesfuse.errors import ConfigError
from bayesfuse.estimator.workflow import Run
from bayesfuse.graph.finding import find_item


def select_items(run: Run, names: Sequence[str]) -> Run:
    """Return the run with these items only, in the order in which they are named.

    Args:
        run: A run and a catalogue.
        names: Ids or titles, each of one item among those of the split that was asked for.

    Raises:
        ConfigError: If a name is of no item, of several, or of one in another split, or an item
            comes twice.
    """
    rows = [find_item(run.catalog.ids, run.catalog.titles, name) for name in names]
    for row, name in zip(rows, names, strict=True):
        if row not in run.rows:
            raise ConfigError(
                f'The item "{name}" is in the split {run.catalog.split[row]}, which was not asked '
                "for. Use --split all."
            )
        if rows.count(row) > 1:
            raise ConfigError(f'The item "{name}" is named twice; name each once.')
    return dataclasses.replace(run, rows=np.array(rows, dtype=np.int64))
