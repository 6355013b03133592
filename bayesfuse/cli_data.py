"""The commands that make catalogues: `bayesfuse data demo` and `bayesfuse data mmimdb`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayesfuse.terminal import counting_progress, errors_to_exit_codes, warn

data_app = typer.Typer(help="Make and inspect catalogues.", no_args_is_help=True)


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


@data_app.command("mmimdb")
def data_mmimdb(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="Folder of split.json and dataset/, multimodal_imdb.hdf5, or a folder with both.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Catalogue folder to make.")],
    plots: Annotated[
        str, typer.Option(help="A movie's text: its longest plot, its first one, or all.")
    ] = "longest",
    protocol: Annotated[
        str,
        typer.Option(
            help="gmu: 23 genres, every movie; mmbt: 23 genres, without the movies that Kiela et "
            "al. leave out; all: every genre and movie."
        ),
    ] = "gmu",
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier one.")] = False,
) -> None:
    """Make a catalogue of MM-IMDb as its authors publish it."""
    with errors_to_exit_codes():
        from bayesfuse.data.mmimdb import write_mmimdb

        with counting_progress("reading", "movies") as on_progress:
            done = write_mmimdb(
                path,
                out,
                plots=plots,
                protocol=protocol,
                overwrite=overwrite,
                on_progress=on_progress,
            )
        for warning in done.warnings:
            warn(warning)
        typer.echo(str(done))
