"""The small catalogue of the competitors, in one thread, as a folder that a process can read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayesfuse import Catalog
from bayesfuse.errors import BayesfuseError
from bayesfuse.estimator.tables import running
from bayesfuse.estimator.tables.workers import Done, Failure
from tests.estimator.competitors.conftest import make_catalog, one_thread

__all__ = ["one_thread"]


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return make_catalog()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, catalog: Catalog) -> Path:
    """Return a catalogue folder of 240 items with two modalities."""
    path = tmp_path_factory.mktemp("films")
    values, observed = catalog.features.batch(slice(None))
    names = np.array(catalog.label_names)
    frame = pd.DataFrame({"id": catalog.ids, "split": catalog.split})
    frame["genres"] = [[str(name) for name in names[row > 0]] for row in catalog.labels]
    frame["director"] = catalog.people["director"]
    frame.to_parquet(path / "films.parquet")
    np.savez(path / "features.npz", **values, image_observed=observed[:, 1])
    (path / "catalog.toml").write_text(
        f'table = "films.parquet"\nid = "id"\nlabels = "genres"\nsplit = "split"\n'
        f"label_set = {json.dumps([*catalog.label_names])}\nempty_labels = 'none'\n"
        '[modalities.text]\nfeatures = "features.npz:text"\n'
        '[modalities.image]\nfeatures = "features.npz:image"\n'
        'observed = "features.npz:image_observed"\n'
        '[graph]\npeople = ["director"]\n'
    )
    return path


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have fits in this process; return the names of the rows that were fitted."""
    done: list[str] = []

    def inline(
        tasks: Sequence[Any],
        prepare: Callable[[Any], Callable[[Any], Any]],
        setup: Any,
        *,
        jobs: int,
    ) -> Iterator[Done[Any, Any]]:
        work = prepare(setup) if tasks else None
        for task in tasks:
            assert work is not None
            done.append(f"{task.row} {task.config.seed}")
            try:
                outcome = work(task)
            except BayesfuseError as error:
                outcome = Failure(str(error), expected=True)
            yield Done(task, outcome)

    monkeypatch.setattr(running, "in_processes", inline)
    return done
