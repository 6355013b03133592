"""The command that ranks items by a label: `bayesfuse rank`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from bayesfuse.config import PredictConfig, RankConfig
from bayesfuse.errors import ConfigError
from bayesfuse.terminal import options_of, refuse_to_overwrite, warn

if TYPE_CHECKING:
    from bayesfuse.estimator.ranked_items import RankedItems

WORDS = {
    "lower": "the lower end of the interval",
    "mean": "posterior mean",
    "rank": "expected rank",
    "thompson": "one posterior draw (Thompson sampling)",
    "top": "the probability of the first places",
}


@options_of(RankConfig, without=("decision", "update_old"))
def rank(
    run: RunArgument,
    catalog: CatalogArgument = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="LABEL, LABEL=WEIGHT or 'NOT LABEL'; may come several times: then the score is "
            "the weighted mean of the probabilities."
        ),
    ] = None,
    split: SplitOption = "all",
    limit: Annotated[int, typer.Option(min=1, help="How many items to print.")] = 20,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Parquet or CSV file to make, of all items from first to last."
        ),
    ] = None,
    as_json: JsonOption = False,
    flags: Mapping[str, Any] = {},  # filled by the decorator, never changed
) -> None:
    """Rank items by a label, with an interval of each one's probability and of its rank."""
    settings = RankConfig.parse(flags, "flags")
    if not label:
        raise ConfigError("No label to rank by; name one with --label, such as --label Horror.")
    if out is not None:
        refuse_to_overwrite(out)
    common = {name: value for name, value in flags.items() if name in PredictConfig.model_fields}
    opened, options = open_with(run, catalog, split, common, labelled=False)
    from bayesfuse.estimator.ranked_items import rank_items
    from bayesfuse.evaluation.criterion import Criterion

    criterion = Criterion.parse(label, opened.classifier.label_names_)
    if len(criterion.names) == 1 and criterion.weights != (1,):
        warn(f"--label {label[0]}: a weight has no effect on one label alone.")
    draws, seed = draws_and_seed(opened, options)
    found = rank_items(
        opened,
        criterion,
        by=settings.by,
        level=settings.level,
        top=settings.top,
        abstain=settings.abstain,
        label_next=settings.most_informative,
        draws=draws,
        seed=seed,
    )
    about = {"split": split, "draws": draws, "seed": seed, **opened.config.told()}
    about |= {"without": list(opened.without)}
    if out is not None:
        asked = {"criterion": str(criterion), "by": settings.by, "level": settings.level}
        found.write(out, {**about, **asked, "top": found.ranking.num_top})
    if as_json:
        typer.echo(json.dumps({**about, **found.to_dict(limit)}))
        return
    count = len(found.order)
    how = how_drawn(opened, draws)
    head = f"{criterion}, by {WORDS[settings.by]}: {count:,} items ({split}), {how}"
    typer.echo("\n".join([head, "", *_lines(found, limit)]))
    if out is not None:
        typer.echo(f"\n{count:,} rows: {out}")


def _lines(found: RankedItems, limit: int) -> list[str]:
    """Return the ranking's first places as aligned text, and what is said below it."""
    of = f"{found.ranking.level * 100:g} % of it"
    head = ["", "id", "title", "mean", of, "rank", of, f"top {found.ranking.num_top}"]
    shown = found.to_dict(limit)["items"]
    rows = [
        [
            f"{row['position']}",
            row["id"],
            row["title"] or "",
            f"{row['mean']:.3f}",
            f"{row['lower']:.3f} to {row['upper']:.3f}",
            f"{row['rank_mean']:.1f}",
            f"{row['rank_lower']:,} to {row['rank_upper']:,}",
            f"{row['top']:.2f}",
        ]
        for row in shown
    ]
    if found.titles is None:
        head, rows = head[:2] + head[3:], [row[:2] + row[3:] for row in rows]
    if found.sample is not None:
        head.append("draw")
        rows = [[*row, f"{item['sample']:.3f}"] for row, item in zip(rows, shown, strict=True)]
    if found.person is not None:
        head.append("")
        marks = ["to a person" if row["to_person"] else "" for row in shown]
        rows = [[*row, mark] for row, mark in zip(rows, marks, strict=True)]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    words = {1} if found.titles is None else {1, 2}
    lines = [
        "  ".join(
            cell.ljust(width) if place in words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    ]
    return [*lines, *_below(found, limit)]


def _below(found: RankedItems, limit: int) -> list[str]:
    level = found.ranking.level
    lines = [
        f"Places {first:,} to {last:,}: these {last - first + 1:,} cannot be told apart."
        for first, last in found.ties()
        if first <= limit
    ]
    if lines:
        lines += [f"(None is above or below the first of them with probability {level:g}.)"]
        lines = ["", *lines]
    for rows, said in (
        (found.person, "to hand to a person, the most uncertain first"),
        (
            None if found.batch is None else found.batch.items,
            f"of {found.num_candidates:,} to label next, the most informative first",
        ),
    ):
        if rows is not None:
            names = ", ".join(found.ids[rows[:limit]])
            more = f", and {len(rows) - limit:,} more" if len(rows) > limit else ""
            lines += ["", f"{len(rows):,} {said}:", f"{names}{more}"]
    return lines
