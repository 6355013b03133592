"""The commands on a run folder: predict, evaluate and report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesfuse.cli_open import (
    CatalogArgument,
    JsonOption,
    RunArgument,
    SplitOption,
    drawing,
    draws_and_seed,
    how_drawn,
    open_with,
)
from bayesfuse.cli_processes import shared
from bayesfuse.config import PredictConfig
from bayesfuse.errors import ConfigError, unknown_option, write_error
from bayesfuse.terminal import options_of, refuse_to_overwrite, rows_progress

if TYPE_CHECKING:
    import pyarrow as pa

FORMS = ("html", "md")
"""What a report can be written as."""

_TERMINAL = Path("-")


RobustnessOption = Annotated[
    str | None,
    typer.Option(
        help="Scores of items moved to where the loss rises most, and at random: how far, in "
        "typical lengths of their features, such as 0.05,0.1,0.2."
    ),
]


@options_of(PredictConfig)
@shared
def predict(
    run: RunArgument,
    catalog: CatalogArgument = None,
    split: SplitOption = "all",
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Parquet file to make, one row an (item, label).")
    ] = Path("predictions.parquet"),
    parts: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Make a folder of so many Parquet files in place of one file; run again after a "
            "stop, it makes those that are missing. A part a process under torchrun.",
            show_default=False,
        ),
    ] = None,
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
    from bayesfuse.estimator.prediction_parts import check_parts, prediction_parts, wants_parts

    in_parts = wants_parts(parts)
    if in_parts:
        check_parts(out, explain)
    for path in filter(None, (None if in_parts else out, explain)):
        refuse_to_overwrite(path)
    opened, options = open_with(run, catalog, split, flags, labelled=False)
    from bayesfuse.estimator.drift import drift_of
    from bayesfuse.estimator.explanations import check_explainable, write_explanations
    from bayesfuse.estimator.predictions import iter_predictions, write_predictions
    from bayesfuse.estimator.rules import rule_of
    from bayesfuse.estimator.selecting import select_items

    if explain is not None:
        check_explainable(opened.classifier, opened.catalog)
    opened = select_items(opened, item) if item else opened
    rule = rule_of(opened.classifier, options.decision)
    rows = opened.rows
    drawn = drawing(opened, options)
    draws, seed = drawn.draws, drawn.seed

    def predicted(some: slice) -> Iterator[pa.Table]:
        return iter_predictions(
            opened.classifier,
            opened.catalog.features.take(rows[some]),
            opened.catalog.ids[rows[some]],
            draws=draws,
            seed=seed,
            decision=options.decision,
            kind=drawn.kind,
        )

    metadata = {**drawn.to_dict(), **opened.config.told(), "without": list(opened.without)}
    metadata |= {"update_old": options.update_old, "decision": rule.to_dict()}
    drift = drift_of(opened)
    metadata["drift"] = drift.to_dict()
    num_labels = len(opened.classifier.label_names_)
    if in_parts:
        todo = prediction_parts(out, parts, opened.catalog.ids[rows], run, metadata)
        with rows_progress(todo.num_mine * num_labels) as on_rows:
            count = todo.write(predicted, on_rows)
    else:
        with rows_progress(len(rows) * num_labels) as on_rows:
            count = write_predictions(predicted(slice(None)), out, metadata, on_rows)
    how = how_drawn(opened, draws, drawn.kind)
    by = f", tags decided by {rule.goal}" if rule is opened.classifier.rule_ else ""
    typer.echo(f"{len(rows):,} items, {count:,} rows, {how}{by}: {out}")
    if drift.told:
        typer.echo(str(drift))
    if explain is not None:
        most = explain_neighbours
        count = write_explanations(opened, explain, metadata, draws=draws, seed=seed, most=most)
        typer.echo(f"{count:,} neighbours and relations: {explain}")


@options_of(PredictConfig, without=("update_old",))
def evaluate(
    run: RunArgument,
    catalog: CatalogArgument = None,
    split: SplitOption = "val",
    intervals: Annotated[
        bool, typer.Option("--intervals", help="Every score with its 95 % interval over items.")
    ] = False,
    replicates: Annotated[
        int, typer.Option(min=1, help="Resamples of the items behind each interval.")
    ] = 1000,
    outliers: Annotated[
        list[str] | None,
        typer.Option(
            help="Tell how well epistemic uncertainty parts these items from the run's own: "
            "shuffled, noise, or another catalogue; may come several times."
        ),
    ] = None,
    robustness: RobustnessOption = None,
    as_json: JsonOption = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Score the posterior predictive on labelled items: F1, AP, NLL, Brier and calibration.

    With --decision, also what the tags of that rule achieve.
    """
    opened, options = open_with(run, catalog, split, flags, labelled=True)
    from bayesfuse.estimator.deciding import achieved_by
    from bayesfuse.estimator.robustness import robustness as scores_when_moved
    from bayesfuse.estimator.rules import rule_of
    from bayesfuse.estimator.scoring import MADE, score_run

    lengths = () if robustness is None else _lengths(robustness)
    kinds = list(dict.fromkeys(outliers or ()))
    for name in kinds:
        if name not in MADE and not Path(name).exists():
            told = unknown_option("kind of outliers", name, MADE)
            raise ConfigError(f"In --outliers: {told} Nor is there a catalogue of that name.")
    others = {
        name: open_with(run, name, "all", flags, labelled=False)[0]
        for name in kinds
        if name not in MADE
    }
    rule = None if options.decision is None else rule_of(opened.classifier, options.decision)
    drawn = drawing(opened, options)
    draws, seed = drawn.draws, drawn.seed
    scored = score_run(
        opened,
        draws=draws,
        seed=seed,
        intervals=intervals,
        replicates=replicates,
        made=[kind for kind in kinds if kind in MADE],
        others=others,
        kind=drawn.kind,
    )
    tags = (
        None if rule is None else achieved_by(rule, opened, draws=draws, seed=seed, kind=drawn.kind)
    )
    moved = None
    if lengths:
        moved = scores_when_moved(opened, lengths, draws=draws, seed=seed, kind=drawn.kind)
    if as_json:
        about = {"split": split, **drawn.to_dict(), **opened.config.told()}
        about |= {"without": list(opened.without)}
        if rule is not None and tags is not None:
            about |= {"decision": rule.to_dict(), "achieved": tags.to_dict()}
        if moved is not None:
            about |= {"robustness": moved.to_dict()}
        typer.echo(json.dumps({**about, **scored.to_dict()}))
        return
    typer.echo(
        f"{opened.catalog.source}, {split}, {how_drawn(opened, draws, drawn.kind)}\n{scored}"
    )
    if rule is not None:
        typer.echo(f"\ntags decided by {rule.goal}\n\n{tags}")
    if moved is not None:
        typer.echo(f"\n{moved}")


