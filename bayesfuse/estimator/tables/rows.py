"""The rows of a table of models: names, and the settings that each is fitted with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bayesfuse.config import FitConfig
from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.estimator.named_models import named_models

ALL = "all"
BAYES = " (Bayes)"
"""What is added to the name of a model whose weights have a posterior."""

OWN = ("fusion", "model", "preset")
"""Settings that a row says itself."""


@dataclass(frozen=True)
class TableRow:
    """One row.

    Attributes:
        name: What it is called in the table.
        config: Its settings, but for the seed.
        labelled: Share of the training items whose labels it knows.
    """

    name: str
    config: FitConfig
    labelled: float = 1.0


def model_rows(
    names: Sequence[str], modalities: Sequence[str], given: Mapping[str, Any]
) -> list[TableRow]:
    """Return the rows of these models: each without a posterior, and then with one.

    What was given counts for every row, and overrides what a preset says. The row without a
    posterior has `--elbo none`, and one member; that with it has the ELBO that was given, the
    default otherwise, and `--loss bce` without smoothing, since other losses are no likelihood.

    Args:
        names: Names in `bayesfuse.estimator.named_models`, or `all` alone.
        modalities: Those of the catalogue.
        given: Settings that were given explicitly; with `elbo="none"` no row has a posterior.

    Raises:
        ConfigError: If a name is unknown or comes twice, or a setting is one that rows say
            themselves, or is not valid.

    Example:
        >>> rows = model_rows(["text", "swiglu"], ["text", "image"], {"hidden": 32})
        >>> [row.name for row in rows]
        ['text', 'text (Bayes)', 'swiglu', 'swiglu (Bayes)']
        >>> rows[2].config.fusion, rows[2].config.elbo, rows[2].config.hidden
        ('swiglu', 'none', 32)
    """
    idle = [f"--{name}" for name in OWN if name in given]
    known = {model.name: model.flags for model in named_models(dict.fromkeys(modalities))}
    chosen = list(known) if list(names) == [ALL] else list(names)
    problems = [
        f"In --models: {unknown_option('model', name, (*known, ALL))}"
        for name in chosen
        if name not in known
    ]
    if not chosen:
        problems.append(f"--models names no model; expected {ALL}, or names with commas between.")
    if len(set(chosen)) < len(chosen):
        problems.append(f"--models names a model twice: {', '.join(chosen)}.")
    if idle:
        problems.append(
            f"{', '.join(idle)}: --models says what is fitted. Leave it out; a TOML file given by "
            "--config should not have it, either."
        )
    if problems:
        raise ConfigError("\n".join(problems))
    rows = []
    for name in chosen:
        flags = {**given, **known[name]}
        if "modalities" in known[name] and "model" not in known[name]:
            # a modality alone: no other item's either
            flags = {key: value for key, value in flags.items() if not _of_graph(key)}
        plain = settings_of({**flags, "elbo": "none", "members": 1})
        rows.append(TableRow(name, plain))
        if given.get("elbo") != "none":
            rows.append(TableRow(f"{name}{BAYES}", _bayesian(flags, given)))
    return rows


def settings_of(flags: Mapping[str, Any]) -> FitConfig:
    """Return the settings of a row; what is for a graph counts only for rows that have one.

    Raises:
        ConfigError: If one is not valid.
    """
    config = FitConfig.resolve(flags)
    if config.graph == "none":
        return config.model_copy(update={"pretrain_graph": 0, "neighbour_labels": False})
    return config


def _of_graph(name: str) -> bool:
    return name in {"graph", "pretrain_graph"} or name.startswith(("graph_", "neighbour_"))


def _bayesian(flags: Mapping[str, Any], given: Mapping[str, Any]) -> FitConfig:
    elbo = given.get("elbo", FitConfig.model_fields["elbo"].default)
    config = settings_of({**flags, "elbo": elbo})
    if not config.is_likelihood:
        return settings_of({**flags, "elbo": elbo, "loss": "bce", "label_smoothing": 0.0})
    return config
