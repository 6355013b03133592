"""From a command's options to a catalogue: a folder, a file, or the embedded demo."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.config import CatalogConfig, FitConfig, TableConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.catalog_file import is_described, split_reference
from bayesfuse.data.demo import write_demo
from bayesfuse.data.tables import TABLE_SUFFIXES, open_table, table_suffix
from bayesfuse.data.text_tables import DELIMITERS
from bayesfuse.data.whole_files import scratch_folder
from bayesfuse.errors import CatalogError, ConfigError, UserError, unknown_option

DEMO = "demo"
"""What the source of the embedded demo catalogue is called."""


def read_catalog(
    source: str | None,
    config: CatalogConfig,
    *,
    require_labels: bool = True,
    with_modalities: bool = True,
) -> Catalog:
    """Read a catalogue; the embedded demo catalogue if `source` is None or `"demo"`.

    Without its modalities it has neither raw cells nor features, and need have none.

    Raises:
        CatalogError: With every mistake that was found.
        ConfigError: If options name a modality that is not there.
    """
    if source is None or (source == DEMO and not Path(source).exists()):
        return _demo(config, with_modalities)
    if source == DEMO:
        source = os.path.abspath(source)  # a folder of this name is not the embedded catalogue
    options = config.model_dump(include=set(_CATALOG_OPTIONS))
    catalog = Catalog.read(
        source,
        **{name: value for name, value in options.items() if value is not None},
        features=_feature_files(config.features),
        require_labels=require_labels,
        with_modalities=with_modalities,
    )
    return _only(catalog, config.modalities)


def options_as_fitted(
    source: str, options: CatalogConfig, fitted: FitConfig, *, same: bool
) -> tuple[CatalogConfig, list[str]]:
    """Return how to read a catalogue for a run: what is left open is as in the fit.

    A folder says itself which column is what. To another file than the fit's, the fit's flags apply
    as far as its columns go: items to predict need not have labels, say. The fit's files of
    features do not, since their rows are those of the fit's items.

    Args:
        source: The catalogue.
        options: What is asked for.
        fitted: The settings of the fit.
        same: Whether it is the catalogue of the fit.

    Returns:
        The options, and what was left out, one sentence each.
    """
    path = Path(source)
    if not path.exists() or is_described(path):
        return options, []
    asked = options.model_dump(exclude_none=True)
    flags = fitted.model_dump(include=set(TableConfig.model_fields) | {"split"}, exclude_none=True)
    flags.pop("modalities", None)  # the network knows which it reads
    notes = [] if same else _drop_what_is_not_there(flags, asked, path)
    return CatalogConfig.parse({**flags, **asked}, "flags"), notes


def _drop_what_is_not_there(flags: dict[str, Any], asked: dict[str, Any], path: Path) -> list[str]:
    """Drop the flags of a fit that do not fit another file; return a sentence for each."""
    notes = []
    if flags.pop("features", None) and "features" not in asked:
        notes.append(
            f"the fit's --features belong to its own catalogue; give those of {path.name}."
        )
    if table_suffix(path) not in DELIMITERS:
        flags.pop("delimiter", None)
    delimiter = asked.get("delimiter", flags.get("delimiter"))
    try:
        columns = open_table(path, delimiter).names
    except CatalogError:
        return notes  # reading the catalogue will say what is wrong, and all else that is
    for role in ("title", "text", "image", "tabular", "labels", "people", "split"):
        named = flags.get(role, ())
        names = [named] if isinstance(named, str) else list(named)
        absent = [n for n in names if n not in columns and not split_reference(n, TABLE_SUFFIXES)]
        if role == "tabular" and len(absent) < len(names):
            continue  # an encoder of a table needs all its columns: reading names what is missing
        if absent and role not in asked:
            notes.append(
                f"{path.name} has no column {', '.join(absent)}, which was --{role} in the fit; "
                "it is left out."
            )
            flags[role] = tuple(name for name in names if name not in absent) or None
    if flags.get("tabular") is None and "tabular" not in asked:
        flags.pop("categories", None)
    if flags.get("labels") is None and "labels" not in asked:
        for name in ("labels", "labels_separator", "label_set", "empty_labels"):
            flags.pop(name, None)
    if len(asked.get("labels") or flags.get("labels") or ()) < 2:
        flags.pop("label_sources", None)
    return notes


_CATALOG_OPTIONS = (
    "id",
    "title",
    "text",
    "image",
    "tabular",
    "categories",
    "labels",
    "label_sources",
    "labels_separator",
    "label_set",
    "empty_labels",
    "people",
    "people_separator",
    "split",
    "delimiter",
)


def _demo(config: CatalogConfig, with_modalities: bool) -> Catalog:
    given = [name for name in _CATALOG_OPTIONS if getattr(config, name) is not None]
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigError(
            f"{flags}: for a catalogue of your own that is one file, but no CATALOG was named, so "
            "this is the embedded demo catalogue. Name a CATALOG, or leave these out."
        )
    with scratch_folder("bayesfuse-demo") as folder:
        made = write_demo(folder / DEMO)
        catalog = Catalog.read(made, with_modalities=with_modalities)
        for cells in catalog.raw.values():
            len(cells.cells)  # read before the folder goes
    return _only(dataclasses.replace(catalog, source=DEMO), config.modalities)


def _only(catalog: Catalog, modalities: tuple[str, ...] | None) -> Catalog:
    """Keep these modalities of a catalogue only."""
    if modalities is None:
        return catalog
    known = dict.fromkeys([*catalog.features.names, *catalog.raw])
    problems = [unknown_option("modality", name, known) for name in modalities if name not in known]
    if problems:
        raise ConfigError(f"In --modalities: {' '.join(problems)}")
    return dataclasses.replace(
        catalog,
        features=catalog.features.select(n for n in catalog.features.names if n in modalities),
        raw={name: cells for name, cells in catalog.raw.items() if name in modalities},
    )


def _feature_files(features: tuple[str, ...] | None) -> Mapping[str, str] | None:
    """Read `("text=feats.npz:text",)` as a mapping."""
    if features is None:
        return None
    found = {}
    for part in features:
        name, equals, file = part.partition("=")
        if not equals or not name or not file:
            raise ConfigError(
                f'--features got "{part}"; expected NAME=FILE or NAME=FILE:MEMBER, such as '
                "text=features.npz:text."
            )
        found[name] = file
    return found


def rows_of_split(catalog: Catalog, split: str | None, *, labelled: bool) -> NDArray[np.int64]:
    """Return the rows of a split (all of them for None or `all`); only labelled ones, if wanted.

    Raises:
        UserError: If there are none.
    """
    rows = np.arange(len(catalog)) if split in {None, "all"} else catalog.rows(str(split))
    if labelled:
        rows = rows[catalog.labelled[rows]]
    if not len(rows):
        of = catalog.labelled_rows if labelled else catalog.rows
        counts = {name: len(of(name)) for name in ("train", "val", "test")}
        what = "labelled items" if labelled else "items"
        raise UserError(
            f'{catalog.source} has no {what} in the split "{split}"; it has '
            f"{', '.join(f'{count} in {name}' for name, count in counts.items())}. "
            "Choose another --split."
        )
    return rows
