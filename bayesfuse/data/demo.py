"""The embedded catalogue: about 2,000 made-up movies whose true label probabilities are known.

The process behind it is in `bayesfuse.data.demo_process`, with its equations; here its draws
become titles, plots, posters and tables, in memory (`make_demo`) or as a folder (`write_demo`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bayesfuse.data.demo_posters import draw_poster, encode_poster
from bayesfuse.data.demo_process import NONE, SOURCES, DemoProcess, DemoSample, Source
from bayesfuse.data.demo_story import (
    LABEL_NAMES,
    LEXICON,
    PEOPLE,
    STORIES,
    TITLE_FIRST,
    TITLE_SECOND,
    tell,
)
from bayesfuse.data.new_folder import new_folder
from bayesfuse.errors import ConfigError

# column of `truth` -> the evidence that its probabilities are given
TRUTH_COLUMNS: dict[str, tuple[Source, ...]] = {
    "text_image": ("text", "image"),
    "text": ("text",),
    "image": ("image",),
    "all": SOURCES,
}
_SPLIT_SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
_YEARS = (1950, 2025)

_CATALOG_TOML = """\
# What the files of this catalogue are, for a program that reads it.
table = "items.parquet"
id = "id"
title = "title"
labels = "genres"          # list[str]
split = "split"            # train | val | test

[modalities.text]
column = "plot"                        # raw: one string an item; null where it is missing
encoder = "tfidf"

[modalities.image]
column = "posters.parquet:png"         # raw: PNG bytes, joined on the id; null where missing
encoder = "statistics"

[graph]
people = ["director", "writer"]        # list[str] columns, one relation each
"""

_README = """\
# A made-up catalogue with known probabilities

{num_items:,} movies that do not exist, drawn by bayesfuse from a written-down process, with the
seed {seed}. Each has one or more of {num_labels} genres; a plot from a small grammar; a poster
from a palette, a motif and a layout; a director and one or two writers. {without_poster:,} have no
poster and {without_plot:,} no plot, for reasons that have nothing to do with their genres.

| file | what |
| --- | --- |
| catalog.toml | which column is what |
| items.parquet | id, title, plot, genres, director, writer, year, split |
| posters.parquet | id, png (96 x 144 pixels; null where there is none) |
| truth.parquet | id, label, and the true probability of the label given the evidence (below) |

`truth.parquet` is what a real catalogue cannot have. Its columns are exact posterior probabilities,
by enumeration of all 255 sets of genres: `text_image` given the plot and the poster, `text` and
`image` given one of them, `all` given the people too. Evidence that an item lacks is left out, so
an item without a plot has the genre's base rate in `text`. The equations are in the documentation
of `bayesfuse.data.demo_process`.

