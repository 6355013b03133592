"""The commands on a run folder: predict, evaluate and report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesfuse.config import (
    SPLITS,
    CatalogConfig,
    FitConfig,
    PredictConfig,
    RunningConfig,
    TableConfig,
)
from bayesfuse.errors import ConfigError, unknown_option, write_error
from bayesfuse.terminal import (
    encoding_progress,
    options_of,
    refuse_to_overwrite,
    rows_progress,
    tell,
    warn,
)

if TYPE_CHECKING:
    from bayesfuse.estimator.workflow import Run

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a fit.")]
CatalogArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="CATALOG",
        help="Folder with catalog.toml, or a Parquet, CSV or JSON-lines file; the catalogue that "
        "the run was fitted on if left out.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
SplitOption = Annotated[str, typer.Option(help="train, val, test or all.")]


@options_of(PredictConfig)
def predict(
    run: RunArgument,
    catalog: CatalogArgument = None,
    split: SplitOption = "all",
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Parquet file to make, one row an (item, label).")
    ] = Path("predictions.parquet"),
    item: Annotated[
        list[str] | None,
        typer.Option(help="Id or title of an item, for that alone; may come several times."),
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(
            help="Parquet or CSV file to make, too: whom an item hears most, and how sure it is."
        ),
    ] = None,
    explain_neighbours: Annotated[
        int, typer.Option(min=1, help="Most neighbours of an item in --explain.")
    ] = 5,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Predict tags with posterior draws: mean, spread, interval and mutual information."""
    for path in filter(None, (out, explain)):
        refuse_to_overwrite(path)
    opened, options = _open(run, catalog, split, flags, labelled=False)
    from bayesfuse.estimator.explanations import check_explainable, write_explanations
    from bayesfuse.estimator.predictions import iter_predictions, write_predictions
    from bayesfuse.estimator.selecting import select_items

    if explain is not None:
        check_explainable(opened.classifier, opened.catalog)
    opened = select_items(opened, item) if item else opened
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
    metadata = {"draws": draws, "seed": seed, "elbo": opened.config.elbo}
    metadata |= {"temperature": opened.config.temperature}
    metadata |= {"class_weights": opened.config.class_weights}
    with rows_progress(len(rows) * len(opened.classifier.label_names_)) as on_rows:
        count = write_predictions(tables, out, metadata, on_rows)
    how = _how(opened, draws)
    typer.echo(f"{len(rows):,} items, {count:,} rows, {how}: {out}")
    if explain is not None:
        most = explain_neighbours
        count = write_explanations(opened, explain, metadata, draws=draws, seed=seed, most=most)
        typer.echo(f"{count:,} neighbours and relations: {explain}")


@options_of(PredictConfig, without=("decision",))
def evaluate(
    run: RunArgument,
    catalog: CatalogArgument = None,
    split: SplitOption = "val",
    as_json: JsonOption = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Score the posterior predictive on labelled items: F1, AP, NLL, Brier and calibration."""
    opened, options = _open(run, catalog, split, flags, labelled=True)
    from bayesfuse.estimator.workflow import evaluate_run

    draws, seed = _draws(opened, options)
    scores = evaluate_run(opened, draws=draws, seed=seed)
    if as_json:
        about = {"split": split, "draws": draws, "seed": seed, "elbo": opened.config.elbo}
        about |= {"temperature": opened.config.temperature}
        about |= {"class_weights": opened.config.class_weights}
        typer.echo(json.dumps({**about, **scores.to_dict()}))
        return
    typer.echo(f"{opened.catalog.source}, {split}, {_how(opened, draws)}\n{scores}")


@options_of(PredictConfig)
def report(
    run: RunArgument,
    catalog: CatalogArgument = None,
    split: SplitOption = "val",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="HTML file; report.html in the run folder if left out."),
    ] = None,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Write one self-contained HTML page: what was fitted, how good, how sure, what to check."""
    if out is not None:
        refuse_to_overwrite(out)
    page = out or run / "report.html"  # the run's own report is made anew
    opened, options = _open(run, catalog, split, flags, labelled=True)
    from bayesfuse.report.collect import collect
    from bayesfuse.report.html import write

    draws, seed = _draws(opened, options)
    found = collect(run, opened, split, draws, seed, options.decision)
    try:
        page.absolute().parent.mkdir(parents=True, exist_ok=True)
        write(found, page)
    except OSError as error:
        raise write_error(page, error, "Make room or choose another --out.") from error
    typer.echo(f"Open {page}")


def _open(
    run: Path, catalog: str | None, split: str, flags: Mapping[str, Any], *, labelled: bool
) -> tuple[Run, PredictConfig]:
    options = PredictConfig.parse(flags, "flags")
    if split not in SPLITS:
        raise ConfigError(
            f"In --split: {unknown_option('split', split, SPLITS)} (The column of the split is "
            "--split-column here.)"
        )
    from bayesfuse.estimator.workflow import open_run

    reading = options.model_dump(include=set(TableConfig.model_fields) & set(flags))
    if options.split_column is not None:
        reading["split"] = options.split_column
    running = options.model_dump(include=set(RunningConfig.model_fields))
    with encoding_progress() as on_encoding:
        opened = open_run(
            run,
            catalog,
            CatalogConfig.parse(reading, "flags"),
            split=split,
            device=options.device,
            labelled=labelled,
            running=RunningConfig.parse(running, "flags"),
            on_encoding=on_encoding,
            on_warning=warn,
            tell=tell,
        )
    return opened, options


def _draws(opened: Run, options: PredictConfig) -> tuple[int, int]:
    seed = opened.config.seed if options.seed is None else options.seed
    if opened.config.elbo != "none":
        return options.draws or opened.config.draws, seed
    if options.draws is not None:
        warn("--draws: no effect, since the run has no posterior (--elbo none).")
    return 1, seed


def _how(opened: Run, draws: int) -> str:
    if opened.config.elbo == "none":
        return f"no posterior (--elbo none){_weighted(opened.config)}"
    return (
        f"{draws} posterior draw{'s' if draws != 1 else ''}{temperature_and_weights(opened.config)}"
    )


def temperature_and_weights(config: FitConfig) -> str:
    """Say which temperature a posterior has, unless it is Bayes' own, and how labels weigh."""
    cold = config.temperature != 1 and config.elbo != "none"
    temperature = f", temperature {config.temperature:g}" if cold else ""
    return temperature + _weighted(config)


def _weighted(config: FitConfig) -> str:
    """Say which class weights there are, if any."""
    weights = config.class_weights
    return "" if weights == "none" else f", class weights {weights}: of a reweighted problem"
