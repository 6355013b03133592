"""From a catalogue to a table of models: what is kept is read, what is missing is fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bayesfuse.config import FitConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.data.locking import locked
from bayesfuse.encoders.running import Progress
from bayesfuse.errors import ConfigError, UserError, unknown_option
from bayesfuse.estimator.catalogs import read_catalog
from bayesfuse.estimator.comparison import digest_of
from bayesfuse.estimator.devices import choose_device
from bayesfuse.estimator.encoded_catalogs import encoded, read_encoded
from bayesfuse.estimator.tables.capacity import Capacity, choose_jobs
from bayesfuse.estimator.tables.fitting import RowResult, fit_row, scores_of
from bayesfuse.estimator.tables.results import ResultFolder, catalog_digest, row_key
from bayesfuse.estimator.tables.rows import OWN, TableRow, model_rows
from bayesfuse.estimator.tables.table import LeftOut, ModelTable
from bayesfuse.estimator.tables.workers import Failure, in_processes
from bayesfuse.evaluation.resampling import NUM_REPLICATES

SCORED = ("val", "test")


@dataclass(frozen=True)
class Plan:
    """How a table is made.

    Attributes:
        folder: What keeps the results.
        seeds: Fits a row, with the seed of the settings and those after it.
        scored: `val` or `test`.
        jobs: Processes at once; None to choose.
        replicates: Resamples of the scored items.
        on_fit: Called with how many fits are done, and how many there are.
        on_encoding: Called now and then while raw cells are encoded.
        on_warning: Called with each warning as it comes up.
        tell: Called with what the user should see at once.
    """

    folder: Path
    seeds: int = 1
    scored: str = "val"
    jobs: int | None = None
    replicates: int = NUM_REPLICATES
    on_fit: Callable[[int, int], None] | None = None
    on_encoding: Callable[[Progress], None] | None = None
    on_warning: Callable[[str], None] = lambda _: None
    tell: Callable[[str], None] = lambda _: None

    def check(self) -> None:
        """Refuse numbers and names that cannot be.

        Raises:
            ConfigError: With every mistake.
            UserError: If the folder holds something else.
        """
        problems = []
        if self.scored not in SCORED:
            problems.append(f"In --on: {unknown_option('split', self.scored, SCORED)}")
        numbers = {"--seeds": self.seeds, "--replicates": self.replicates}
        if self.jobs is not None:
            numbers["--jobs"] = self.jobs
        problems += [
            f"{flag} is {number}; expected at least 1."
            for flag, number in numbers.items()
            if number < 1
        ]
        if problems:
            raise ConfigError("\n".join(problems))
        ResultFolder(self.folder).check()


@dataclass(frozen=True)
class _Fit:
    """One fit that is to do, and where it is kept."""

    row: str
    config: FitConfig
    labelled: float
    file: Path


@dataclass(frozen=True)
class _Setup:
    """What each process must know."""

    source: str | None
    config: FitConfig
    scored: str
    replicates: int


def compare_models(
    source: str | None, names: Sequence[str], given: Mapping[str, Any], plan: Plan
) -> ModelTable:
    """Read a catalogue, encode what needs it, and make the table of these models.

    From a script, call it below `if __name__ == "__main__"`: each process starts with the script.

    Args:
        source: The catalogue; None for the embedded demo catalogue.
        names: See `model_rows`.
        given: See `model_rows`.
        plan: How.

    Raises:
        BayesfuseError: Whatever is wrong with the catalogue or the settings, or if no row could be
            fitted at all.
    """
    plan.check()
    config = FitConfig.resolve({name: v for name, v in given.items() if name not in OWN})
    catalog = read_catalog(source, config)
    modalities = list(dict.fromkeys([*catalog.features.names, *catalog.raw]))
    rows = model_rows(names, modalities, given)  # a mistake in a name is told before encoding
    catalog = encoded(catalog, config, on_encoding=plan.on_encoding, tell=plan.tell)
    for warning in catalog.warnings:
        plan.on_warning(warning)
    return table_of(source, catalog, config, rows, plan)


def table_of(
    source: str | None,
    catalog: Catalog,
    config: FitConfig,
    rows: Sequence[TableRow],
    plan: Plan,
) -> ModelTable:
    """Fit what is not kept yet, in several processes, and return the table of these rows.

    Args:
        source: The catalogue, as each process reads it once more.
        catalog: The same, read and encoded.
        config: How it is read and encoded, and the first seed.
        rows: What to fit.
        plan: How.

    Raises:
        UserError: If there are no items to score, or no row could be fitted at all.
        LockedError: If another process fits into the same folder.
    """
    scored = catalog.labelled_rows(plan.scored)
    if not len(scored):
        raise UserError(
            f'{catalog.source} has no labelled items in the split "{plan.scored}". Choose another '
            "--on."
        )
    folder = ResultFolder(plan.folder, plan.on_warning)
    fits = _fits(catalog, rows, config.seed, plan)
    labels = catalog.labels[scored]
    found: dict[Path, RowResult | Failure] = {}
    for fit in fits:
        kept = folder.read(fit.file)
        if kept is not None:
            found[fit.file] = _rescored(kept, labels, plan.replicates)
    missing = [fit for fit in fits if fit.file not in found]
    numbers = len(catalog) * _numbers_an_item(catalog.features)
    capacity = choose_jobs(plan.jobs, len(missing), numbers, choose_device(config.device).type)
    plan.tell(_told(len(fits), len(missing), capacity, plan.folder))
    if plan.on_fit is not None:
        plan.on_fit(len(found), len(fits))
    setup = _Setup(source, config, plan.scored, plan.replicates)
    alone = locked(plan.folder, "Choose another --results.") if missing else nullcontext()
    with alone:
        for done in in_processes(missing, prepare, setup, jobs=capacity.jobs):
            if isinstance(done.outcome, RowResult):
                folder.write(done.task.file, done.outcome)
            elif not done.outcome.expected:  # the next run tries it again
                plan.on_warning(f"{done.task.row}: {done.outcome.reason}")
            found[done.task.file] = done.outcome
            if plan.on_fit is not None:
                plan.on_fit(len(found), len(fits))
    about = {
        "catalog": catalog.source,
        "scored": plan.scored,
        "items": len(scored),
        "labels": len(catalog.label_names),
        "seeds": plan.seeds,
        "replicates": plan.replicates,
        **config.told(),
        "graph": config.graph,
        "digest": digest_of(catalog.ids[scored].tolist(), catalog.label_names, labels),
    }
    return _assembled(rows, fits, found, about, plan)


def prepare(setup: _Setup) -> Callable[[_Fit], RowResult]:
    """Return what fits a row: the catalogue is read once, and torch has one thread."""
    torch.set_num_threads(1)
    catalog = read_encoded(setup.source, setup.config)
    scored, replicates = setup.scored, setup.replicates
    return lambda fit: fit_row(catalog, fit.config, scored, replicates, fit.labelled)


def _numbers_an_item(features: FeatureTable) -> int:
    """Return how many numbers an item's features are, all steps of a sequence counted."""
    return sum(
        width * (features.steps(name) if features.is_sequence(name) else 1)
        for name, width in features.widths.items()
    )


