"""The command that tells why an item has its tags: `bayesfuse explain`."""

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
from bayesfuse.errors import ConfigError
from bayesfuse.terminal import options_of, refuse_to_overwrite


@options_of(PredictConfig, without=("decision", "update_old"))
def explain(
    run: RunArgument,
    item: Annotated[
        str | None,
        typer.Argument(
            metavar="ITEM",
            help="Id or title of the item. With --by-label there is none: CATALOG comes next.",
            show_default=False,
        ),
    ] = None,
    catalog: CatalogArgument = None,
    by_label: Annotated[
        bool,
        typer.Option(
            "--by-label", help="What tells each label, over all items of --split that have it."
        ),
    ] = False,
    figure: Annotated[
        Path | None, typer.Option(help="PNG, SVG or PDF to make, with --by-label.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="A label to explain; may come several times. If none, the 3 likeliest, or all "
            "with --by-label."
        ),
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
    if by_label:
        if catalog is not None:
            raise ConfigError(
                f'--by-label explains no single item: got "{item}" and then "{catalog}". Give RUN '
                "and at most a CATALOG."
            )
        _explain_labels(run, item, label, split, flags, figure=figure, as_json=as_json)
        return
    if item is None or figure is not None:
        missing = "an ITEM to explain, by id or title" if item is None else "--by-label"
        raise ConfigError(f"Expected {missing}{'' if item else ', or --by-label'}.")
    opened, options = open_with(run, catalog, split, flags, labelled=False)
    from bayesfuse.estimator.explained_item import Wanted, explain_item, load_run_encoders
    from bayesfuse.estimator.selecting import select_items

    (row,) = select_items(opened, [item]).rows.tolist()
    draws, seed = draws_and_seed(opened, options)
    wanted = Wanted(tuple(label or ()), words, grid, neighbours)
    found = explain_item(opened, row, load_run_encoders(run), wanted, draws, seed)
    if as_json:
        about = {"draws": draws, "seed": seed, **opened.config.told()}
        typer.echo(json.dumps({**about, **found.to_dict()}))
        return
    typer.echo(f"{found}\n\n{how_drawn(opened, draws)}")


def _explain_labels(
    run: Path,
    catalog: str | None,
    labels: list[str] | None,
    split: str,
    flags: Mapping[str, Any],
    *,
    figure: Path | None,
    as_json: bool,
) -> None:
    """Print what tells each label over a catalogue."""
    from bayesfuse.report.label_picture import check_picture, write_label_picture

    if figure is not None:
        refuse_to_overwrite(figure)
        check_picture(figure)
    opened, options = open_with(run, catalog, split, flags, labelled=True)
    from bayesfuse.estimator.explained_labels import explain_labels

    draws, seed = draws_and_seed(opened, options)
    found = explain_labels(opened, labels or (), draws=draws, seed=seed)
    if figure is not None:
        write_label_picture(found, figure)
    if as_json:
        about = {"split": split, "draws": draws, "seed": seed, **opened.config.told()}
        about |= {"without": list(opened.without)}
        typer.echo(json.dumps({**about, "labels": found.to_dict()}))
        return
    typer.echo(f"{opened.catalog.source}, {split}, {how_drawn(opened, draws)}\n\n{found}")
    if figure is not None:
        typer.echo(f"\nPicture: {figure}")


def _grid(given: str) -> tuple[int, int] | None:
    """Read `4x3`, or `none`."""
    if given == "none":
        return None
    parts = given.lower().split("x")
    if len(parts) == 2 and all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        return int(parts[0]), int(parts[1])
    raise ConfigError(f'--regions: expected rows x columns, as 4x3, or none; got "{given}".')