def _lengths(given: str) -> tuple[float, ...]:
    """Read `0.05,0.1`: how far items are to be moved."""
    try:
        return tuple(float(part) for part in given.split(","))
    except ValueError:
        raise ConfigError(
            f"--robustness: {given!r} are no lengths; expected numbers > 0, such as 0.05,0.1,0.2."
        ) from None


@options_of(PredictConfig, without=("update_old",))
def report(
    run: RunArgument,
    catalog: CatalogArgument = None,
    split: SplitOption = "val",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File to make, or - for the terminal, in Markdown; report.html (report.md) in "
            "the run folder if left out.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="html, or md: Markdown for terminals and pull requests; as --out says if left "
            "out, html by default.",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            help="JSON file that `bayesfuse compare -o` made of the same items, to be shown, too."
        ),
    ] = None,
    robustness: RobustnessOption = None,
    items: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many of the most uncertain items are listed; all if left out, a thousand a "
            "page, and 10 in Markdown.",
        ),
    ] = None,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Write one self-contained HTML page: what was fitted, how good, how sure, what to check."""
    form, to_terminal = _form(form, out), out == _TERMINAL
    if out is not None and not to_terminal:
        refuse_to_overwrite(out)
    page = out or run / f"report.{form}"  # the run's own report is made anew
    opened, options = open_with(run, catalog, split, flags, labelled=True)
    from bayesfuse.estimator.run_folder import typed_command
    from bayesfuse.report.collect import collect
    from bayesfuse.report.html import write
    from bayesfuse.report.markdown import NUM_ITEMS, render_markdown
    from bayesfuse.report.pages import num_pages, page_path, write_pages

    if form == "md":
        items = NUM_ITEMS if items is None else items
    listed = len(opened.rows) if items is None else min(items, len(opened.rows))
    pages = num_pages(listed) if form == "html" else 1
    further = [page_path(page, number) for number in range(2, pages + 1)]
    for path in further if out is not None else ():
        refuse_to_overwrite(path)
    draws, seed = draws_and_seed(opened, options)
    lengths = () if robustness is None else _lengths(robustness)
    found = collect(run, opened, split, draws, seed, options.decision, items, compare, lengths)
    found = replace(found, report_command=typed_command())
    if to_terminal:
        typer.echo(render_markdown(found), nl=False)
        return
    try:
        page.absolute().parent.mkdir(parents=True, exist_ok=True)
        if form == "html":
            write(found, page)
        else:
            write_pages([render_markdown(found)], page)
    except OSError as error:
        raise write_error(page, error, "Make room or choose another --out.") from error
    typer.echo(f"Open {page}")
    if further:
        names = " to ".join(dict.fromkeys([further[0].name, further[-1].name]))
        typer.echo(f"{listed:,} items: further pages beside it, {names}")


def _form(asked: str | None, out: Path | None) -> str:
    """Return as what a report is to be written.

    Raises:
        ConfigError: If there is no such format, or a page is to go to the terminal.
    """
    if asked is None:
        markdown = out is not None and (out == _TERMINAL or out.suffix.lower() == ".md")
        return "md" if markdown else "html"
    if asked not in FORMS:
        raise ConfigError(f"In --format: {unknown_option('format', asked, FORMS)}")
    if asked == "html" and out == _TERMINAL:
        raise ConfigError("--out - is for --format md; name a file for an HTML page.")
    return asked
