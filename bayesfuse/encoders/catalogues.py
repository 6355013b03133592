"""Encoding the raw cells of a catalogue: fitted on the train split, applied to every item."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bayesfuse.data.arrays import open_array
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.locking import locked
from bayesfuse.data.sequences import Sequences
from bayesfuse.data.whole_files import scratch_folder
from bayesfuse.encoders.base import Encoder, Resources, Setting
from bayesfuse.encoders.cache import FeatureCache
from bayesfuse.encoders.choosing import choose_encoders, kind_of, load_specs, save_specs
from bayesfuse.encoders.names import EncoderSpec, encoder_class, make_encoder
from bayesfuse.encoders.reports import refuse_cases, tell_cases, write_report
from bayesfuse.encoders.rows_file import RowsFile
from bayesfuse.encoders.running import Encoded, InMemory, Nowhere, Progress, encode_column
from bayesfuse.encoders.saving import save_encoders
from bayesfuse.encoders.steps_file import StepsFile, disk_of_steps
from bayesfuse.encoders.store import CACHE, FEATURES, EncodedModality, make_folder, write_features
from bayesfuse.errors import ConfigError, FeatureError

SPILL_BYTES = 1 << 29
"""Features of a modality that are larger go to a file, and are read through a memory map."""

_PATIENCE = 600.0
"""Seconds to wait while another process writes the features of a catalogue."""


@dataclass(frozen=True)
class Running:
    """How encoders run; changes no feature.

    Attributes:
        resources: What they may use.
        folder: Where features are kept for the next time; nothing is kept if None.
        light_too: Whether to write the folder even if every encoder is a light one.
        strict: Whether a cell that cannot be encoded is an error.
        on_progress: Called now and then.
    """

    resources: Resources = field(default_factory=Resources)
    folder: Path | None = None
    light_too: bool = False
    strict: bool = False
    on_progress: Callable[[Progress], None] | None = None


@dataclass
class Encoding:
    """What encoding a catalogue came to.

    Attributes:
        catalog: The catalogue with features.
        encoders: Modality to fitted encoder.
        runs: Modality to what was encoded.
        report: The file that lists the cases; None if nothing was written.
    """

    catalog: Catalog
    encoders: dict[str, Encoder]
    runs: dict[str, Encoded] = field(default_factory=dict)
    report: Path | None = None


def encode_catalog(
    catalog: Catalog,
    encoders: Mapping[str, str] | None = None,
    *,
    settings: Mapping[str, Mapping[str, Setting]] | None = None,
    running: Running | None = None,
) -> tuple[Catalog, dict[str, Encoder]]:
    """Fit an encoder for every modality that needs one, and encode all items with it.

    A modality is encoded if `encoders` names it, or if it has raw cells and no features; see
    `choose_encoders` for which encoder it gets. Encoders see the raw cells of the train split when
    they are fitted, and never those of val and test, nor any label.

    Args:
        catalog: The catalogue, with or without features.
        encoders: Modality to encoder; these modalities are encoded even if they have features.
        settings: Modality to settings of its encoder.
        running: How to run; in memory on the CPU if None.

    Returns:
        The catalogue with the features, and modality to fitted encoder.

    Raises:
        ConfigError: If a modality, an encoder or a setting is unknown.
        FeatureError: If a modality's cells cannot be encoded.
        CatalogError: If `strict`, and a cell cannot be encoded.
        StorageError: If the disk is full; what is already encoded stays in the cache.
    """
    done = run_encoders(catalog, encoders, settings=settings, running=running)
    return done.catalog, done.encoders


def run_encoders(
    catalog: Catalog,
    encoders: Mapping[str, str] | None = None,
    *,
    settings: Mapping[str, Mapping[str, Setting]] | None = None,
    running: Running | None = None,
    shard: tuple[int, int] | None = None,
) -> Encoding:
    """Do what `encode_catalog` does, and tell more of it.

    Args:
        catalog: As there.
        encoders: As there.
        settings: As there.
        running: As there; with `shard` it needs a folder.
        shard: (k, n): encode the k-th of n shares of the items with the encoders that are costly,
            into the cache only.
    """
    running = running or Running()
    before = load_specs(running.folder) if running.folder is not None else {}
    specs = choose_encoders(catalog, encoders, settings, before)
    if shard is not None:
        specs = {m: spec for m, spec in specs.items() if encoder_class(spec.name).costly}
    fitted = _fit(catalog, specs, running.resources)
    notes = [f"{modality}: {note}" for modality, e in fitted.items() for note in e.notes_]
    catalog = dataclasses.replace(catalog, warnings=(*catalog.warnings, *notes))
    costly = any(encoder.costly for encoder in fitted.values())
    keep = running.folder if fitted and (costly or running.light_too) else None
    if keep is None or shard is not None:
        return _encode(catalog, fitted, running, running.folder if costly else None, None, shard)
    make_folder(keep)
    with ExitStack() as published:
        done = _encode(catalog, fitted, running, keep, keep, None, published)
        save_specs(keep, specs)
        save_encoders(keep, fitted)
    return done


def apply_encoders(
    catalog: Catalog,
    fitted: Mapping[str, Encoder],
    *,
    running: Running | None = None,
    shard: tuple[int, int] | None = None,
) -> Catalog:
    """Encode all items with encoders that were fitted before, perhaps on another catalogue.

    A modality of which this catalogue has neither raw cells nor features is left out.

    Args:
        catalog: The catalogue.
        fitted: Modality to fitted encoder.
        running: How to run; its folder serves as a cache, and no features of a catalogue are
            written there.
        shard: (k, n): encode the k-th of n shares of the items with the encoders that are costly,
            into the cache only; the catalogue comes back as it is.

    Returns:
        The catalogue with the features; those it had of the same modalities are replaced. Cells
        that could not be encoded are told in its warnings.

    Raises:
        ConfigError: If a modality holds another kind of cells than its encoder reads, or only
            features, which need not be those of the encoder.
        FeatureError: If not one cell of a modality can be encoded.
    """
    running = running or Running()
    usable = {}
    for modality, encoder in fitted.items():
        if modality not in catalog.raw:
            if modality in catalog.features:
                _check_same(catalog, modality, encoder)
            continue
        kind = kind_of(catalog.raw[modality])
        if kind != encoder.kind:
            raise ConfigError(
                f'{catalog.source}: modality "{modality}" holds {kind} cells, but the '
                f"encoder {encoder.name} reads {encoder.kind}."
            )
        encoder.resources = running.resources
        if shard is None or encoder.costly:
            usable[modality] = encoder
    return _encode(catalog, usable, running, running.folder, None, shard).catalog


def _check_same(catalog: Catalog, modality: str, encoder: Encoder) -> None:
    """Raise unless features are known to be those of an encoder."""
    made_by = catalog.feature_encoders.get(modality)
    if made_by is None:
        raise ConfigError(
            f'{catalog.source}: modality "{modality}" has features and no raw cells, but the model '
            f"was fitted on features of the encoder {encoder.name}. Give the column of raw cells, "
            "or features that `bayesfuse encode` wrote with this very encoder."
        )
    if made_by != encoder.fingerprint():
        raise ConfigError(
            f'{catalog.source}: the features of modality "{modality}" are those of another encoder '
            f"than the {encoder.name} that the model was fitted on (other weights, settings or "
            "training texts). Give the column of raw cells, or encode with the run's own encoder."
        )


def _fit(
    catalog: Catalog, specs: Mapping[str, EncoderSpec], resources: Resources
) -> dict[str, Encoder]:
    train = catalog.rows("train")
    made = {
        modality: make_encoder(spec.name, kind_of(catalog.raw[modality]), spec.settings)
        for modality, spec in specs.items()
    }
    for modality, encoder in made.items():
        encoder.resources = resources
        try:
            encoder.fit(catalog.raw[modality].take(train))
        except (FeatureError, ConfigError) as error:
            raise type(error)(f"{modality}: {error}") from error
    return made


def _encode(
    catalog: Catalog,
    fitted: Mapping[str, Encoder],
    running: Running,
    cache_folder: Path | None,
    out: Path | None,
    shard: tuple[int, int] | None,
    published: ExitStack | None = None,
) -> Encoding:
    features = catalog.features.select(n for n in catalog.features.names if n not in fitted)
    runs: dict[str, Encoded] = {}
    warnings = list(catalog.warnings)
    arrays: dict[str, NDArray[Any] | Sequences] = {}
    with scratch_folder("bayesfuse-encoding", out) as scratch:
        files: dict[str, EncodedModality] = {}
        for place, (modality, encoder) in enumerate(fitted.items()):
            cells = catalog.raw[modality]
            cache = None
            if cache_folder is not None and encoder.costly:
                cache = FeatureCache(
                    cache_folder / CACHE,
                    encoder.fingerprint(),
                    encoder.width,
                    steps=encoder.steps is not None,
                )
                if cache.damaged:
                    warnings.append(
                        f"{modality}: {len(cache.damaged)} files of the cache are damaged and are "
                        f"not used (first: {cache.damaged[0]}); you may remove them."
                    )
            path = scratch / f"{place}.npy"
            steps: StepsFile | None = None
            if encoder.steps is not None and shard is None:
                running.resources.tell(disk_of_steps(modality, encoder, len(cells)))
            try:
                if shard is not None:
                    runs[modality] = encode_column(
                        encoder, cells, Nowhere(), cache=cache, shard=shard,
                        on_progress=running.on_progress,
                    )  # fmt: skip
                elif encoder.steps is not None:
                    with StepsFile(path, len(cells), encoder.width) as steps:
                        runs[modality] = encode_column(
                            encoder, cells, steps, cache=cache, on_progress=running.on_progress
                        )
                elif out is not None or 4 * len(cells) * encoder.width > SPILL_BYTES:
                    with RowsFile(path, len(cells), encoder.width) as rows:
                        runs[modality] = encode_column(
                            encoder, cells, rows, cache=cache, on_progress=running.on_progress
                        )
                else:
                    memory = InMemory(len(cells), encoder.width)
                    runs[modality] = encode_column(
                        encoder, cells, memory, cache=cache, on_progress=running.on_progress
                    )
                    arrays[modality] = memory.values
            except FeatureError as error:
                raise FeatureError(f"{modality}: {error}") from error
            warnings += tell_cases(modality, catalog.ids, runs[modality].cases, len(cells))
            if path.exists():
                files[modality] = EncodedModality(
                    path,
                    runs[modality].observed,
                    encoder.fingerprint(),
                    None if steps is None else steps.starts,
                    None if steps is None else steps.lengths,
                )
        report = None
        all_cases = {modality: run.cases for modality, run in runs.items()}
        if out is not None:
            if published is not None:  # what is read below, and written after, is of one catalogue
                published.enter_context(locked(out, name="features", wait=_PATIENCE))
            write_features(out, catalog.id_name, catalog.ids, files)
            arrays |= {n: f.stored(open_array(out / FEATURES, n)) for n, f in files.items()}
            report = write_report(out, catalog.ids.tolist(), all_cases)
        elif files:  # mapped before the name goes; the content stays until nobody reads it
            arrays |= {n: f.stored(open_array(f.values)) for n, f in files.items()}
    if running.strict:
        refuse_cases(catalog.source, catalog.ids, all_cases, report)
    if shard is not None:
        return Encoding(catalog, dict(fitted), runs)
    for modality, run in runs.items():
        features = features.with_modality(modality, arrays[modality], run.observed)
    order = [name for name in catalog.raw if name in features]
    order += [name for name in features.names if name not in order]
    catalog = dataclasses.replace(
        catalog, features=features.select(order), warnings=tuple(warnings)
    )
    return Encoding(catalog, dict(fitted), runs, report)


__all__ = ["Encoding", "Running", "apply_encoders", "encode_catalog", "run_encoders"]
