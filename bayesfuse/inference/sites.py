"""What a random weight is called, how large it is, and how many inputs feed it."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from bayesfuse.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class WeightSite:
    """One random weight of a module: a Pyro sample site.

    Attributes:
        name: The parameter's path in the module, e.g. `fusion.text.weight`.
        shape: The parameter's shape.
        fan_in: How many inputs feed a unit: what a `fan-in` prior scale divides by.
    """

    name: str
    shape: torch.Size
    fan_in: int


def fan_in(module: nn.Module, name: str) -> int:
    """Return the number of inputs of the layer that holds the parameter `name`.

    A weight of two or more dimensions tells it by itself; a bias takes it from the weight beside
    it (`in_proj_bias` from `in_proj_weight`); any other vector feeds a unit each, so 1.
    """
    shape = module.get_parameter(name).shape
    if len(shape) < 2:
        owner, _, leaf = name.rpartition(".")
        weight = module.get_submodule(owner)._parameters.get(leaf.replace("bias", "weight"))
        if weight is None or weight.dim() < 2:
            return 1
        shape = weight.shape
    return max(1, math.prod(shape[1:]))


def find_sites(module: nn.Module, parts: Sequence[str]) -> list[WeightSite]:
    """Return the weight sites of the named parts, in the module's own order.

    Args:
        module: Any torch module.
        parts: Submodule paths (`"fusion"`), parameter paths (`"fusion.text.weight"`) or patterns
            (`"fusion.*.weight"`).

    Returns:
        A site for every parameter of the parts, each once; one that several modules share has the
        first of its names, and is chosen by any of them.

    Raises:
        ConfigError: If there is no part, or one names nothing that has parameters.
    """
    if not parts:
        raise ConfigError(
            "No part of the network is to be random; expected at least one, such as "
            'fusion, or the ELBO "none" for a network without random weights.'
        )
    first = {id(parameter): name for name, parameter in module.named_parameters()}
    shared = module.named_parameters(remove_duplicate=False)
    names = {name: first[id(parameter)] for name, parameter in shared}
    chosen: set[str] = set()
    for part in parts:
        found = {
            site
            for name, site in names.items()
            if name == part or name.startswith(f"{part}.") or fnmatch.fnmatchcase(name, part)
        }
        if not found:
            modules = [name for name, _ in module.named_modules() if name]
            examples = ", ".join([*modules[:6], *list(names)[:2]])
            raise ConfigError(
                f'No parameters in the part "{part}" of {type(module).__name__}; expected a '
                f"submodule or parameter, for example {examples}."
                f"{did_you_mean(part, [*modules, *names])}"
            )
        chosen |= found
    return [
        WeightSite(name, module.get_parameter(name).shape, fan_in(module, name))
        for name in first.values()
        if name in chosen
    ]
