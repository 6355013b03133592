"""From a command's options to a catalogue with the features of all its modalities."""

from __future__ import annotations

from collections.abc import Callable

from bayesfuse.config import FitConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.encoders.catalogues import Running, run_encoders
from bayesfuse.encoders.running import Progress
from bayesfuse.estimator.catalogs import read_catalog
from bayesfuse.estimator.devices import choose_device
from bayesfuse.estimator.encoding import encoded_folder, encoder_settings, named_encoders, resources
from bayesfuse.estimator.links import check_finetuned_nodes


def read_encoded(
    source: str | None,
    config: FitConfig,
    *,
    on_encoding: Callable[[Progress], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Catalog:
    """Read a catalogue, and encode what has no features; what was encoded before is read.

    Args:
        source: The catalogue; None for the embedded demo catalogue.
        config: The settings.
        on_encoding: Called now and then while raw cells are encoded.
        tell: Called with what the user should see at once, such as a download.

    Raises:
        BayesfuseError: Whatever is wrong with the catalogue, the settings or an encoder.
    """
    return encoded(read_catalog(source, config), config, on_encoding=on_encoding, tell=tell)


def encoded(
    catalog: Catalog,
    config: FitConfig,
    *,
    on_encoding: Callable[[Progress], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Catalog:
    """Return a catalogue with features of all its modalities (see `read_encoded`)."""
    choose_device(config.device)
    check_finetuned_nodes(config)
    running = Running(
        resources(config, config.device, tell),
        encoded_folder(catalog.source, config.encoded),
        strict=config.strict,
        on_progress=on_encoding,
    )
    settings = encoder_settings(config, catalog)
    encoders = named_encoders(config)
    return run_encoders(catalog, encoders, settings=settings, running=running).catalog
