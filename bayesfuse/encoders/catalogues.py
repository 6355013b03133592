"""Encoding the raw cells of a catalogue: fitted on the train split, applied to every item."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.raw import RawColumn
from bayesfuse.encoders.base import Encoder, Kind
from bayesfuse.encoders.registry import ENCODERS, make_encoder
from bayesfuse.errors import ConfigError, FeatureError, unknown_option


def encode_catalog(
    catalog: Catalog, encoders: Mapping[str, str] | None = None
) -> tuple[Catalog, dict[str, Encoder]]:
    """Fit an encoder for every modality that needs one, and encode all items with it.

    A modality is encoded if `encoders` names it, or if it has raw cells and no features; then the
    encoder is the one that the catalogue asks for. Encoders see the raw cells of the train split
    when they are fitted, and never those of val and test, nor any label.

    Args:
        catalog: The catalogue, with or without features.
        encoders: Modality to encoder name; these modalities are encoded even if they have features.

    Returns:
        The catalogue with the features, and modality to fitted encoder.

    Raises:
        ConfigError: If a modality or an encoder is unknown, or no encoder is named for a modality
            that needs one.
        FeatureError: If a modality's cells cannot be encoded.
    """
    wanted = dict(encoders or {})
    for modality in wanted:
        if modality not in catalog.raw:
            raise ConfigError(
                unknown_option("modality with raw cells", modality, catalog.raw)
                + " An encoder needs raw texts or pictures."
            )
    for modality, cells in catalog.raw.items():
        if modality in wanted or modality in catalog.features:
            continue
        if modality not in catalog.encoders:
            raise ConfigError(_no_encoder(modality, _kind_of(cells)))
        wanted[modality] = catalog.encoders[modality]
    train = catalog.rows("train")
    fitted = {}
    for modality, name in wanted.items():
        cells = catalog.raw[modality]
        encoder = make_encoder(name, _kind_of(cells))
        try:
            fitted[modality] = encoder.fit(cells.take(train))
        except FeatureError as error:
            raise FeatureError(f"{modality}: {error}") from error
    notes = [f"{modality}: {note}" for modality, e in fitted.items() for note in e.notes_]
    encoded = apply_encoders(catalog, fitted)
    return dataclasses.replace(encoded, warnings=(*encoded.warnings, *notes)), fitted


def apply_encoders(catalog: Catalog, fitted: Mapping[str, Encoder]) -> Catalog:
    """Encode all items with encoders that were fitted before, perhaps on another catalogue.

    A modality of which this catalogue has neither raw cells nor features is left out.

    Args:
        catalog: The catalogue.
        fitted: Modality to fitted encoder.

    Returns:
        The catalogue with the features; those it had of the same modalities are replaced. Cells
        that could not be encoded are told in its warnings.

    Raises:
        ConfigError: If a modality holds another kind of cells than its encoder reads, or only
            features, which need not be those of the encoder.
        FeatureError: If not one cell of a modality can be encoded.
    """
    features = catalog.features.select(
        name for name in catalog.features.names if name not in fitted
    )
    warnings = list(catalog.warnings)
    for modality, encoder in fitted.items():
        if modality not in catalog.raw:
            if modality in catalog.features:
                raise ConfigError(
                    f'{catalog.source}: modality "{modality}" has features and no raw cells, but '
                    f"the model was fitted on features of the encoder {encoder.name}. Give the "
                    "column of raw cells."
                )
            continue
        cells = catalog.raw[modality]
        if _kind_of(cells) != encoder.kind:
            raise ConfigError(
                f'{catalog.source}: modality "{modality}" holds {_kind_of(cells)} cells, but the '
                f"encoder {encoder.name} reads {encoder.kind}."
            )
        try:
            values, observed = encoder.encode(cells)
        except FeatureError as error:
            raise FeatureError(f"{modality}: {error}") from error
        if problems := encoder.problems_:
            first = f"first: item {catalog.ids[problems[0].row]}, {problems[0].reason}"
            if not observed.any():
                raise FeatureError(
                    f"{modality}: not one of the {len(problems):,} cells can be encoded ({first})."
                )
            warnings.append(
                f"{modality}: {len(problems):,} of {len(cells):,} cells cannot be encoded and "
                f"count as missing ({first})."
            )
        features = features.with_modality(modality, values, observed)
    order = [name for name in catalog.raw if name in features]
    order += [name for name in features.names if name not in order]
    return dataclasses.replace(catalog, features=features.select(order), warnings=tuple(warnings))


def _kind_of(cells: RawColumn) -> Kind:
    return "text" if cells.kind == "text" else "image"


def _no_encoder(modality: str, kind: Kind) -> str:
    names = [name for name, encoder in ENCODERS.items() if encoder.kind == kind]
    flag = f"pass --{modality}-encoder {names[0]}, or " if modality in ("text", "image") else ""
    return (
        f'Modality "{modality}" has raw {kind} cells, no features and no encoder; {flag}'
        f'write encoder = "{names[0]}" below [modalities.{modality}] in catalog.toml.'
    )
