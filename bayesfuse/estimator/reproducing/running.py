"""From a paper's name to its tables made again on a catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bayesfuse.config import FitConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.mmimdb_protocol import is_mmimdb
from bayesfuse.data.roles import SPLITS
from bayesfuse.errors import ConfigError, UserError, unknown_option
from bayesfuse.estimator.catalogs import read_catalog
from bayesfuse.estimator.encoded_catalogs import encoded
from bayesfuse.estimator.named_models import named_models
from bayesfuse.estimator.reproducing.papers import PAPERS
from bayesfuse.estimator.reproducing.published import PaperRow, PaperTables
from bayesfuse.estimator.reproducing.reproduction import Reproduction, made_row
from bayesfuse.estimator.tables.rows import OWN, TableRow, settings_of
from bayesfuse.estimator.tables.running import Plan, table_of
from bayesfuse.estimator.tables.table import LeftOut

MM_IMDB = "MM-IMDb"
ROWS_SAY = (*OWN, "elbo", "modalities")
"""Settings that the rows of a paper say themselves."""


def reproduce(
    paper: str,
    source: str | None,
    given: Mapping[str, Any],
    plan: Plan,
    scored: str | None = None,
) -> Reproduction:
    """Fit the rows of a paper's tables, and lay them beside what it published.

    Args:
        paper: A name in `PAPERS`.
        source: The catalogue; None for the embedded demo catalogue.
        given: Settings that were given explicitly: they override the paper's own, but for what
            makes a row that row.
        plan: How; its split is overridden by `scored`.
        scored: `val` or `test`; if None, the paper's own on its own data set, and else `val`.

    Raises:
        BayesfuseError: Whatever is wrong with the names, the catalogue or the settings, or if no
            row could be fitted at all.
    """
    check_reproducible(paper, given)
    tables = PAPERS[paper]
    plan.check()
    config = FitConfig.resolve(given)
    catalog = read_catalog(source, config)
    sizes = {split: len(catalog.rows(split)) for split in SPLITS}
    same = tables.data == MM_IMDB and is_mmimdb(catalog.label_names, sizes)
    if scored is None:
        scored = tables.split if same else "val"
    plan = replace(plan, scored=scored)
    plan.check()
    modalities = list(dict.fromkeys([*catalog.features.names, *catalog.raw]))
    rows, left_out = paper_rows(tables, modalities, given)
    catalog = encoded(catalog, config, on_encoding=plan.on_encoding, tell=plan.tell)
    for warning in catalog.warnings:
        plan.on_warning(warning)
    if not rows:
        told = "\n".join(f"  {one.name}: {one.reason}" for one in left_out)
        raise UserError(f"No row of {tables.paper} can be made on {catalog.source}:\n{told}")
    table = table_of(source, catalog, config, rows, plan)
    return _beside(tables, catalog, table.results, [*left_out, *table.left_out], table.about, same)


def check_reproducible(paper: str, given: Mapping[str, Any]) -> None:
    """Refuse a paper that is not there, and settings that its rows say themselves.

    Raises:
        ConfigError: If there are such.
    """
    problems = [] if paper in PAPERS else [unknown_option("paper", paper, PAPERS)]
    idle = [f"--{name}" for name in ROWS_SAY if name in given]
    if idle:
        problems.append(f"{', '.join(idle)}: the rows of the paper say that. Leave it out.")
    if problems:
        raise ConfigError("\n".join(problems))


def paper_rows(
    tables: PaperTables, modalities: Sequence[str], given: Mapping[str, Any]
) -> tuple[list[TableRow], list[LeftOut]]:
    """Return the rows that can be fitted, and the others with the reason.

    Args:
        tables: The paper's.
        modalities: Those of the catalogue.
        given: Settings that were given explicitly.
    """
    rows, left_out = [], []
    models = {model.name: model.flags for model in named_models(dict.fromkeys(modalities))}
    for row in tables.rows:
        reason = _why_not(row, models, modalities)
        if reason:
            left_out.append(LeftOut(row.name, reason))
            continue
        assert row.model is not None
        flags = {**row.settings, **given, **row.fixed, **models[row.model]}
        if row.modalities is not None:
            flags["modalities"] = row.modalities
        rows.append(TableRow(row.name, settings_of(flags), row.labelled))
    return rows, left_out


def _why_not(row: PaperRow, models: Mapping[str, object], modalities: Sequence[str]) -> str:
    if row.model is None:
        return f"{row.absent}."
    lacking = [name for name in row.modalities or () if name not in modalities]
    if lacking:
        return f"the catalogue has no modality {', '.join(lacking)}."
    if row.model in models:
        return ""
    if row.model in {"text", "image"}:
        return f"the catalogue has no modality {row.model}."
    return f"this version of bayesfuse has no model {row.model}."


def _beside(
    tables: PaperTables,
    catalog: Catalog,
    results: Mapping[str, Any],
    left_out: Sequence[LeftOut],
    about: Mapping[str, Any],
    same: bool,
) -> Reproduction:
    labels = catalog.labels[catalog.labelled_rows(about["scored"])]
    by_name = {row.name: row for row in tables.rows}
    made = [made_row(by_name[name], found, labels) for name, found in results.items()]
    names = ("catalog", "scored", "items", "labels", "seeds")
    return Reproduction(tables, made, left_out, {name: about[name] for name in names}, same)
