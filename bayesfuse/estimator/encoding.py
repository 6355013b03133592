"""Encoding as the commands do it: from their options to encoders, a folder and a summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayesfuse.config import EncodeConfig, EncoderConfig, RunningConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.locking import locked
from bayesfuse.encoders.base import Encoder, Resources, Setting
from bayesfuse.encoders.catalogues import Encoding, Running, run_encoders
from bayesfuse.encoders.reports import count_cases
from bayesfuse.encoders.running import Progress
from bayesfuse.encoders.store import FEATURES, default_folder
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.catalogs import DEMO, read_catalog
from bayesfuse.estimator.devices import choose_device
from bayesfuse.estimator.encoding_shares import encode_by_share
from bayesfuse.inference.distributed import is_first, processes

_FLAGS: dict[str, dict[str, str]] = {
    "text": {
        "pooling": "pooling",
        "max_length": "max_length",
        "long_texts": "long_texts",
        "languages": "languages",
    },
    "image": {
        "image_weights": "weights",
        "image_args": "model_args",
        "preprocessing": "preprocessing",
        "image_grid": "grid",
    },
}
"""Modality to the flags that are settings of its encoder, and what the encoder calls them."""

_TAKE_PRECISION = ("text", "image")


@dataclass(frozen=True)
class Encoded:
    """What `bayesfuse encode` came to.

    Attributes:
        folder: Where the features are.
        encoding: What was encoded.
        seconds: How long it took.
        shard: (k, n), if only a share was encoded.
    """

    folder: Path
    encoding: Encoding
    seconds: float
    shard: tuple[int, int] | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        found: dict[str, Any] = {}
        for modality, run in self.encoding.runs.items():
            encoder = self.encoding.encoders[modality]
            found[modality] = {
                "encoder": encoder.name,
                "features": encoder.width,
                "steps": encoder.steps,
                "observed": int(run.observed.sum()),
                "new": run.num_new,
                "known": run.num_known,
                "cases": [
                    {"outcome": outcome, "reason": reason, "cells": count}
                    for outcome, reason, count in count_cases(run.cases)
                ],
            }
        return {
            "folder": str(self.folder),
            "items": len(self.encoding.catalog),
            "seconds": round(self.seconds, 1),
            "shard": list(self.shard) if self.shard else None,
            "modalities": found,
            "report": None if self.encoding.report is None else str(self.encoding.report),
        }

    def __str__(self) -> str:
        """Return a line a modality, its cases, and where the features are."""
        lines = []
        for modality, run in self.encoding.runs.items():
            encoder = self.encoding.encoders[modality]
            lines.append(
                f"{modality}: {int(run.observed.sum()):,} items, {_size(encoder)} features "
                f"({encoder.name}; {run.num_new:,} cells encoded, {run.num_known:,} known before)"
            )
            lines += [
                f"  {count:,} {'without features' if outcome == 'unobserved' else 'with a remark'}"
                f": {reason}"
                for outcome, reason, count in count_cases(run.cases)
            ]
        if not self.encoding.runs and self.shard is not None:
            lines.append("Nothing to share out: only networks are; run without --shards.")
        elif not self.encoding.runs:
            lines.append("Nothing to encode: every modality has features.")
        elif self.shard is not None:
            k, n = self.shard
            lines.append(
                f"Share {k} of 0..{n - 1} is in {self.folder}, in {self.seconds:.0f} s. When all "
                "are done, run the command again without --shards and --shard."
            )
        else:
            lines.append(
                f"{self.folder / FEATURES} in {self.seconds:.0f} s; cells: {self.encoding.report}"
            )
        return "\n".join(lines)


def encode_run(
    source: str,
    out: Path | None,
    config: EncodeConfig,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Encoded:
    """Read a catalogue and encode what is raw, beside it or into `out`.

    Args:
        source: The catalogue.
        out: The folder; beside the catalogue if None.
        config: All settings.
        on_progress: Called now and then.
        on_warning: Called with each warning.
        tell: Called with what the user should see at once, such as a download.

    Raises:
        BayesfuseError: Whatever is wrong with the catalogue, the settings or a cell.
    """
    started = time.perf_counter()
    shard = _shard(config)
    if source == DEMO and not Path(source).exists():
        raise ConfigError(
            "The embedded demo catalogue has no place of its own; write it with "
            "`bayesfuse data demo OUT`, then encode OUT."
        )
    folder = out if out is not None else default_folder(source)
    running = Running(
        resources(config, config.device, tell), folder, True, config.strict, on_progress
    )
    catalog = read_catalog(source, config, require_labels=False)
    named, settings = named_encoders(config), encoder_settings(config, catalog)
    # shares are for several at once, and write whole parts of the cache alone
    several = shard is not None or not is_first()
    alone = nullcontext() if several else locked(folder, "Choose another --out.", name="encode")
    with alone:
        if shard is None:
            done = encode_by_share(catalog, named, settings=settings, running=running)
        else:
            done = run_encoders(catalog, named, settings=settings, running=running, shard=shard)
    for warning in done.catalog.warnings:
        if on_warning is not None:
            on_warning(warning)
    return Encoded(folder, done, time.perf_counter() - started, shard)


def resources(
    config: RunningConfig, device: str, tell: Callable[[str], None] | None = None
) -> Resources:
    """Return what encoders may use, as the options say."""
    return Resources(
        device=str(choose_device(device)),
        batch_size=config.encode_batch_size,
        workers=config.workers,
        tell=tell or (lambda _: None),
    )


def encoded_folder(source: str, asked: str | None) -> Path | None:
    """Return where a catalogue's encoded features are kept; nowhere for the embedded demo's."""
    if asked is not None:
        return Path(asked)
    return None if source == DEMO else default_folder(source)


def named_encoders(config: EncoderConfig) -> dict[str, str]:
    """Return modality to encoder, for those that the options name."""
    wanted = {"text": config.text_encoder, "image": config.image_encoder}
    return {modality: name for modality, name in wanted.items() if name is not None}


def encoder_settings(config: EncoderConfig, catalog: Catalog) -> dict[str, Mapping[str, Setting]]:
    """Return modality to settings of its encoder, for the options that were given."""
    found: dict[str, dict[str, Setting]] = {}
    for modality, flags in _FLAGS.items():
        for flag, name in flags.items():
            value = getattr(config, flag)
            if value is not None:
                found.setdefault(modality, {})[name] = value
    for modality in config.keep_sequence or ():
        found.setdefault(modality, {})["keep_sequence"] = True
    if config.encoder_precision != "auto":
        encoded = [m for m in _TAKE_PRECISION if m in catalog.raw]
        for modality in encoded:
            found.setdefault(modality, {})["precision"] = config.encoder_precision
    return dict(found)


def _size(encoder: Encoder) -> str:
    """Return how many features an item has, and in how many steps."""
    most = "" if encoder.steps is None else f"sequences of at most {encoder.steps} steps x "
    return f"{most}{encoder.width}"


def _shard(config: EncodeConfig) -> tuple[int, int] | None:
    started = processes().size
    if started > 1 and (config.shard is not None or config.shards > 1):
        raise ConfigError(
            f"--shards: {started} processes were started together and share the items out by "
            "themselves. Leave --shards and --shard out."
        )
    if config.shard is None:
        if config.shards > 1:
            raise ConfigError(
                f"--shards {config.shards} needs --shard: which share this process encodes, "
                f"0 to {config.shards - 1}."
            )
        return None
    if config.shard >= config.shards:
        raise ConfigError(
            f"--shard is {config.shard}; expected 0 to {config.shards - 1} with --shards "
            f"{config.shards}."
        )
    return config.shard, config.shards
