"""What the commands on a run folder share: their arguments, and how a run is opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from bayesfuse.config import (
    SPLITS,
    CatalogConfig,
    FitConfig,
    PredictConfig,
    RunningConfig,
    TableConfig,
)
from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.terminal import encoding_progress, tell, warn

if TYPE_CHECKING:
    from bayesfuse.estimator.drawing import EnoughDraws
    from bayesfuse.estimator.workflow import Run

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a fit.")]
CatalogArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="CATALOG",
        help="Folder with catalog.toml, or a Parquet, CSV or JSON-lines file; the catalogue that "
        "the run was fitted on if left out.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
SplitOption = Annotated[str, typer.Option(help="train, val, test or all.")]


def open_with(
    run: Path, catalog: str | None, split: str, flags: Mapping[str, Any], *, labelled: bool
) -> tuple[Run, PredictConfig]:
    """Open a run and a catalogue as the flags of `PredictConfig` say.

    Args:
        run: The run folder.
        catalog: The catalogue; the one of the fit if None.
        split: One of `SPLITS`.
        flags: The fields that were given.
        labelled: Keep labelled items only.

    Raises:
        ConfigError: If a flag or the split is not valid.
        BayesfuseError: Whatever is wrong with the run or the catalogue.
    """
    options = PredictConfig.parse(flags, "flags")
    if split not in SPLITS:
        raise ConfigError(
            f"In --split: {unknown_option('split', split, SPLITS)} (The column of the split is "
            "--split-column here.)"
        )
    from bayesfuse.estimator.workflow import open_run

    reading = options.model_dump(include=set(TableConfig.model_fields) & set(flags))
    if options.split_column is not None:
        reading["split"] = options.split_column
    running = options.model_dump(include=set(RunningConfig.model_fields))
    with encoding_progress() as on_encoding:
        opened = open_run(
            run,
            catalog,
            CatalogConfig.parse(reading, "flags"),
            split=split,
            device=options.device,
            labelled=labelled,
            update_old=options.update_old,
            running=RunningConfig.parse(running, "flags"),
            on_encoding=on_encoding,
            on_warning=warn,
            tell=tell,
        )
    if options.without:
        from bayesfuse.estimator.missing import without

        opened = without(opened, options.without)
    return opened, options


def draws_and_seed(opened: Run, options: PredictConfig) -> tuple[int, int]:
    """Return how many draws and which seed (see `drawing`), of draws that have to be joint.

    Raises:
        ConfigError: If they are to be marginal.
    """
    if options.draw_kind != "joint":
        raise ConfigError(
            "--draw-kind marginal: this command compares items or labels under one and the same "
            "draw, which marginal draws are not. Leave it out; it is for predict and evaluate."
        )
    found = drawing(opened, options)
    return found.draws, found.seed


class Drawing(NamedTuple):
    """How draws are made.

    Attributes:
        draws: How many.
        seed: Their seed.
        enough: How that many came about; None where the number was given.
        kind: `joint` or `marginal`.
    """

    draws: int
    seed: int
    enough: EnoughDraws | None = None
    kind: str = "joint"

    def to_dict(self) -> dict[str, Any]:
        """Return it as the metadata of a file tells it."""
        told = {"draws": self.draws, "seed": self.seed, "draw_kind": self.kind}
        if self.enough is None:
            return told
        return told | {
            "tolerance": self.enough.tolerance,
            "monte_carlo_error": self.enough.error,
            "monte_carlo_items": self.enough.num_items,
        }


def drawing(opened: Run, options: PredictConfig) -> Drawing:
    """Return how many draws, which seed and kind: the flags', as many as it takes, or the run's.

    What `--draws auto` came to is told on stderr; it is a warning if the tolerance was not reached,
    and if draws have to be joint that were to be marginal.
    """
    seed = opened.config.seed if options.seed is None else options.seed
    idle = [f"--{n.replace('_', '-')}" for n in ("tolerance", "max_draws") if _given(options, n)]
    if idle and options.draws != "auto":
        warn(f"{', '.join(idle)}: no effect without --draws auto.")
    if opened.config.elbo == "none":
        if options.draws is not None:
            warn("--draws: no effect, since the run has no posterior (--elbo none).")
        if options.draw_kind != "joint":
            warn("--draw-kind: no effect, since the run has no posterior (--elbo none).")
        return Drawing(1, seed)
    from bayesfuse.estimator.drawing import enough_draws, marginal_obstacle

    kind, features = options.draw_kind, opened.catalog.features.take(opened.rows)
    if kind == "marginal":
        obstacle = marginal_obstacle(opened.classifier, features)
        if obstacle is not None:
            warn(f"--draw-kind marginal: {obstacle}; the draws are joint.")
            kind = "joint"
    if options.draws != "auto":
        return Drawing(options.draws or opened.config.draws, seed, None, kind)
    enough = enough_draws(
        opened.classifier,
        features,
        tolerance=options.tolerance,
        max_draws=options.max_draws,
        seed=seed,
        kind=kind,
    )
    if enough.reached:
        tell(f"--draws auto: {enough}")
    else:
        warn(f"--draws auto: {enough} Allow more with --max-draws.")
    return Drawing(enough.draws, seed, enough, kind)


def _given(options: PredictConfig, name: str) -> bool:
    """Return whether a setting was given."""
    return name in options.model_fields_set


def how_drawn(opened: Run, draws: int, kind: str = "joint") -> str:
    """Say how many draws of which posterior there are."""
    hidden = f", without {' and '.join(opened.without)}" if opened.without else ""
    if opened.config.elbo == "none":
        return f"no posterior (--elbo none){_weighted(opened.config)}{hidden}"
    plural = "s" if draws != 1 else ""
    marginal = "marginal " if kind == "marginal" else ""
    return (
        f"{draws} {marginal}posterior draw{plural}{temperature_and_weights(opened.config)}{hidden}"
    )


def temperature_and_weights(config: FitConfig) -> str:
    """Say which temperature a posterior has, unless it is Bayes' own, and how labels weigh."""
    cold = config.temperature != 1 and config.elbo != "none"
    temperature = f", temperature {config.temperature:g}" if cold else ""
    return temperature + _weighted(config)


def _weighted(config: FitConfig) -> str:
    """Say which class weights there are, and how draws are recalibrated, if so."""
    weights = config.weighting
    said = "" if weights == "none" else f", class weights {weights}: of a reweighted problem"
    if not config.is_likelihood:
        said += f", loss {config.loss}: no probabilities"
    if config.beside_likelihood:
        said += f", trained by {' and '.join(config.beside_likelihood)} too"
    how = config.recalibrate
    return said if how == "none" else f"{said}, recalibrated on val ({how})"
