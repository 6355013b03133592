"""All models in one table: what each joins, the paper it is after, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bayesfuse.config import FitConfig
from bayesfuse.errors import MissingExtraError
from bayesfuse.estimator.model import build_model
from bayesfuse.estimator.named_models import named_models
from bayesfuse.evaluation.text import aligned
from bayesfuse.inference.sites import find_sites
from bayesfuse.models.inputs import check_widths
from bayesfuse.models.papers import Paper


@dataclass(frozen=True)
class ListedModel:
    """A model that can be fitted.

    Attributes:
        name: What it is called.
        fit: The flags of `bayesfuse fit` that make it.
        modalities: What it joins.
        parameters: How many numbers are learned; None where what builds it is not installed.
        random: How many of them have a posterior, as it is fitted if nothing else is said.
        paper: The paper it is after; None of a modality alone.
    """

    name: str
    fit: str
    modalities: str
    parameters: int | None
    random: int | None
    paper: Paper | None


@dataclass(frozen=True)
class ModelList:
    """All models, of items with the given features.

    Attributes:
        widths: Modality to its number of features.
        labels: Number of labels.
        hidden: Width of the fused representation; presets have their own.
        models: The models: modalities alone, fusion rules, those with a graph, presets.
    """

    widths: Mapping[str, int]
    labels: int
    hidden: int
    models: tuple[ListedModel, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)

    def __str__(self) -> str:
        """Lay it out as a table."""
        header = ["model", "bayesfuse fit", "joins", "after", "parameters", "with a posterior"]
        rows = [
            [
                *(model.name, model.fit, model.modalities),
                "" if model.paper is None else str(model.paper),
                *(_count(model.parameters), _count(model.random)),
            ]
            for model in self.models
        ]
        sizes = ", ".join(f"{name} {width}" for name, width in self.widths.items())
        return (
            f"{aligned(header, rows, left=4)}\n\nCounted for {self.labels} labels and "
            f"features of {sizes}; hidden {self.hidden}, but for presets."
        )


def list_models(widths: Mapping[str, int], labels: int, hidden: int = 256) -> ModelList:
    """Return all models, with their parameters counted by building them.

    They are those of `bayesfuse.estimator.named_models`.
    `mm-gatbt` is counted in its light form, on features of text; a pretrained transformer that
    joins a text comes with its own parameters. For rules that read steps, all are sequences.

    Args:
        widths: Modality to its number of features.
        labels: Number of labels.
        hidden: Width of the fused representation, of all but presets.

    Raises:
        ConfigError: If a width or a number is not usable.

    Example:
        >>> found = list_models({"text": 3, "image": 2}, labels=5, hidden=8)
        >>> [(model.name, model.parameters) for model in found.models[:2]]
        [('text', 6461), ('image', 6453)]
    """
    widths = check_widths(widths)
    found = []
    for model in named_models(widths):
        counted = _counts(model.flags, widths, labels, hidden)
        found.append(ListedModel(model.name, model.fit, model.joins, *counted, model.paper))
    return ModelList(widths, labels, hidden, tuple(found))


def _counts(
    flags: dict[str, str], widths: Mapping[str, int], labels: int, hidden: int
) -> tuple[int | None, int | None]:
    """Return how many parameters the model of these flags has, and how many have a posterior."""
    if "preset" not in flags:
        flags = {**flags, "hidden": str(hidden)}
    config = FitConfig.resolve(flags)
    chosen = {name: widths[name] for name in config.modalities or widths}
    try:
        # only the network is wanted: no guide is made
        plain = config.model_copy(update={"elbo": "none", "device": "cpu"})
        sequences = tuple(chosen) if plain.reads_steps else ()
        network = build_model(chosen, labels, 1, plain, sequences=sequences).network
    except MissingExtraError:
        return None, None
    random = []
    if config.elbo != "none":
        random = [site.shape.numel() for site in find_sites(network, config.random_parts)]
    return sum(p.numel() for p in network.parameters()), sum(random)


def _count(number: int | None) -> str:
    """Return a count as it is read."""
    return "not installed" if number is None else f"{number:,}"
