"""The command that shows who shares whom: `bayesfuse graph`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bayesfuse.config import MODALITY_SETTINGS, GraphCommandConfig
from bayesfuse.errors import ConfigError
from bayesfuse.terminal import options_of, refuse_to_overwrite, warn

DEFAULT_NAME = Path("neighbourhood")


@options_of(GraphCommandConfig, without=MODALITY_SETTINGS)
def graph(
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
            "--out",
            "-o",
            help="With --around: NAME of NAME.png and NAME.html; neighbourhood if left out.",
        ),
    ] = None,
    histogram: Annotated[
        Path | None, typer.Option("--histogram", help="PNG of the degrees to make.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace earlier pictures and pages.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Show who shares whom: edges, degrees, labels of neighbours, a picture."""
    settings = GraphCommandConfig.parse(flags, "flags")
    from bayesfuse.report.degree_picture import check_png, write_degrees
    from bayesfuse.report.neighbourhood_files import neighbourhood_files, write_neighbourhood

    name = out or DEFAULT_NAME
    files = list(neighbourhood_files(name)) if settings.around is not None else []
    if histogram is not None:
        check_png(histogram)
        if histogram in files:
            raise ConfigError(f"--histogram and --out are both {histogram}; name two files.")
        files.append(histogram)
    if not overwrite:
        for path in files:
            flag = "--histogram" if path == histogram else "--out"
            refuse_to_overwrite(path, f"Choose another {flag}, or pass --overwrite.")
    idle = ["--out: no effect without --around."] if out and settings.around is None else []
    for warning in [*settings.without_effect(flags), *idle]:
        warn(warning)
    from bayesfuse.estimator.graph_summary import summarise_graph
    from bayesfuse.report.neighbourhood import arrange

    found = summarise_graph(catalog, settings)
    for warning in found.warnings:
        warn(warning)
    drawing = None
    if found.around is not None:
        drawing = arrange(found.around, found.ids.tolist(), found.titles)
        for warning in write_neighbourhood(drawing, name):
            warn(warning)
    if histogram is not None:
        write_degrees(found.statistics.histogram, histogram)
    if as_json:
        typer.echo(json.dumps({**found.to_dict(), "files": [str(path) for path in files]}))
        return
    typer.echo(str(found))
    if drawing is not None:
        typer.echo(f"\n{drawing.caption}")
    if files:
        typer.echo(f"\nOpen {', '.join(map(str, files))}")
