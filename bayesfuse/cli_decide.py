"""The command that chooses when a run tags: `bayesfuse decide`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer

from bayesfuse.cli_open import (
    CatalogArgument,
    JsonOption,
    RunArgument,
    SplitOption,
    draws_and_seed,
    how_drawn,
    open_with,
)
from bayesfuse.config import DecideConfig, PredictConfig
from bayesfuse.terminal import options_of, warn


@options_of(DecideConfig, without=("decision", "update_old"))
def decide(
    run: RunArgument,
    catalog: CatalogArgument = None,
    split: SplitOption = "val",
    as_json: JsonOption = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Choose when to tag, for a goal, on labelled items; predict and report then go by it."""
    settings = DecideConfig.parse(flags, "flags")
    goal = settings.resolved_goal()
    for warning in settings.without_effect(flags):
        warn(warning)
    common = {name: value for name, value in flags.items() if name in PredictConfig.model_fields}
    opened, options = open_with(run, catalog, split, common, labelled=True)
    from bayesfuse.estimator.deciding import decide_run
    from bayesfuse.estimator.rules import write_rule

    draws, seed = draws_and_seed(opened, options)
    found = decide_run(run, opened, settings, split=split, draws=draws, seed=seed)
    for warning in found.warnings:
        warn(warning)
    path = write_rule(found.rule, opened.classifier.label_names_, run)
    if as_json:
        about = {"split": split, "draws": draws, "seed": seed, **opened.config.told()}
        about |= {"without": list(opened.without)}
        typer.echo(json.dumps({**about, "file": str(path), **found.to_dict()}))
        return
    head = f"{goal}: {opened.catalog.source}, {split}, {how_drawn(opened, draws)}"
    typer.echo(f"{head}\n\n{found}\n\nKept in {path}: predict and report go by it from now on.")
