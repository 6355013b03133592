"""The command that holds a Bayesian network against what one would use in its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesfuse.cli_open import temperature_and_weights
from bayesfuse.config import FinetuneConfig, FitConfig
from bayesfuse.errors import ConfigError, write_error
from bayesfuse.terminal import (
    comparing_progress,
    options_of,
    refuse_to_overwrite,
    tell,
    warn,
    without_effect,
)

if TYPE_CHECKING:
    from bayesfuse.estimator.tables.running import Plan

RESULTS = Path("comparison")
"""Where the results of models are kept, if nothing else is said."""


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
    models: Annotated[
        str | None,
        typer.Option(
            help="Train these models side by side, each without and with a posterior: names of "
            "`bayesfuse models` with commas between, or all.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            help="Without --models: names of the methods to hold it against, with commas between: "
            "twin, temperature, temperature-by-label, mc-dropout, ensemble, laplace, logistic; all "
            "if left out.",
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
            "`report --compare` if its name ends in .json, Markdown (of --models) if in .md, else "
            "CSV.",
            show_default=False,
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            help="With --models: folder that keeps each fit, so that the same command goes on "
            f"where it was stopped, and the table; {RESULTS} if left out.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="With --models: processes at once, of one thread each; by cores and free memory "
            "if left out.",
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
    if out is not None:
        refuse_to_overwrite(out)
    if models is not None:
        if only is not None:
            raise ConfigError("--only: for comparisons without --models; leave one of them out.")
        from bayesfuse.estimator.tables.running import Plan

        folder = RESULTS if results is None else results
        plan = Plan(folder, seeds, on, jobs, replicates, on_warning=warn, tell=tell)
        _models(catalog, names_of(models), {**file, **flags}, plan, out, as_json)
        return
    idle = [flag for flag, value in (("--results", results), ("--jobs", jobs)) if value is not None]
    if idle:
        raise ConfigError(f"{', '.join(idle)}: for --models only. Add it, or leave these out.")
    settings = FitConfig.resolve(flags, file, f"flags and {config}" if config else "flags")
    chosen = flags if config and config.suffix == ".json" else {**file, **flags}
    for warning in without_effect(settings, chosen):
        warn(warning)
    if out is not None and out.suffix.lower() == ".md":
        raise ConfigError(f"--out {out}: Markdown is of --models only. Have .json or .csv.")
    names = None if only is None else names_of(only)
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


def names_of(text: str) -> list[str]:
    """Return the names in a text with commas between."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _models(
    catalog: str | None,
    names: list[str],
    given: Mapping[str, Any],
    plan: Plan,
    out: Path | None,
    as_json: bool,
) -> None:
    """Make the table of these models, and write it wherever it is wanted."""
    from bayesfuse.estimator.tables.running import compare_models
    from bayesfuse.estimator.tables.writing import write_table, write_tables

    with comparing_progress() as bar:
        shown = replace(plan, on_fit=bar.on_fit, on_encoding=bar.on_encoding)
        try:
            table = compare_models(catalog, names, given, shown)
        except KeyboardInterrupt:
            tell(f"Interrupted; {plan.folder} keeps what is done, for the same command to go on.")
            raise typer.Exit(130) from None
    written = write_tables(table, plan.folder)
    if out is not None:
        write_table(table, out)
    if as_json:
        typer.echo(json.dumps(table.to_dict()))
        return
    typer.echo(f"{table.headline()}\n\n{table}")
    if table.about["scored"] == "val":
        typer.echo(
            "\nEpochs and thresholds were chosen on val, too; --on test scores on items that "
            "nothing was chosen on."
        )
    typer.echo(f"\nAs files: {', '.join(map(str, [*written, *([] if out is None else [out])]))}")
