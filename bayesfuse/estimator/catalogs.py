"""From a command's options to a catalogue: a folder, a file, or the embedded demo."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bayesfuse.config import CatalogConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.demo import write_demo
from bayesfuse.errors import ConfigError, unknown_option

DEMO = "demo"
"""What the source of the embedded demo catalogue is called."""


def read_catalog(
    source: str | None, config: CatalogConfig, *, require_labels: bool = True, seed: int = 0
) -> Catalog:
    """Read a catalogue; the embedded demo catalogue if `source` is None or `"demo"`.

    Raises:
        CatalogError: With every mistake that was found.
        ConfigError: If options name a modality that is not there.
    """
    if source is None or (source == DEMO and not Path(source).exists()):
        return _demo(config)
    options = config.model_dump(include=set(_CATALOG_OPTIONS))
    catalog = Catalog.read(
        source,
        **{name: value for name, value in options.items() if value is not None},
        features=_feature_files(config.features),
        require_labels=require_labels,
        seed=seed,
    )
    return _only(catalog, config.modalities)


_CATALOG_OPTIONS = (
    "id",
    "title",
    "text",
    "image",
    "labels",
    "labels_separator",
    "label_set",
    "empty_labels",
    "people",
    "people_separator",
    "split",
    "delimiter",
)


def _demo(config: CatalogConfig) -> Catalog:
    given = [name for name in _CATALOG_OPTIONS if getattr(config, name) is not None]
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigError(
            f"{flags}: for a catalogue of your own that is one file, but no CATALOG was named, so "
            "this is the embedded demo catalogue. Name a CATALOG, or leave these out."
        )
    with tempfile.TemporaryDirectory(prefix="bayesfuse-demo-") as folder:
        catalog = Catalog.read(write_demo(Path(folder) / DEMO))
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
