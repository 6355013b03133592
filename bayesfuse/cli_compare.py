"""The command that holds a Bayesian network against what one would use in its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bayesfuse.cli_open import temperature_and_weights
from bayesfuse.config import FinetuneConfig, FitConfig
from bayesfuse.errors import write_error
from bayesfuse.terminal import (
    comparing_progress,
    options_of,
    refuse_to_overwrite,
    tell,
    warn,
    without_effect,
)


# decisions play no part, and the competitors get frozen features
@options_of(FitConfig, without=("decision", *FinetuneConfig.model_fields))
def compare(
    catalog: Annotated[
        str | None,
        typer.Argument(
            metavar="CATALOG",
            help="Folder with catalog.toml, or a Parquet, CSV or JSON-lines file; the embedded "
            "demo catalogue if left out.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            help="Names of the methods to hold it against, with commas between: twin, temperature, "
            "temperature-by-label, mc-dropout, ensemble, laplace, logistic; all if left out.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Fit everything so often, from --seed on.")] = 1,
    on: Annotated[str, typer.Option(help="Split to score on: val or test.")] = "val",
    replicates: Annotated[
        int, typer.Option(help="Resamples of items behind the intervals.")
    ] = 1000,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File to make, one row a (method, label, score), with intervals: JSON for "
            "`report --compare` if its name ends in .json, else CSV.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="TOML file of settings, or a run's config.json."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Fit a Bayesian network and its competitors alike, and compare scores, seconds and sizes."""
    file = FitConfig.read_file(config) if config else {}
    settings = FitConfig.resolve(flags, file, f"flags and {config}" if config else "flags")
    if out is not None:
        refuse_to_overwrite(out)
    chosen = flags if config and config.suffix == ".json" else {**file, **flags}
    for warning in without_effect(settings, chosen):
        warn(warning)
    names = None if only is None else [name.strip() for name in only.split(",") if name.strip()]
    from bayesfuse.estimator.comparing import compare_run

    with comparing_progress() as bar:
        found = compare_run(
            catalog,
            settings,
            only=names,
            seeds=seeds,
            scored=on,
            replicates=replicates,
            on_fit=bar.on_fit,
            on_encoding=bar.on_encoding,
            on_warning=warn,
            tell=tell,
        )
    if out is not None:
        try:
            out.absolute().parent.mkdir(parents=True, exist_ok=True)
            if out.suffix.lower() == ".json":
                out.write_text(json.dumps(found.to_dict()), encoding="utf-8")
            else:
                found.to_frame().to_csv(out, index=False)
        except OSError as error:
            raise write_error(out, error, "Make room or choose another --out.") from error
    if as_json:
        typer.echo(json.dumps(found.to_dict()))
        return
    about = found.about
    how = temperature_and_weights(settings)
    typer.echo(
        f"{about['catalog']}, {on}: {about['items']:,} items, {about['labels']} labels, "
        f"{seeds} seed{'s' if seeds > 1 else ''}{how}\n\n{found}"
    )
    if on == "val":
        typer.echo(
            "\nEpochs, thresholds, temperatures and penalties were chosen on val, too; --on test "
            "scores on items that nothing was chosen on."
        )
    if out is not None:
        typer.echo(f"\nAll scores, pooled and a label at a time: {out}")
