"""Reading a catalogue's table role by role; every mistake goes into one list of findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.catalog_file import CatalogSpec, make_spec
from bayesfuse.data.findings import Findings
from bayesfuse.data.label_sources import JoinedLabels, join_sources
from bayesfuse.data.list_cells import read_lists
from bayesfuse.data.modalities import Modalities, ModalityReader
from bayesfuse.data.roles import (
    SPLITS,
    Labels,
    check_labels,
    hashed_split,
    make_labels,
    read_ids,
    read_split,
)
from bayesfuse.data.table_columns import Cell
from bayesfuse.data.tables import Table, is_blank
from bayesfuse.errors import CatalogError


@dataclass
class Reading:
    """One table being read as its specification says.

    A role whose column is missing is a problem in `findings` and comes back empty, so that the
    other roles are still checked; call `findings.raise_problems` before using anything.

    Attributes:
        table: The table.
        spec: Which column plays which role.
        folders: Where relative files are looked for, in this order.
        require_labels: Whether labelled items in train and in val are needed.
        seed: Of the split by hash.
        findings: Problems and warnings.
    """

    table: Table
    spec: CatalogSpec
    folders: Sequence[Path]
    require_labels: bool
    seed: int
    findings: Findings

    def ids(self) -> NDArray[np.str_]:
        """Read the ids, `items`."""
        cells = self._column(self.spec.id, "id")
        if cells is None:
            return np.array([str(row) for row in range(self.table.num_rows)], dtype=np.str_)
        return read_ids(cells, self.spec.id, self.findings)

    def titles(self) -> list[str] | None:
        """Read the titles, `items`; `""` where an item has none."""
        if self.spec.title is None:
            return None
        cells = self._column(self.spec.title, "title") or []
        return ["" if is_blank(cell) else str(cell) for cell in cells]

    def split(self, ids: NDArray[np.str_]) -> NDArray[np.str_]:
        """Read the splits, `items`, or draw them from the ids."""
        if self.spec.split is not None:
            cells = self._column(self.spec.split, "split")
            if cells is None:
                return np.full(len(ids), "", dtype="<U5")
            return read_split(cells, self.spec.split, self.findings)
        if self.spec.labels is None:
            self.findings.warn("no split and no labels: every item is in test.")
            return np.full(len(ids), "test", dtype="<U5")
        split = hashed_split(ids, self.seed)
        counts = ", ".join(f"{name} {(split == name).sum()}" for name in ("train", "val", "test"))
        self.findings.warn(
            f"no split column: items are split 80/10/10 by a hash of the id, seed {self.seed} "
            f"({counts})."
        )
        return split

    def labels(self, split: NDArray[np.str_]) -> tuple[Labels, JoinedLabels | None]:
        """Read the labels and check them against the splits.

        Returns:
            The labels; and what their sources say together, if there are several.
        """
        nothing = Labels(
            (), np.zeros((len(split), 0), np.float32), np.zeros(len(split), dtype=np.bool_)
        )
        if self.spec.labels is None:
            if self.require_labels:
                self.findings.problem(
                    "no labels: name their column with --labels (in catalog.toml: labels = "
                    f'"COLUMN"); {self.table.path} has {", ".join(self.table.names)}.'
                )
            return nothing, None
        num_problems = len(self.findings.problems)
        lists = [self._label_lists(name) for name in self.spec.labels]
        if not lists or len(self.findings.problems) > num_problems:
            return nothing, None
        label_set = self.spec.label_set
        if label_set is None and len(lists) > 1:
            label_set = tuple(
                sorted({name for rows in lists for row in rows for name in row or ()})
            )
        sources = [
            make_labels(
                rows,
                label_set=label_set,
                empty_means_none=self.spec.empty_labels == "none",
                findings=self.findings,
            )
            for rows in lists
        ]
        joined = None
        if len(sources) > 1:
            joined = join_sources(self.spec.labels, sources, self.spec.label_sources or "agreement")
        labels = sources[0] if joined is None else joined.labels
        # Where the split could not be read, nothing can be said of it.
        if self.require_labels and np.isin(split, SPLITS).all():
            check_labels(labels, split, self.findings)
        return labels, joined

    def _label_lists(self, column: str) -> list[list[str] | None]:
        cells = self._column(column, "labels")
        if cells is None:
            return []
        return read_lists(
            cells,
            self.spec.labels_separator,
            what=f'labels column "{column}"',
            flag="labels-separator",
            findings=self.findings,
        )

    def people(self) -> dict[str, list[list[str]]]:
        """Read who shares whom: relation -> names an item."""
        people = {}
        for name in self.spec.graph.people:
            cells = self._column(name, "people")
            if cells is not None:
                lists = read_lists(
                    cells,
                    self.spec.graph.people_separator,
                    what=f'people column "{name}"',
                    flag="people-separator",
                    findings=self.findings,
                )
                people[name] = [row or [] for row in lists]
        return people

    def modalities(self, ids: NDArray[np.str_], *, wanted: bool = True) -> Modalities:
        """Read raw cells and features; none if they are not wanted."""
        if wanted and not self.spec.modalities:
            self.findings.problem(
                "no modality: name at least one, in catalog.toml as [modalities.text] with column "
                "or features, for a single file with --text, --image or --features."
            )
        reader = ModalityReader(
            self.table, ids, self.spec.id, self.folders, self.spec.delimiter, self.findings
        )
        return reader.read(self.spec.modalities if wanted else {})

    def _column(self, name: str, role: str) -> list[Cell] | None:
        try:
            self.table.require(name, role)
            return self.table.column(name)
        except CatalogError as error:
            self.findings.take(error)
            return None


_ELSEWHERE = (
    *("text", "image", "tabular", "categories", "features"),
    *("people", "people_separator"),
)
"""Flags that say something of a modality or of the graph, not of the table."""


def spec_of_flags(
    path: Path, given: Mapping[str, object], columns: Sequence[str], findings: Findings
) -> CatalogSpec:
    """Say what a single file's flags say in the words of `catalog.toml`.

    Args:
        path: The file.
        given: Flag -> value, for the flags that were given.
        columns: The file's columns, for messages.
        findings: Where mistakes go that still leave a specification to go on with.

    Returns:
        The specification.

    Raises:
        CatalogError: With everything that is wrong with the flags.
    """
    if "id" not in given:
        raise CatalogError(
            path, [f"no id: name its column with --id; {path} has {', '.join(columns)}."]
        )
    modalities: dict[str, dict[str, object]] = {}
    for name in ("text", "image"):
        if name in given:
            modalities[name] = {"column": given[name], "kind": name}
    if "tabular" in given:
        modalities["tabular"] = {
            "columns": given["tabular"],
            "categories": given.get("categories", []),
        }
    elif "categories" in given:
        findings.problem("--categories needs --tabular, the columns that they are among.")
    features = given.get("features")
    if isinstance(features, Mapping):
        for name, reference in features.items():
            modalities.setdefault(str(name), {})["features"] = reference
    graph = {name: given[name] for name in ("people", "people_separator") if name in given}
    rest = {name: value for name, value in given.items() if name not in _ELSEWHERE}
    return make_spec(
        {**rest, "table": path.name, "modalities": modalities, "graph": graph}, path, findings
    )
