"""The command line: parses, calls, prints. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from bayesfuse.config import CatalogConfig, Config, FitConfig, PredictConfig, TableConfig
from bayesfuse.errors import BayesfuseError

if TYPE_CHECKING:
    from bayesfuse.estimator.workflow import Run
    from bayesfuse.inference.history import Epoch, Step

app = typer.Typer(
    name="bayesfuse",
    help="Tags for catalogues, with honest probabilities.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Make and inspect catalogues.", no_args_is_help=True)
app.add_typer(data_app, name="data")

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a fit.")]
CatalogArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[CATALOG]",
        help="Folder with catalog.toml, or a Parquet, CSV or JSON-lines file; the catalogue that "
        "the run was fitted on if left out.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def _warn(message: str) -> None:
    typer.echo(f"Warning: {message}", err=True)


def options_of(config: type[Config]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one flag for each field of a config, in place of its `flags` parameter.

    The command gets `flags`: the fields that were given explicitly, and nothing else, so that a
    file or a preset can fill the rest. Bad values and every error of bayesfuse end the command
    with its message on stderr and its exit code.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        own = [p for n, p in inspect.signature(command).parameters.items() if n != "flags"]
        fields = {
            name: typer.Option(
                f"--{name.replace('_', '-')}",
                help=field.description,
                metavar=_metavar(field.annotation),
                show_default=_shown(field.default),
            )
            for name, field in config.model_fields.items()
        }

        @wraps(command)
        def wrapped(**given: Any) -> None:
            flags = {name: given.pop(name) for name in fields}
            flags = {name: value for name, value in flags.items() if value is not None}
            with errors_to_exit_codes():
                command(**given, flags=flags)

        parameters = [p.replace(annotation=hints[p.name]) for p in own]
        parameters += [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[str | None, option],
            )
            for name, option in fields.items()
        ]
        wrapped.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typer reads it
            [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        )
        wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapped

    return decorate


def _metavar(annotation: Any) -> str:
    """Return what kind of value a field takes, in one word."""
    words = str(annotation)
    return "INTEGER" if annotation is int else "NUMBER" if "float" in words else "TEXT"


def _shown(default: Any) -> str | bool:
    """Return a default as a user would write it."""
    if default is None:
        return False
    if isinstance(default, Mapping):
        return ",".join(f"{name}={value}" for name, value in default.items())
    return ",".join(default) if isinstance(default, tuple) else f"{default}"


@contextmanager
def errors_to_exit_codes() -> Iterator[None]:
    """Turn errors of bayesfuse into a message on stderr and an exit code: 2 yours, 1 ours."""
    try:
        yield
    except BayesfuseError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        typer.echo("Interrupted; nothing was written.", err=True)
        raise typer.Exit(130) from None


@app.command()
@options_of(FitConfig)
def fit(
    catalog: Annotated[
        str | None,
        typer.Argument(
            metavar="[CATALOG]",
            help="Folder with catalog.toml, or a Parquet, CSV or JSON-lines file; the embedded "
            "demo catalogue if left out.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder to make.")] = Path("run"),
    config: Annotated[
        Path | None,
        typer.Option("--config", help="TOML file of settings, or a run's config.json."),
    ] = None,
    as_json: JsonOption = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Fit the posterior of a fusion network and a classifier, and write a run folder."""
    settings = FitConfig.resolve(flags, FitConfig.read_file(config) if config else None)
    from bayesfuse.estimator.workflow import fit_run

    with _progress(settings.epochs) as (on_step, on_epoch):
        done = fit_run(catalog, out, settings, on_step=on_step, on_epoch=on_epoch, on_warning=_warn)
    result = done.classifier.result_
    summary = {
        "run": str(done.path),
        "seconds": round(done.seconds, 1),
        "epochs": len(result.history),
        "best_epoch": result.best_epoch,
        "stopped": result.stopped,
        "temperature": settings.temperature,
        "warnings": list(done.warnings),
        "val": None if done.evaluation is None else done.evaluation.to_dict(),
    }
    if as_json:
        typer.echo(json.dumps(summary))
        return
    if done.evaluation is not None:
        typer.echo(f"val: {done.evaluation}\n")
    typer.echo(
        f"Fitted in {done.seconds:.0f} s ({result.stopped} after {len(result.history)} epochs, "
        f"epoch {result.best_epoch + 1} kept). Run folder: {done.path}"
    )


