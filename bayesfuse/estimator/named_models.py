"""Every model by its name: the flags of `bayesfuse fit` that make it, and the paper it is after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bayesfuse.config import FUSIONS, PRESETS, STEP_RULES
from bayesfuse.models.papers import FUSION_PAPERS, MODEL_PAPERS, Paper

_HEARD = "image"  # what items hear of each other, unless told otherwise


@dataclass(frozen=True)
class NamedModel:
    """A model that can be fitted.

    Attributes:
        name: What it is called, the one of its name.
        fit: The flags of `bayesfuse fit` that make it.
        joins: What it joins.
        paper: The paper it is after; None of a modality alone.
    """

    name: str
    fit: str
    joins: str
    paper: Paper | None

    @property
    def flags(self) -> dict[str, str]:
        """The flags, setting to value."""
        words = self.fit.split()
        pairs = zip(words[::2], words[1::2], strict=True)
        return {flag.removeprefix("--").replace("-", "_"): value for flag, value in pairs}


def named_models(modalities: Mapping[str, object]) -> tuple[NamedModel, ...]:
    """Return all models: modalities alone, fusion rules, those with a graph, presets.

    A preset that is called as a rule or a model is has `-preset` after its name. A model with a
    graph hears of neighbours' images, or of the last modality if none is `image`.

    Args:
        modalities: Those of the items, at least one.

    Example:
        >>> found = named_models({"text": 3, "image": 2})
        >>> [(model.name, model.flags) for model in found if "mm-gatbt" in model.name]
        [('mm-gatbt', {'model': 'mm-gatbt'}), ('mm-gatbt-preset', {'preset': 'mm-gatbt'})]
    """
    heard = _HEARD if _HEARD in modalities else list(modalities)[-1]
    hears = "" if heard == _HEARD else f" --graph-features {heard}"
    every, steps = "any number of modalities", "sequences, and vectors"
    joined = ", ".join([*(name for name in modalities if name != heard), f"neighbours' {heard}"])
    found = [NamedModel(name, f"--modalities {name}", name, None) for name in modalities]
    found += [
        NamedModel(
            name, f"--fusion {name}", steps if name in STEP_RULES else every, FUSION_PAPERS[name]
        )
        for name in FUSIONS
    ]
    alone = f"--modalities {heard} --model gat{hears}"
    found.append(NamedModel("gat", alone, f"neighbours' {heard}", MODEL_PAPERS["gat"]))
    full = f"--model mm-gatbt{hears}"
    found.append(NamedModel("mm-gatbt", full, joined, MODEL_PAPERS["mm-gatbt"]))
    taken = {model.name for model in found}
    for preset, settings in PRESETS.items():
        graph = settings.get("model") == "mm-gatbt"
        name = f"{preset}-preset" if preset in taken else preset
        fit = f"--preset {preset}{hears if graph else ''}"
        usual = steps if settings.get("fusion") in STEP_RULES else every
        found.append(NamedModel(name, fit, joined if graph else usual, MODEL_PAPERS[preset]))
    return tuple(found)
