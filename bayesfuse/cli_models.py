"""The command that lists all models: `bayesfuse models`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from bayesfuse.config import ModelsConfig
from bayesfuse.terminal import options_of


@options_of(ModelsConfig)
def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """List fusion rules and models: how to fit each, its paper, its number of parameters."""
    settings = ModelsConfig.parse(flags, "flags")
    from bayesfuse.estimator.listing import list_models

    found = list_models(settings.widths, settings.labels, settings.hidden)
    typer.echo(json.dumps(found.to_dict()) if as_json else str(found))