@app.command()
@options_of(PredictConfig)
def predict(
    run: RunArgument,
    catalog: CatalogArgument = None,
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "all",
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Parquet file to make, one row an (item, label).")
    ] = Path("predictions.parquet"),
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Predict tags with posterior draws: mean, spread, interval and mutual information."""
    opened, options = _open(run, catalog, split, flags, labelled=False)
    from bayesfuse.estimator.predictions import iter_predictions, write_predictions

    rows = opened.rows
    draws, seed = _draws(opened, options)
    tables = iter_predictions(
        opened.classifier,
        opened.catalog.features.take(rows),
        opened.catalog.ids[rows],
        draws=draws,
        seed=seed,
        decision=options.decision,
    )
    metadata = {"draws": draws, "seed": seed, "temperature": opened.config.temperature}
    count = write_predictions(tables, out, {**metadata, "elbo": opened.config.elbo})
    cold = "" if opened.config.temperature == 1 else f", temperature {opened.config.temperature:g}"
    typer.echo(f"{len(rows):,} items, {count:,} rows, {draws} draws{cold}: {out}")


@app.command()
@options_of(PredictConfig)
def evaluate(
    run: RunArgument,
    catalog: CatalogArgument = None,
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "val",
    as_json: JsonOption = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Score the posterior predictive on labelled items: F1, AP, NLL, Brier and calibration."""
    opened, options = _open(run, catalog, split, flags, labelled=True)
    from bayesfuse.estimator.workflow import evaluate_run

    draws, seed = _draws(opened, options)
    scores = evaluate_run(opened, draws=draws, seed=seed)
    temperature = opened.config.temperature
    if as_json:
        about = {"split": split, "draws": draws, "seed": seed, "temperature": temperature}
        typer.echo(json.dumps({**about, **scores.to_dict()}))
        return
    cold = "" if temperature == 1 else f", temperature {temperature:g}"
    typer.echo(f"{opened.catalog.source}, {split}, {draws} posterior draws{cold}\n{scores}")


@app.command()
@options_of(PredictConfig)
def report(
    run: RunArgument,
    catalog: CatalogArgument = None,
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "val",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="HTML file; report.html in the run folder if left out."),
    ] = None,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Write one self-contained HTML page: what was fitted, how good, how sure, what to check."""
    opened, options = _open(run, catalog, split, flags, labelled=True)
    from bayesfuse.report.collect import collect
    from bayesfuse.report.html import write

    draws, seed = _draws(opened, options)
    page = write(collect(run, opened, split, draws, seed), out or run / "report.html")
    typer.echo(f"Open {page}")


@data_app.command("demo")
def data_demo(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.")],
    num_items: Annotated[int, typer.Option(help="Number of items.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the process.")] = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier demo catalogue.")] = False,
) -> None:
    """Write the embedded demo catalogue, whose label probabilities are known exactly."""
    with errors_to_exit_codes():
        from bayesfuse.data.demo import write_demo

        path = write_demo(out, num_items=num_items, seed=seed, overwrite=overwrite)
        typer.echo(f"{num_items:,} items: {path}")


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
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Tags for catalogues, with honest probabilities."""
    if version:
        from importlib.metadata import version as version_of

        typer.echo(version_of("bayesfuse"))
        raise typer.Exit


def _open(
    run: Path, catalog: str | None, split: str, flags: Mapping[str, Any], *, labelled: bool
) -> tuple[Run, PredictConfig]:
    options = PredictConfig.parse(flags, "flags")
    from bayesfuse.estimator.workflow import open_run

    reading = options.model_dump(include=set(TableConfig.model_fields) & set(flags))
    if options.split_column is not None:
        reading["split"] = options.split_column
    opened = open_run(
        run,
        catalog,
        CatalogConfig.parse(reading, "flags"),
        split=split,
        device=options.device,
        labelled=labelled,
        on_warning=_warn,
    )
    return opened, options


def _draws(opened: Run, options: PredictConfig) -> tuple[int, int]:
    draws = 1 if opened.config.elbo == "none" else options.draws or opened.config.draws
    return draws, opened.config.seed if options.seed is None else options.seed


@contextmanager
def _progress(
    epochs: int,
) -> Iterator[tuple[Callable[[Step], None] | None, Callable[[Epoch], None] | None]]:
    """Show a progress bar on stderr; none when that is no terminal."""
    if not sys.stderr.isatty():
        yield None, None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[scores]}"),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as progress:
        task = progress.add_task("fit", total=None, epoch=1, scores="")

        def on_step(step: Step) -> None:
            val = "" if step.val_nll != step.val_nll else f"  val NLL {step.val_nll:.4f}"
            scores = f"NLL {step.nll:.3f}  KL {step.kl:.2f}  β {step.beta:.2f}{val}"
            progress.update(
                task, total=step.total, completed=step.done, epoch=step.epoch + 1, scores=scores
            )

        yield on_step, None


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
