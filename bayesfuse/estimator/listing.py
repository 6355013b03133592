"""All models in one table: what each joins, the paper it is after, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bayesfuse.config import FUSIONS, PRESETS, STEP_RULES, FitConfig
from bayesfuse.errors import MissingExtraError
from bayesfuse.estimator.model import build_model
from bayesfuse.evaluation.text import aligned
from bayesfuse.inference.sites import find_sites
from bayesfuse.models.inputs import check_widths
from bayesfuse.models.papers import FUSION_PAPERS, MODEL_PAPERS, Paper

_HEARD = "image"  # what items hear of each other, unless told otherwise


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

    A model with a graph hears of neighbours' images, or of the last modality if none is `image`.
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
    heard = _HEARD if _HEARD in widths else list(widths)[-1]
    hears = "" if heard == _HEARD else f" --graph-features {heard}"
    others = [name for name in widths if name != heard]
    every, steps = "any number of modalities", "sequences, and vectors"
    rows: list[tuple[str, str, str, Paper | None]] = [
        (name, f"--modalities {name}", name, None) for name in widths
    ]
    rows += [
        (name, f"--fusion {name}", steps if name in STEP_RULES else every, FUSION_PAPERS[name])
        for name in FUSIONS
    ]
    rows.append(
        (
            "gat",
            f"--modalities {heard} --model gat{hears}",
            f"neighbours' {heard}",
            MODEL_PAPERS["gat"],
        )
    )
    joined = ", ".join([*others, f"neighbours' {heard}"])
    rows.append(("mm-gatbt", f"--model mm-gatbt{hears}", joined, MODEL_PAPERS["mm-gatbt"]))
    for name in PRESETS:
        usual = steps if PRESETS[name].get("fusion") in STEP_RULES else every
        joins = joined if PRESETS[name].get("model") == "mm-gatbt" else usual
        own = hears if joins == joined else ""
        rows.append((name, f"--preset {name}{own}", joins, MODEL_PAPERS[name]))
    found = []
    for name, fit, joins, paper in rows:
        counted = _counts(fit, widths, labels, hidden)
        found.append(ListedModel(name, fit, joins, *counted, paper))
    return ModelList(widths, labels, hidden, tuple(found))


def _counts(
    fit: str, widths: Mapping[str, int], labels: int, hidden: int
) -> tuple[int | None, int | None]:
    """Return how many parameters the model of these flags has, and how many have a posterior."""
    words = fit.split()
    flags = {
        flag[2:].replace("-", "_"): value
        for flag, value in zip(words[::2], words[1::2], strict=True)
    }
    if "preset" not in flags:
        flags["hidden"] = str(hidden)
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
