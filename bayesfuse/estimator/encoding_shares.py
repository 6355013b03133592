"""Encoding that several processes share out among them, through one cache."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from bayesfuse.data.catalog import Catalog
from bayesfuse.encoders.base import Encoder
from bayesfuse.encoders.catalogues import Encoding, Running, apply_encoders, run_encoders
from bayesfuse.encoders.saving import load_encoders
from bayesfuse.encoders.store import read_features
from bayesfuse.errors import ConfigError
from bayesfuse.inference.distributed import barrier, from_first, is_first, processes, sum_


def encode_by_share(
    catalog: Catalog,
    named: Mapping[str, str] | None = None,
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    running: Running,
) -> Encoding:
    """Do what `run_encoders` does, of which each process does a share.

    Every process encodes its share of the cells of costly encoders into the cache. Then the first
    one puts the features together, which the others read from its file. Whatever is not written
    (light encoders in a fit, or a catalogue without a place) every process encodes for itself.

    Args:
        catalog: See `run_encoders`.
        named: See there.
        settings: See there.
        running: See there.
    """
    own = processes()
    if own.size == 1:
        return run_encoders(catalog, named, settings=settings, running=running)
    num_new: list[int] = []
    if running.folder is not None:
        share = (own.rank, own.size)
        some = run_encoders(catalog, named, settings=settings, running=running, shard=share)
        found = torch.tensor([run.num_new for run in some.runs.values()], dtype=torch.int64)
        num_new = sum_(found).tolist() if len(found) else []
        costly = list(some.runs)
    else:
        costly = []
    barrier()
    done = None
    if is_first():
        done = run_encoders(catalog, named, settings=settings, running=running)
        for modality, new in zip(costly, num_new, strict=True):
            run = done.runs[modality]
            run.num_known += run.num_new - new
            run.num_new = new
    written = from_first(done is not None and done.report is not None)
    if done is not None:
        return done
    if not written or running.folder is None:
        return run_encoders(catalog, named, settings=settings, running=running)
    encoders = load_encoders(running.folder)
    features = catalog.features.select(n for n in catalog.features.names if n not in encoders)
    for modality, encoder in encoders.items():
        encoder.resources = running.resources
        features = features.with_modality(modality, *read_features(running.folder, modality))
    # the order that the first process has them in
    order = [name for name in catalog.raw if name in features]
    order += [name for name in features.names if name not in order]
    return Encoding(dataclasses.replace(catalog, features=features.select(order)), encoders)


def apply_by_share(catalog: Catalog, fitted: Mapping[str, Encoder], *, running: Running) -> Catalog:
    """Do what `apply_encoders` does, of which each process does a share if encoders are costly.

    Args:
        catalog: See `apply_encoders`.
        fitted: See there.
        running: See there.

    Raises:
        ConfigError: If there are several processes, and no folder through which they could share.
    """
    own = processes()
    costly = [name for name, e in fitted.items() if e.costly and name in catalog.raw]
    if own.size > 1 and costly:
        if running.folder is None:
            raise ConfigError(
                f"{own.size} processes share the encoding of {', '.join(costly)}, and there is no "
                "folder through which they could: give one that all of them see with --encoded."
            )
        apply_encoders(catalog, fitted, running=running, shard=(own.rank, own.size))
        barrier()
    return apply_encoders(catalog, fitted, running=running)
