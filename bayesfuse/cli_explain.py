"""The command that tells why an item has its tags: `bayesfuse explain`."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
from bayesfuse.errors import ConfigError
from bayesfuse.terminal import options_of


@options_of(PredictConfig, without=("decision", "without", "update_old"))
def explain(
    run: RunArgument,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="Id or title of the item.")],
    catalog: CatalogArgument = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="A label to explain; may come several times. The 3 likeliest if none."),
    ] = None,
    words: Annotated[
        int, typer.Option(min=0, help="Most words shown a label; 0 to leave the text alone.")
    ] = 8,
    regions: Annotated[
        str, typer.Option(help="Rows x columns of regions of the picture, or none.")
    ] = "4x3",
    neighbours: Annotated[int, typer.Option(min=0, help="Most neighbours shown.")] = 5,
    split: SplitOption = "all",
    as_json: JsonOption = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Tell why an item has its tags: modalities, words, regions and neighbours, with intervals."""
    grid = _grid(regions)
    opened, options = open_with(run, catalog, split, flags, labelled=False)
    from bayesfuse.estimator.explained_item import Wanted, explain_item, load_run_encoders
    from bayesfuse.estimator.selecting import select_items

    (row,) = select_items(opened, [item]).rows.tolist()
    draws, seed = draws_and_seed(opened, options)
    wanted = Wanted(tuple(label or ()), words, grid, neighbours)
    found = explain_item(opened, row, load_run_encoders(run), wanted, draws, seed)
    if as_json:
        typer.echo(json.dumps({"draws": draws, "seed": seed, **found.to_dict()}))
        return
    typer.echo(f"{found}\n\n{how_drawn(opened, draws)}")


def _grid(given: str) -> tuple[int, int] | None:
    """Read `4x3`, or `none`."""
    if given == "none":
        return None
    parts = given.lower().split("x")
    if len(parts) == 2 and all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        return int(parts[0]), int(parts[1])
    raise ConfigError(f'--regions: expected rows x columns, as 4x3, or none; got "{given}".')
