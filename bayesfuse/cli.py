"""The command line: parses, calls, prints. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesfuse.cli_check import check
from bayesfuse.cli_compare import compare
from bayesfuse.cli_data import data_app
from bayesfuse.cli_decide import decide
from bayesfuse.cli_distill import distill
from bayesfuse.cli_explain import explain
from bayesfuse.cli_graph import graph
from bayesfuse.cli_models import models
from bayesfuse.cli_open import temperature_and_weights
from bayesfuse.cli_processes import refuse_processes, shared
from bayesfuse.cli_rank import rank
from bayesfuse.cli_reproduce import reproduce
from bayesfuse.cli_run import evaluate, predict, report
from bayesfuse.config import CatalogConfig, EncodeConfig, FitConfig
from bayesfuse.errors import ConfigError
from bayesfuse.terminal import (
    encoding_progress,
    errors_to_exit_codes,
    options_of,
    refuse_to_overwrite,
    tell,
    training_progress,
    warn,
    without_effect,
)

if TYPE_CHECKING:
    from bayesfuse.estimator.workflow import Fit

app = typer.Typer(
    name="bayesfuse",
    help="Tags for catalogues, with honest probabilities.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
@options_of(FitConfig)
@shared
def fit(
    catalog: Annotated[
        str | None,
        typer.Argument(
            metavar="CATALOG",
            help="Folder with catalog.toml, or a Parquet, CSV or JSON-lines file; the embedded "
            "demo catalogue if left out.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Run folder to make; run if left out.", show_default=False
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Run folder of a fit that was killed or interrupted, to go on with as it was "
            "begun: its settings, its catalogue, and on a CPU its very numbers."
        ),
    ] = None,
    checkpoint_every: Annotated[
        int,
        typer.Option(metavar="INTEGER", help="Epochs from one checkpoint to the next; 0 for none."),
    ] = 1,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="TOML file of settings, or a run's config.json."),
    ] = None,
    as_json: JsonOption = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Fit the posterior of a fusion network and a classifier, and write a run folder."""
    if checkpoint_every < 0:
        raise ConfigError(f"--checkpoint-every is {checkpoint_every}; expected at least 0.")
    file = FitConfig.read_file(config) if config else {}
    if resume is not None:
        if out is not None:
            raise ConfigError(f"--out: --resume {resume} says where the run is; leave --out out.")
        _go_on(resume, catalog, {**file, **flags}, checkpoint_every, as_json)
        return
    out = out or Path("run")
    settings = FitConfig.resolve(flags, file, f"flags and {config}" if config else "flags")
    settings.check_loss()
    settings.check_pretraining()
    settings.check_members()
    refuse_to_overwrite(out)
    chosen = flags if config and config.suffix == ".json" else {**file, **flags}
    for warning in without_effect(settings, chosen):  # a config.json names every setting
        warn(warning)
    from bayesfuse.estimator.resuming import fit_with_checkpoints

    with training_progress(settings.epochs, settings.members) as bar:
        done = fit_with_checkpoints(
            catalog,
            out,
            settings,
            every=checkpoint_every,
            on_step=bar.on_step,
            on_encoding=bar.on_encoding,
            on_warning=warn,
            tell=tell,
        )
    _tell_fit(done, settings, as_json)


@app.command()
@options_of(EncodeConfig, without=("encoded",))
@shared
def encode(
    catalog: Annotated[
        str,
        typer.Argument(
            metavar="CATALOG",
            help="Folder with catalog.toml, or a Parquet, CSV or JSON-lines file.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder of the features; beside the catalogue if left out."
        ),
    ] = None,
    as_json: JsonOption = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Turn raw texts, pictures and columns into features, only those that are new."""
    settings = EncodeConfig.parse(flags, "flags")
    from bayesfuse.estimator.encoding import encode_run

    with encoding_progress() as on_progress:
        done = encode_run(
            catalog, out, settings, on_progress=on_progress, on_warning=warn, tell=tell
        )
    typer.echo(json.dumps(done.to_dict()) if as_json else str(done))


def _go_on(
    run: Path, catalog: str | None, given: Mapping[str, Any], every: int, as_json: bool
) -> None:
    """Go on with a fit that was not finished."""
    from bayesfuse.estimator.resuming import resume, settings_of

    settings = settings_of(run)
    with training_progress(settings.epochs, settings.members) as bar:
        done = resume(
            run,
            catalog,
            given,
            every=every,
            on_step=bar.on_step,
            on_encoding=bar.on_encoding,
            on_warning=warn,
            tell=tell,
        )
    _tell_fit(done, settings, as_json)


def _tell_fit(done: Fit, settings: FitConfig, as_json: bool) -> None:
    """Print what a fit came to."""
    results = done.classifier.results_
    result = results[0]
    summary = {
        "run": str(done.path),
        "seconds": round(done.seconds, 1),
        "epochs": len(result.history),
        "best_epoch": result.best_epoch,
        "stopped": result.stopped,
        "members": [
            {"epochs": len(r.history), "best_epoch": r.best_epoch, "stopped": r.stopped}
            for r in results
        ],
        **settings.told(),
        "warnings": list(done.warnings),
        "val": None if done.evaluation is None else done.evaluation.to_dict(),
    }
    if as_json:
        typer.echo(json.dumps(summary))
        return
    if done.evaluation is not None:
        typer.echo(f"val: {done.evaluation}\n")
    how = temperature_and_weights(settings)
    ended = "; ".join(
        f"{r.stopped} after {len(r.history)} epochs, epoch {r.best_epoch + 1} kept" for r in results
    )
    typer.echo(f"Fitted in {done.seconds:.0f} s ({ended}{how}). Run folder: {done.path}")
    if any(r.stopped == "interrupted" for r in results) and (done.path / "fit.json").is_file():
        tell(f"`bayesfuse fit --resume {done.path}` goes on.")


for verb in (
    *(predict, evaluate, decide, check, rank, explain, report),
    *(compare, reproduce, distill, graph, models),
):
    app.command()(verb)


@data_app.command("describe")
@options_of(CatalogConfig)
def data_describe(
    catalog: Annotated[str, typer.Argument(metavar="CATALOG", help="Folder or file.")],
    as_json: JsonOption = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Check a catalogue, and count its items, labels, modalities and people."""
    from bayesfuse.estimator.catalogs import read_catalog

    found = read_catalog(catalog, CatalogConfig.parse(flags, "flags"), require_labels=False)
    described = found.describe()
    typer.echo(json.dumps(described.to_dict()) if as_json else str(described))


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Tags for catalogues, with honest probabilities."""
    if version:
        from importlib.metadata import version as version_of

        typer.echo(version_of("bayesfuse"))
        raise typer.Exit
    with errors_to_exit_codes():
        refuse_processes(context.invoked_subcommand)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