| genre | true rate | in this catalogue |
| --- | ---: | ---: |
{rates}
"""
_FILES = ("catalog.toml", "items.parquet", "posters.parquet", "truth.parquet", "README.md")


@dataclass(frozen=True)
class DemoCatalogue:
    """The embedded catalogue in memory.

    Attributes:
        table: A row an item: id, title, plot (or None), poster (PNG bytes or None), genres,
            director and writer (lists of names), year, split.
        truth: A row an (item, label): id, label, and the true probability of the label given the
            evidence in `TRUTH_COLUMNS`.
        label_names: The labels, in the order of `truth`.
    """

    table: pd.DataFrame
    truth: pd.DataFrame
    label_names: tuple[str, ...]


def make_demo(num_items: int = 2000, seed: int = 0) -> DemoCatalogue:
    """Draw the embedded catalogue; the same arguments give the same catalogue.

    Args:
        num_items: How many items, at least 10 (so that no split is empty).
        seed: Of everything that is drawn, at least 0.

    Returns:
        The items and their true probabilities.

    Raises:
        ConfigError: If there are fewer than 10 items or the seed is negative.

    Example:
        >>> demo = make_demo(20, seed=3)
        >>> len(demo.table), len(demo.truth)
        (20, 160)
    """
    if num_items < 10:
        raise ConfigError(
            f"num_items is {num_items}; expected at least 10, so that no split is empty."
        )
    if seed < 0:
        raise ConfigError(f"seed is {seed}; expected 0 or more.")
    process_seed, look_seed, split_seed = np.random.SeedSequence(seed).spawn(3)
    process = DemoProcess()
    sample = process.sample(num_items, np.random.default_rng(process_seed))
    ids = [f"demo-{index:05d}" for index in range(num_items)]
    table = _table(ids, sample, np.random.default_rng(look_seed))
    table["split"] = _splits(num_items, np.random.default_rng(split_seed))
    truth = pd.DataFrame(
        {"id": np.repeat(ids, len(LABEL_NAMES)), "label": np.tile(LABEL_NAMES, num_items)}
    )
    for column, given in TRUTH_COLUMNS.items():
        truth[column] = process.label_posterior(sample.evidence, given).ravel()
    return DemoCatalogue(table, truth, LABEL_NAMES)


def _table(ids: list[str], sample: DemoSample, rng: np.random.Generator) -> pd.DataFrame:
    evidence = sample.evidence
    rows = []
    for index, item_id in enumerate(ids):
        title = f"{rng.choice(TITLE_FIRST)} {rng.choice(TITLE_SECOND)}"
        year = int(rng.integers(*_YEARS))
        words = [LEXICON[word] for word in evidence.words[index] if word != NONE]
        palette, motif, layout = evidence.styles[index].tolist()
        poster = draw_poster((palette, motif, layout), title, rng) if palette != NONE else None
        rows.append(
            {
                "id": item_id,
                "title": title,
                "plot": tell(STORIES[sample.stories[index]], words) if words else None,
                "poster": encode_poster(poster) if poster else None,
                "genres": [LABEL_NAMES[label] for label in np.flatnonzero(sample.labels[index])],
                "director": [PEOPLE[evidence.directors[index]]],
                "writer": [PEOPLE[person] for person in evidence.writers[index] if person != NONE],
                "year": year,
            }
        )
    return pd.DataFrame(rows)


def _splits(num_items: int, rng: np.random.Generator) -> list[str]:
    names = list(_SPLIT_SHARES)
    ends = np.floor(np.cumsum(list(_SPLIT_SHARES.values())) * num_items + 0.5)
    parts = np.searchsorted(ends, rng.permutation(num_items), side="right")
    return [names[part] for part in parts]


def write_demo(
    path: str | Path, num_items: int = 2000, seed: int = 0, overwrite: bool = False
) -> Path:
    """Write the embedded catalogue as a folder that `bayesfuse fit` reads.

    The folder is written beside its place under another name and then renamed, so that a full
    disk leaves no half of a catalogue behind, and nothing that was there is lost.

    Args:
        path: The folder to make; its parent folders are made too.
        num_items: How many items, at least 10.
        seed: Of everything that is drawn, at least 0.
        overwrite: Replace an earlier demo catalogue. A folder with anything else in it stays.

    Returns:
        The absolute path of the folder.

    Raises:
        ConfigError: If `num_items` or `seed` is out of range.
        UserError: If the folder is not empty and `overwrite` does not allow replacing it.
        StorageError: If the files cannot be written because the disk is full.
    """
    target = Path(os.path.abspath(path))  # so that "." has a name and a parent too
    demo = make_demo(num_items, seed)
    with new_folder(target, _FILES, "demo catalogue", overwrite=overwrite) as folder:
        _write_files(demo, folder, seed)
    return target


def _write_files(demo: DemoCatalogue, folder: Path, seed: int) -> None:
    items = demo.table.drop(columns="poster")
    posters = demo.table[["id", "poster"]].rename(columns={"poster": "png"})
    items.to_parquet(folder / "items.parquet", index=False)
    posters.to_parquet(folder / "posters.parquet", index=False)
    demo.truth.to_parquet(folder / "truth.parquet", index=False)
    (folder / "catalog.toml").write_text(_CATALOG_TOML, encoding="utf-8")
    process = DemoProcess()
    true_rates = process.prior @ process.subsets
    counts = demo.table["genres"].explode().value_counts()
    readme = _README.format(
        num_items=len(items),
        seed=seed,
        num_labels=len(LABEL_NAMES),
        without_poster=int(posters["png"].isna().sum()),
        without_plot=int(items["plot"].isna().sum()),
        rates="\n".join(
            f"| {name} | {rate:.1%} | {counts.get(name, 0) / len(items):.1%} |"
            for name, rate in zip(LABEL_NAMES, true_rates, strict=True)
        ),
    )
    (folder / "README.md").write_text(readme, encoding="utf-8")
