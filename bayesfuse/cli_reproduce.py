"""The command that makes a paper's table again: `bayesfuse reproduce`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bayesfuse.config import FinetuneConfig, FitConfig
from bayesfuse.terminal import comparing_progress, options_of, tell, warn

RESULTS = Path("comparison")
"""Where fits are kept, if nothing else is said; `bayesfuse compare --models` has the same."""


ROWS_SAY = ("fusion", "model", "preset", "elbo", "modalities")
"""Settings that the rows of a paper say themselves."""


# decisions play no part, and encoders are frozen
@options_of(FitConfig, without=("decision", *ROWS_SAY, *FinetuneConfig.model_fields))
def reproduce(
    paper: Annotated[
        str,
        typer.Argument(metavar="PAPER", help="pm-mo, mm-gatbt, refnet, mult-gmu or swiglu."),
    ],
    catalog: Annotated[
        str | None,
        typer.Argument(
            metavar="CATALOG",
            envvar="BAYESFUSE_MM_IMDB",
            help="Folder of MM-IMDb that `bayesfuse data mmimdb` made, or any other catalogue, "
            "whose numbers are then not the paper's; the embedded demo catalogue if left out.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Fit every row so often, from --seed on.")] = 5,
    on: Annotated[
        str | None,
        typer.Option(
            help="Split to score on: val or test. The paper's own on MM-IMDb, val elsewhere, if "
            "left out.",
            show_default=False,
        ),
    ] = None,
    results: Annotated[
        Path,
        typer.Option(
            help="Folder that keeps each fit, so that the same command goes on where it was "
            "stopped, and the table."
        ),
    ] = RESULTS,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Processes at once, of one thread each; by cores and free memory if left out.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Train the rows of a paper's table, and print them beside its published numbers."""
    from bayesfuse.estimator.reproducing.running import reproduce as run
    from bayesfuse.estimator.tables.results import write_whole
    from bayesfuse.estimator.tables.running import Plan

    with comparing_progress() as bar:
        plan = Plan(
            results,
            seeds,
            jobs=jobs,
            on_fit=bar.on_fit,
            on_encoding=bar.on_encoding,
            on_warning=warn,
            tell=tell,
        )
        try:
            found = run(paper, catalog, flags, plan, on)
        except KeyboardInterrupt:
            tell(f"Interrupted; {results} keeps what is done, for the same command to go on.")
            raise typer.Exit(130) from None
    texts = {
        "md": found.to_markdown(),
        "csv": found.to_frame().to_csv(index=False),
        "json": json.dumps(found.to_dict()),
    }
    files = [results / f"reproduce-{paper}.{suffix}" for suffix in texts]
    for file, text in zip(files, texts.values(), strict=True):
        write_whole(file, text.encode())
    typer.echo(texts["json"] if as_json else str(found))
    if not as_json:
        typer.echo(f"\nAs files: {', '.join(map(str, files))}")