def _fits(catalog: Catalog, rows: Sequence[TableRow], seed: int, plan: Plan) -> list[_Fit]:
    """Return all fits, one seed of every row after the other."""
    folder, content = ResultFolder(plan.folder), catalog_digest(catalog)
    found = []
    for number in range(seed, seed + plan.seeds):
        for row in rows:
            config = row.config.model_copy(update={"seed": number})
            key = row_key(content, config, plan.scored, row.labelled)
            file = folder.file(row.name, number, key)
            found.append(_Fit(row.name, config, row.labelled, file))
    return found


def _rescored(kept: RowResult, labels: Any, replicates: int) -> RowResult:
    """Return a result with as many resamples as are asked for now."""
    resampled = {score.resampled[1] for score in kept.scores.values()}
    if resampled == {replicates}:
        return kept
    scores = scores_of(kept.probability, labels, kept.thresholds, replicates)
    return replace(kept, scores=scores)


def _told(fits: int, missing: int, capacity: Capacity, folder: Path) -> str:
    kept = f", {fits - missing} of them kept in {folder}" if fits > missing else ""
    if not missing:
        return f"{fits} fits{kept}: nothing is left to fit."
    at_once = f"{capacity.jobs} process{'es' if capacity.jobs > 1 else ''} of one thread"
    return f"{fits} fits{kept}; {missing} to do, in {at_once} ({capacity.reason})."


def _assembled(
    rows: Sequence[TableRow],
    fits: Sequence[_Fit],
    found: Mapping[Path, RowResult | Failure],
    about: Mapping[str, Any],
    plan: Plan,
) -> ModelTable:
    results: dict[str, list[RowResult]] = {}
    left_out = []
    for row in rows:
        own = [found[fit.file] for fit in fits if fit.row == row.name]
        failures = dict.fromkeys(one.reason for one in own if isinstance(one, Failure))
        if failures:
            left_out.append(LeftOut(row.name, " ".join(failures)))
            continue
        results[row.name] = [one for one in own if isinstance(one, RowResult)]
        for warning in dict.fromkeys(w for one in results[row.name] for w in one.warnings):
            plan.on_warning(f"{row.name}: {warning}")
    if not results:
        told = "\n".join(f"  {one.name}: {one.reason}" for one in left_out)
        raise UserError(f"No row could be fitted on {about['catalog']}:\n{told}")
    return ModelTable(results, left_out, about)
