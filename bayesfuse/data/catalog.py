"""A catalogue: items with ids, labels, splits, features, raw cells and people, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.catalog_file import (
    FILE_NAME,
    Setting,
    files_outside,
    is_described,
    read_catalog_file,
)
from bayesfuse.data.description import CatalogDescription, LabelCount, ModalityDescription
from bayesfuse.data.features import FeatureTable
from bayesfuse.data.findings import Findings, first_few
from bayesfuse.data.label_sources import SourceAgreement
from bayesfuse.data.raw import RawColumn
from bayesfuse.data.reading import Reading, spec_of_flags
from bayesfuse.data.roles import SPLITS
from bayesfuse.data.tables import Table, open_table
from bayesfuse.errors import CatalogError, unknown_option


@dataclass(frozen=True, eq=False)
class Catalog:
    """Items, and all that is known of them.

    Attributes:
        source: The file or folder that was read.
        ids: Ids, `items`.
        titles: Titles, `items`, if the catalogue has them.
        label_names: The labels, in the order of the columns of `labels`.
        labels: 0 or 1, `items x labels`, float32; rows that are not `labelled` are all 0.
        labelled: Whether an item's labels are known, `items`.
        split: `train`, `val` or `test`, `items`.
        features: The encoded modalities.
        raw: Modality -> raw cells, for encoders; read when they are asked for.
        encoders: Modality -> the encoder that the catalogue asks for.
        people: Relation -> names an item.
        warnings: What the user should know.
        id_name: The column that the ids are from.
        encoder_settings: Modality -> settings of its encoder.
        feature_encoders: Modality -> fingerprint of the encoder that made its features, where the
            file of features tells.
        label_shares: What several sources of labels say of each, in [0, 1], `items x labels`,
            float32 (see `bayesfuse.data.label_sources`); None of one source. Training learns from
            them, and all else from `labels`, what most sources say.
        label_agreement: How like one another these sources are.
    """

    source: str
    ids: NDArray[np.str_]
    titles: list[str] | None
    label_names: tuple[str, ...]
    labels: NDArray[np.float32]
    labelled: NDArray[np.bool_]
    split: NDArray[np.str_]
    features: FeatureTable
    raw: dict[str, RawColumn]
    encoders: dict[str, str]
    people: dict[str, list[list[str]]]
    warnings: tuple[str, ...] = ()
    id_name: str = "id"
    encoder_settings: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    feature_encoders: Mapping[str, str] = field(default_factory=dict)
    label_shares: NDArray[np.float32] | None = None
    label_agreement: SourceAgreement | None = None

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        id: str | None = None,
        title: str | None = None,
        text: str | None = None,
        image: str | None = None,
        tabular: Sequence[str] | None = None,
        categories: Sequence[str] | None = None,
        features: Mapping[str, str] | None = None,
        labels: str | Sequence[str] | None = None,
        label_sources: str | None = None,
        labels_separator: str | None = None,
        label_set: Sequence[str] | None = None,
        empty_labels: str | None = None,
        people: Sequence[str] | None = None,
        people_separator: str | None = None,
        split: str | None = None,
        delimiter: str | None = None,
        require_labels: bool = True,
        with_modalities: bool = True,
        seed: int = 0,
    ) -> Catalog:
        """Read a folder with `catalog.toml`, or one Parquet, CSV or JSON-lines file.

        A folder of Parquet files without `catalog.toml` is read as one file.

        The options that name columns are for a single file; a folder's `catalog.toml` says the
        same in its keys.

        Args:
            path: The folder, its `catalog.toml`, or the file.
            id: The column of ids.
            title: The column of titles.
            text: The column of texts: the raw cells of the modality `text`.
            image: The column of image bytes or paths: the raw cells of the modality `image`.
            tabular: Columns of numbers and categories: the raw cells of the modality `tabular`.
            categories: Those of them whose numbers are names.
            features: Modality -> `FILE.npz:MEMBER`, `FILE.npy` or `FILE.parquet:COLUMN`; looked
                for from the current directory, then beside the file.
            labels: The column of labels: lists, or text that `labels_separator` splits; several
                columns, if there are several sources of labels.
            label_sources: How several sources count, `agreement` (the default) or `equal`; see
                `bayesfuse.data.label_sources`.
            labels_separator: What joins the labels of a text cell; `""` if a cell is one label.
            label_set: The labels, in order; all that occur, sorted, if not given.
            empty_labels: `unknown` (the default) or `none`: what an empty list of labels means.
            people: Columns of names, one relation each.
            people_separator: What joins the names of a text cell.
            split: The column of splits; without one, 80, 10 and 10 in 100 by a hash of the id.
            delimiter: What separates the fields of a CSV.
            require_labels: Whether labelled items in train and in val are needed, as for fitting.
            with_modalities: Whether raw cells and features are read; if not, there need be none.
            seed: Of the split by hash.

        Returns:
            The catalogue.

        Raises:
            CatalogError: With every mistake that was found.
        """
        path = Path(path)
        flags: dict[str, object] = {
            "id": id,
            "title": title,
            "text": text,
            "image": image,
            "tabular": list(tabular) if tabular is not None else None,
            "categories": list(categories) if categories else None,
            "features": dict(features) if features else None,
            "labels": labels if labels is None or isinstance(labels, str) else list(labels),
            "label_sources": label_sources,
            "labels_separator": labels_separator,
            "label_set": list(label_set) if label_set is not None else None,
            "empty_labels": empty_labels,
            "people": list(people) if people else None,
            "people_separator": people_separator,
            "split": split,
            "delimiter": delimiter,
        }
        given = {name: value for name, value in flags.items() if value is not None}
        if not path.exists():
            raise CatalogError(path, [f"{path}: no such file or folder."])
        findings = Findings()
        if is_described(path):
            file = path / FILE_NAME if path.is_dir() else path
            if given:
                names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
                findings.problem(f"{names}: for a single file; what a folder holds, {file} says.")
            spec = read_catalog_file(file, findings)
            outside = files_outside(spec, file.parent)
            if outside:
                findings.warn(
                    f"{file} reads files outside of its folder ({first_few(outside)}). If it is "
                    "not your own, do you trust who wrote it?"
                )
            table = _opened(file.parent / spec.table, spec.delimiter, path, findings)
            folders = [file.parent]
        else:
            table = _opened(path, delimiter, path, findings)
            spec = spec_of_flags(path, given, table.names, findings)
            folders = [Path.cwd(), path.parent]
        reading = Reading(table, spec, folders, require_labels, seed, findings)
        ids = reading.ids()
        split_of = reading.split(ids)
        known, joined = reading.labels(split_of)
        shown, names_of = reading.titles(), reading.people()
        modalities = reading.modalities(ids, wanted=with_modalities)
        findings.raise_problems(path)
        return cls(
            source=str(path),
            ids=ids,
            titles=shown,
            label_names=known.names,
            labels=known.values,
            labelled=known.labelled,
            label_shares=None if joined is None else joined.shares,
            label_agreement=None if joined is None else joined.agreement,
            split=split_of,
            features=modalities.features,
            raw=modalities.raw,
            encoders=modalities.encoders,
            encoder_settings=modalities.encoder_settings,
            feature_encoders=modalities.feature_encoders,
            people=names_of,
            warnings=tuple(findings.warnings),
            id_name=spec.id,
        )

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.ids)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Return the rows of a split: `train`, `val` or `test`.

        Raises:
            CatalogError: If there is no split of this name.
        """
        if split not in SPLITS:
            raise CatalogError(self.source, [unknown_option("split", split, SPLITS)])
        return np.flatnonzero(self.split == split).astype(np.int64)

    def labelled_rows(self, split: str) -> NDArray[np.int64]:
        """Return the rows of a split whose labels are known.

        Raises:
            CatalogError: If there is no split of this name.
        """
        rows = self.rows(split)
        return rows[self.labelled[rows]]

    def targets(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return what training learns of items, in [0, 1], `rows x labels`.

        Args:
            rows: The rows of labelled items.
        """
        return (self.labels if self.label_shares is None else self.label_shares)[rows]

    def describe(self) -> CatalogDescription:
        """Count items, labels, modalities and people."""
        train, val = (self.labels[self.labelled_rows(name)] for name in ("train", "val"))
        widths, dtypes = self.features.widths, self.features.dtypes
        observed = dict(zip(self.features.names, self.features.observed.T, strict=True))
        names = dict.fromkeys([*self.features.names, *self.raw])
        return CatalogDescription(
            source=self.source,
            num_items=len(self),
            splits={
                name: {"items": len(self.rows(name)), "labelled": len(self.labelled_rows(name))}
                for name in SPLITS
            },
            labels=tuple(
                LabelCount(
                    name,
                    int(train[:, i].sum()),
                    int(val[:, i].sum()),
                    float(train[:, i].mean()) if len(train) else None,
                    float(val[:, i].mean()) if len(val) else None,
                )
                for i, name in enumerate(self.label_names)
            ),
            labels_an_item=(
                float(self.labels[self.labelled].sum(axis=1).mean())
                if self.labelled.any()
                else None
            ),
            modalities=tuple(
                ModalityDescription(
                    name,
                    widths.get(name),
                    dtypes.get(name),
                    float((observed[name] if name in observed else self.raw[name].observed).mean()),
                    self.raw[name].kind if name in self.raw else None,
                    self.encoders.get(name),
                    self.raw[name].columns if name in self.raw else {},
                )
                for name in names
            ),
            people={
                relation: {
                    "items": sum(map(bool, lists)),
                    "names": len({person for persons in lists for person in persons}),
                }
                for relation, lists in self.people.items()
            },
            label_agreement=self.label_agreement,
            warnings=self.warnings,
        )


def _opened(table: Path, delimiter: str | None, source: Path, findings: Findings) -> Table:
    try:
        opened = open_table(table, delimiter)
    except CatalogError as error:
        raise CatalogError(source, [*findings.problems, *error.problems]) from error
    if opened.num_rows == 0:
        findings.problem(f"{table}: the table is empty; expected one row an item.")
        findings.raise_problems(source)
    return opened
