"""Which encoder a modality gets: as asked for, as its catalogue says, or as it was before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bayesfuse.config.parsing import parse_json
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.raw import RawColumn
from bayesfuse.data.whole_files import whole_file
from bayesfuse.encoders.base import Kind, Setting
from bayesfuse.encoders.names import EncoderSpec, default_spec, parse_spec
from bayesfuse.errors import ConfigError, RunFolderError, unknown_option, write_error

FILE_NAME = "encoding.json"


def choose_encoders(
    catalog: Catalog,
    named: Mapping[str, str] | None = None,
    settings: Mapping[str, Mapping[str, Setting]] | None = None,
    before: Mapping[str, EncoderSpec] | None = None,
) -> dict[str, EncoderSpec]:
    """Say which encoder each modality gets that is to be encoded.

    A modality is encoded if `named` names it, or if it has raw cells and no features. Its encoder
    is the one that `named` says; else the catalogue's own; else the one that was used before; else
    the default of its kind of cells.

    Args:
        catalog: The catalogue.
        named: Modality to encoder, as a user calls it.
        settings: Modality to settings, which count more than the catalogue's own.
        before: Modality to the encoder that encoded this catalogue before.

    Raises:
        ConfigError: If a modality has no raw cells, is not encoded, or its encoder is unknown.
    """
    named, settings, before = named or {}, settings or {}, before or {}
    for modality in [*named, *settings]:
        if modality not in catalog.raw:
            raise ConfigError(
                unknown_option("modality with raw cells", modality, catalog.raw)
                + " An encoder needs raw texts, pictures or columns of a table."
            )
    specs = {}
    for modality, cells in catalog.raw.items():
        if modality in catalog.features and modality not in named:
            if modality in settings:
                raise ConfigError(
                    f'{", ".join(settings[modality])}: no effect, since the modality "{modality}" '
                    f"has features. To encode it anew, name its encoder: --{modality}-encoder."
                )
            continue
        kind, own = kind_of(cells), catalog.encoder_settings.get(modality, {})
        if modality in named:
            spec = parse_spec(named[modality], kind)
            # the catalogue's settings are those of the encoder that it names
            if catalog.encoders.get(modality) == named[modality]:
                spec = spec.with_settings(own)
        elif modality in catalog.encoders:
            spec = parse_spec(catalog.encoders[modality], kind).with_settings(own)
        elif modality in before:
            spec = before[modality]
        else:
            spec = default_spec(kind).with_settings(own)
        specs[modality] = spec.with_settings(settings.get(modality, {}))
    return specs


def kind_of(cells: RawColumn) -> Kind:
    """Return which kind of encoder reads these cells."""
    if cells.kind in ("text", "table"):
        return cells.kind
    return "image"


def save_specs(folder: Path, specs: Mapping[str, EncoderSpec]) -> None:
    """Remember in a folder which encoders were used."""
    path = folder / FILE_NAME
    content = {
        modality: {"encoder": spec.name, "settings": dict(spec.settings)}
        for modality, spec in specs.items()
    }
    try:
        with whole_file(path) as unfinished:
            unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise write_error(path, error, "Make room, or choose another folder.") from error


def load_specs(folder: Path) -> dict[str, EncoderSpec]:
    """Return the encoders that were used in a folder; none if there is no record.

    Raises:
        RunFolderError: If the record cannot be read.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return {}
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        return {
            modality: EncoderSpec(str(entry["encoder"]), _tuples(entry["settings"]))
            for modality, entry in content.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunFolderError(
            f"{path} cannot be read ({error!r}). Remove it, and name the encoders again."
        ) from error


def _tuples(settings: Mapping[str, object]) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    for key, value in settings.items():
        found[key] = tuple(value) if isinstance(value, list) else value  # type: ignore[assignment]  # JSON
    return found
