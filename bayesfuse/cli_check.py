"""The command that asks whether a run is right: `bayesfuse check`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

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
from bayesfuse.config import PredictConfig
from bayesfuse.terminal import options_of, refuse_to_overwrite


@options_of(PredictConfig, without=("decision", "update_old"))
def check(
    run: RunArgument,
    catalog: CatalogArgument = None,
    split: SplitOption = "val",
    replicates: Annotated[
        int, typer.Option(min=100, help="Data sets that the model draws, to compare with.")
    ] = 1000,
    guide_draws: Annotated[
        int,
        typer.Option(
            min=0,
            help="Draws by which the guide is judged and items of train are left out, at least "
            "50; 0 for neither.",
        ),
    ] = 200,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="netCDF file to make: all draws and labels, for ArviZ to read."
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Folder to make: the checks as pictures, in SVG and PNG."),
    ] = None,
    as_json: JsonOption = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Check whether labels look like those that the model draws, and how good the guide is."""
    if out is not None:
        refuse_to_overwrite(out)
    if figures is not None:
        refuse_to_overwrite(figures, "Choose another --figures.")
    opened, options = open_with(run, catalog, split, flags, labelled=False)
    from bayesfuse.estimator.checking import check_run

    draws, seed = draws_and_seed(opened, options)
    found = check_run(
        opened, split, draws=draws, seed=seed, replicates=replicates, guide_draws=guide_draws
    )
    if out is not None:
        from bayesfuse.estimator.inference_data import inference_data_of
        from bayesfuse.inference.idata import save

        save(inference_data_of(opened, draws=draws, seed=seed), out)
    pictures = []
    if figures is not None:
        from bayesfuse.report.check_figures import write_check_figures

        pictures = write_check_figures(found, figures)
    if as_json:
        about = {"draws": draws, "seed": seed, **opened.config.told()}
        about |= {"without": list(opened.without)}
        about |= {"inference_data": None if out is None else str(out)}
        about |= {"figures": [str(path) for path in pictures]}
        typer.echo(json.dumps({**about, **found.to_dict()}))
        return
    typer.echo(f"{how_drawn(opened, draws)}\n{found}")
    if out is not None:
        typer.echo(f"\nFor ArviZ: {out}")
    if figures is not None:
        typer.echo(f"\n{len(pictures)} pictures: {figures}")
