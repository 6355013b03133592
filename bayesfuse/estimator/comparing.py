"""From a catalogue to a table of methods, all fitted and scored on the same items."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bayesfuse.config import FitConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.encoders.running import Progress
from bayesfuse.errors import ConfigError, UserError, unknown_option
from bayesfuse.estimator.comparison import Comparison, Row, digest_of
from bayesfuse.estimator.competitors import COMPETITORS, Bench
from bayesfuse.estimator.competitors.bench import Draws
from bayesfuse.estimator.encoded_catalogs import read_encoded
from bayesfuse.estimator.foreign import foreign_items
from bayesfuse.evaluation.intervals import bootstrap_scores, bootstrap_scores_per_label
from bayesfuse.evaluation.outliers import auroc_statistic
from bayesfuse.evaluation.resampling import NUM_REPLICATES, Bootstrap, bootstrap
from bayesfuse.evaluation.thresholds import best_thresholds
from bayesfuse.evaluation.uncertainty import DrawSummary

FIRST = next(iter(COMPETITORS))
SCORED = ("val", "test")


def compare_run(
    source: str | None,
    config: FitConfig,
    *,
    only: Sequence[str] | None = None,
    seeds: int = 1,
    scored: str = "val",
    replicates: int = NUM_REPLICATES,
    on_fit: Callable[[int, int], None] | None = None,
    on_encoding: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Comparison:
    """Read a catalogue, encode what needs it, and compare (see `compare`).

    Args:
        source: The catalogue; None for the embedded demo catalogue.
        config: All settings.
        only: See `compare`.
        seeds: See `compare`.
        scored: See `compare`.
        replicates: See `compare`.
        on_fit: See `compare`.
        on_encoding: Called now and then while raw cells are encoded.
        on_warning: Called with each warning as it comes up.
        tell: Called with what the user should see at once, such as a download.

    Raises:
        BayesfuseError: Whatever is wrong with the catalogue, the settings or the training.
    """
    check_comparable(config, only, seeds, scored, replicates)
    catalog = read_encoded(source, config, on_encoding=on_encoding, tell=tell)
    for warning in catalog.warnings:
        if on_warning is not None:
            on_warning(warning)
    return compare(
        catalog,
        config,
        only=only,
        seeds=seeds,
        scored=scored,
        replicates=replicates,
        on_fit=on_fit,
    )


def compare(
    catalog: Catalog,
    config: FitConfig,
    *,
    only: Sequence[str] | None = None,
    seeds: int = 1,
    scored: str = "val",
    replicates: int = NUM_REPLICATES,
    on_fit: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Fit the Bayesian network and its competitors on train, and score them all on the same items.

    What a method chooses beside its weights (epoch, temperature, penalty, the thresholds of F1) it
    chooses on val. Scores on val therefore flatter all of them a little, and most those that choose
    most, such as a temperature a label; those on test do not.

    Args:
        catalog: With features.
        config: The settings of the Bayesian network; competitors share all that is not about the
            posterior.
        only: Names in `COMPETITORS`; all if None. The Bayesian network is always the first row.
        seeds: Fit everything so many times, with the seed of the settings and those after it.
        scored: `val` or `test`.
        replicates: Resamples of the scored items behind the intervals.
        on_fit: Called with how many fits are done and how many there are.

    Returns:
        The table; scores are means over seeds, and intervals are over items, paired between
        methods.

    Raises:
        ConfigError: If a name is unknown, or the settings have no posterior.
        UserError: If there are no labelled items to score.
    """
    names = check_comparable(config, only, seeds, scored, replicates)
    bench = Bench(catalog, config)
    rows = catalog.labelled_rows(scored)
    if not len(rows):
        raise UserError(
            f'{catalog.source} has no labelled items in the split "{scored}". Choose another --on.'
        )
    foreign = foreign_items(catalog, rows, bench.train)
    found: dict[str, list[Row]] = {name: [] for name in names}
    for number in range(seeds):
        for name in names:
            found[name].append(_one(bench, name, config.seed + number, rows, foreign, replicates))
            if on_fit is not None:
                on_fit(sum(map(len, found.values())), seeds * len(names))
    about = {
        "catalog": catalog.source,
        "scored": scored,
        "items": len(rows),
        "labels": len(bench.label_names),
        "seeds": seeds,
        "replicates": replicates,
        **config.told(),
        "graph": config.graph,
        "digest": digest_of(catalog.ids[rows].tolist(), bench.label_names, bench.labels(rows)),
    }
    return Comparison([_mean(parts) for parts in found.values()], bench.label_names, about)


