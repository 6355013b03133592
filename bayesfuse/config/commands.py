"""What each command can be told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from bayesfuse.config.base import Device, Names, one_of
from bayesfuse.config.catalog import CatalogConfig, TableConfig
from bayesfuse.config.encoding import EncoderConfig, RunningConfig
from bayesfuse.config.finetuning import FinetuneConfig
from bayesfuse.config.graph import SELF_LOOPS
from bayesfuse.config.model import DECISIONS, ModelConfig

_REFNET: dict[str, Any] = {
    "fusion": "linear-sum",
    "hidden": 512,
    "refiner": 0.1,
    "elbo": "none",
    "batch_size": 32,
    "warmup_epochs": 1.0,
}
PRESETS: dict[str, dict[str, Any]] = {
    "pm-mo": {
        "fusion": "mixing",
        "hidden": 3000,
        "init_loc": 0.1,
        "init_scale": 0.01,
        "feature_norm": None,
        "learning_rate": 0.005,
        "classifier_learning_rate": 0.005,
        "dropout": 0.9,
        "beta_start": 0.2,
        "l2": 0.1,
        "batch_size": 512,
    },
    "mmbt": {
        "fusion": "mmbt",
        "elbo": "none",
        "class_weights": "positive",
        "classifier": "linear",
        "dropout": 0.1,
        "epochs": 100,
        "warmup_epochs": 10.0,
        "patience": 5,
        "batch_size": 160,
        "backbone_learning_rate": 5e-5,
        "layer_decay": 1.0,
    },
    "mm-gatbt": {
        "model": "mm-gatbt",
        "graph": "people",
        "graph_layers": 3,
        "graph_heads": 8,
        "graph_width": 32,
        "graph_dropout": 0.1,
        "attention_dropout": 0.1,
        "neighbour_shrinkage": 0.0,
        "pretrain_graph": 20,
        "elbo": "none",
        "class_weights": "positive",
        "classifier": "linear",
        "dropout": 0.1,
        "epochs": 100,
        "warmup_epochs": 10.0,
        "patience": 10,
        "batch_size": 72,
        "backbone_learning_rate": 1e-5,
        "layer_decay": 1.0,
    },
    "swiglu": {
        "fusion": "swiglu",
        "hidden": 512,
        "classifier": "linear",
        "dropout": 0.3,
        "elbo": "none",
        "loss": "focal",
        "focal_alpha": 0.25,
        "focal_gamma": 2.0,
        "label_smoothing": 0.1,
        "epochs": 20,
        "batch_size": 16,
        "classifier_learning_rate": 1e-4,
        "backbone_learning_rate": 1e-4,
        "layer_decay": 1.0,
        "weight_decay": 1e-5,
        "warmup_epochs": 3.0,
        "learning_rate_decay": "plateau",
        "plateau_factor": 0.2,
        "plateau_patience": 2,
        "monitor": "macro-f1",
        "min_delta": 0.001,
        "patience": 5,
    },
    "refnet": _REFNET,
    "refnet-ms": {**_REFNET, "multi_similarity": 0.1},
}
"""Named sets of settings. `pm-mo`: Armitage et al. 2020, sec. 4.1 and their best row, λKL+L2.
`mmbt`: Kiela et al. 2020, the command of their published code; batches of 4 of which 40 make a step
are batches of 160 here, and networks are not frozen at first. `mm-gatbt`: Seo et al. 2022 and their
published code, without posterior; batches of 12 of which 6 make a step are batches of 72 here.
`swiglu`: Supkhankulov 2025, sec. 4.5, whose focal loss has the one weight 0.25 for both terms.
`refnet` and `refnet-ms`: Sankaran et al. 2021, sec. 5.1, on features of frozen encoders, and so at
our learning rate in place of 5e-5."""

RUN_DECISIONS = ("decided", *DECISIONS)
"""Decision rules of a run: those of a fit, and what `bayesfuse decide` chose."""

DRAW_KINDS = ("joint", "marginal")
"""Kinds of posterior draws."""

GRAPH_MODELS = ("gat", "mm-gatbt")
"""Models that are nothing without a graph."""


def _draws_of(value: Any) -> Any:
    """Read a number of draws, or `auto`."""
    if value == "auto" or value is None:
        return value
    try:
        number = value if isinstance(value, int) else int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"expected a whole number of at least 1, or auto; got {value!r}.")
    return number


class EncodeConfig(CatalogConfig, EncoderConfig, RunningConfig):
    """Everything that `bayesfuse encode` can be told besides paths."""

    device: Device = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    shards: int = Field(1, ge=1, description="Split the items over so many processes.")
    shard: int | None = Field(None, ge=0, description="Encode this share only, from 0.")


class FitConfig(ModelConfig, CatalogConfig, EncoderConfig, RunningConfig, FinetuneConfig):
    """Everything that `bayesfuse fit` can be told besides the catalogue and where to write."""

    preset: Annotated[str, one_of("preset", tuple(PRESETS))] | None = Field(
        None,
        description=f"A set of settings that flags still override: {', '.join(PRESETS)}.",
    )

    @property
    def joint_model(self) -> str | None:
        """The flag of a model whose transformer may read the text itself; None of any other."""
        if self.model == "mm-gatbt":
            return "--model mm-gatbt"
        return "--fusion mmbt" if self.model == "fusion" and self.fusion == "mmbt" else None

    @classmethod
    def resolve(
        cls, flags: Mapping[str, Any], file: Mapping[str, Any] | None = None, source: str = "flags"
    ) -> FitConfig:
        """Return the settings: defaults, then the preset, then the TOML file, then the flags.

        A model that is nothing without a graph has the one of people unless another is named.

        Args:
            flags: What was given explicitly.
            file: What a TOML file says.
            source: What to call them in a message.

        Raises:
            ConfigError: All mistakes at once.
        """
        given = {**(file or {}), **flags}
        preset = given.get("preset")
        if preset is not None and preset in PRESETS:
            given = {**PRESETS[preset], **given}
        if given.get("model") in GRAPH_MODELS:
            given = {"graph": "people", **given}
        return cls.parse(given, source)


class PredictConfig(TableConfig, RunningConfig):
    """Everything that `bayesfuse predict` and `bayesfuse evaluate` can be told besides paths."""

    split_column: str | None = Field(
        None, description="Column of the split, of a catalogue that is one file."
    )
    draws: Annotated[int | Literal["auto"], BeforeValidator(_draws_of)] | None = Field(
        None,
        description="Posterior draws: a number, or auto for as many as --tolerance takes; else the "
        "run's own.",
    )
    tolerance: float = Field(
        0.005,
        gt=0,
        description="Monte Carlo error of the probabilities at which --draws auto stops: the "
        "root mean square over items, of the worst label.",
    )
    max_draws: int = Field(1024, ge=2, description="Most draws of --draws auto.")
    draw_kind: Annotated[str, one_of("kind of draws", DRAW_KINDS)] = Field(
        "joint",
        description="joint: a draw is one network for all items; marginal: right for one item at "
        "a time, and far cheaper (predict and evaluate only).",
    )
    seed: int | None = Field(None, ge=0, description="Seed of the draws; else the run's own.")
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    without: Names | None = Field(
        None,
        description="Modalities to hide, such as text,image, or graph for neighbours: as if they "
        "had not been observed.",
    )
    update_old: bool = Field(
        False,
        description="Let items hear the new ones of CATALOG, too: the old ones, and each other. "
        "Predictions then depend on what else is in it.",
    )
    decision: Annotated[str, one_of("decision rule", RUN_DECISIONS)] | None = Field(
        None,
        description="half, f1, or decided: what bayesfuse decide chose; if left out, that if there "
        "is one, or else the fit's own.",
    )


class GraphCommandConfig(CatalogConfig):
    """Everything that `bayesfuse graph` can be told besides paths of what it writes."""

    max_group: int | None = Field(
        None, ge=2, description="Most items that one name joins; a name in more joins none."
    )
    self_loops: Annotated[str, one_of("choice of self-loops", SELF_LOOPS)] = Field(
        "isolated", description="Items that hear themselves, too: isolated, all or none."
    )
    edges: str | None = Field(
        None,
        description="Parquet, CSV or JSON-lines file of pairs of ids, in place of shared people.",
    )
    edge_source: str = Field("source", description="Its column of one end of a pair.")
    edge_target: str = Field("target", description="Its column of the other end.")
    edge_relation: str | None = Field(None, description="Its column of relations, if any.")
    edge_weight: str | None = Field(None, description="Its column of weights, if any.")
    edge_delimiter: str | None = Field(None, description="What separates its columns, in a CSV.")
    permutations: int = Field(
        100, ge=0, description="Times that labels are dealt out anew, for the spread by chance."
    )
    seed: int = Field(0, ge=0, description="Seed of the permutations.")
    around: str | None = Field(
        None, description="Draw the neighbourhood of the item with this id or title."
    )
    hops: int = Field(1, ge=1, le=2, description="1: its neighbours; 2: theirs, too.")
    max_nodes: int = Field(40, ge=2, description="Most items to draw.")

    def without_effect(self, given: Collection[str]) -> list[str]:
        """Return a sentence on settings that were given and change nothing beside the others.

        Example:
            >>> GraphCommandConfig(hops=2).without_effect({"hops"})
            ['--hops: no effect without --around.']
        """
        edges = [name for name in type(self).model_fields if name.startswith("edge_")]
        idle = []
        if self.edges is None:
            idle.append((edges, "without --edges"))
        else:
            people = ["people", "people_separator", "max_group"]
            idle.append((people, "with --edges, which says who is joined"))
        if self.around is None:
            idle.append((["hops", "max_nodes"], "without --around"))
        return [
            f"{', '.join(flags)}: no effect {why}."
            for names, why in idle
            if (flags := [f"--{name.replace('_', '-')}" for name in names if name in given])
        ]