def check_comparable(
    config: FitConfig,
    only: Sequence[str] | None = None,
    seeds: int = 1,
    scored: str = "val",
    replicates: int = NUM_REPLICATES,
) -> list[str]:
    """Return the names of the methods to compare, the Bayesian network first.

    Raises:
        ConfigError: If a name or a number is not valid, or the settings are not comparable.
    """
    problems = [
        f"In --only: {unknown_option('method', name, tuple(COMPETITORS))}"
        for name in only or ()
        if name not in COMPETITORS
    ]
    if scored not in SCORED:
        problems.append(f"In --on: {unknown_option('split', scored, SCORED)}")
    for flag, number in (("--seeds", seeds), ("--replicates", replicates)):
        if number < 1:
            problems.append(f"{flag} is {number}; expected at least 1.")
    if config.elbo == "none":
        problems.append(
            "--elbo none has no posterior to compare with: it is the row twin. Choose another "
            "--elbo."
        )
    if config.finetune is not None:
        problems.append(
            "--finetune trains encoders with the network, which the competitors do not. Leave it "
            "out: all of them get the same frozen features."
        )
    if problems:
        raise ConfigError("\n".join(problems))
    chosen = set(COMPETITORS) if only is None else {FIRST, *only}
    return [name for name in COMPETITORS if name in chosen]


def _one(
    bench: Bench,
    name: str,
    seed: int,
    rows: NDArray[np.int64],
    foreign: Mapping[str, Catalog],
    replicates: int,
) -> Row:
    """Fit one method with one seed, and score it."""
    fitted = COMPETITORS[name](bench, seed)
    thresholds = best_thresholds(
        fitted.draws(bench.catalog, bench.val).mean(axis=0, dtype=np.float64),
        bench.labels(bench.val),
    )
    started = time.perf_counter()
    draws = fitted.draws(bench.catalog, rows)
    mean = draws.mean(axis=0, dtype=np.float64)
    seconds = time.perf_counter() - started
    # the resamples are of the items, and so the same whatever the seed of the fit
    truth = bench.labels(rows)
    scores = bootstrap_scores(mean, truth, thresholds, replicates=replicates)
    for kind, items in foreign.items():
        strange = fitted.draws(items, np.arange(len(items)))
        scores[f"auroc_{kind}"] = _auroc(draws, strange, replicates)
    by_label = bootstrap_scores_per_label(mean, truth, thresholds, replicates=replicates)
    spread = dict.fromkeys(scores, float("nan"))
    return Row(name, scores, by_label, spread, fitted.seconds, seconds, fitted.num_parameters)


def _auroc(own: Draws, foreign: Draws, replicates: int) -> Bootstrap:
    """Return how well epistemic uncertainty parts foreign items from own; NaN if there is none."""
    if len(own) == 1:
        resampled = (own.shape[1] + foreign.shape[1], replicates, 0)
        return Bootstrap(np.asarray(np.nan), np.full(replicates, np.nan), resampled)
    unsure = [DrawSummary().update(draws).epistemic.mean(axis=1) for draws in (own, foreign)]
    statistic, num_items = auroc_statistic(*unsure)
    return bootstrap({"auroc": statistic}, num_items, replicates=replicates)["auroc"]


def _mean(rows: Sequence[Row]) -> Row:
    """Return the mean of one method's rows over seeds."""
    first = rows[0]

    def spread(name: str) -> float:
        values = [float(row.scores[name].estimate) for row in rows]
        return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")

    return Row(
        first.name,
        {name: Bootstrap.mean([row.scores[name] for row in rows]) for name in first.scores},
        {
            name: Bootstrap.mean([row.label_scores[name] for row in rows])
            for name in first.label_scores
        },
        {name: spread(name) for name in first.scores},
        float(np.mean([row.fit_seconds for row in rows])),
        float(np.mean([row.predict_seconds for row in rows])),
        first.num_parameters,
    )
