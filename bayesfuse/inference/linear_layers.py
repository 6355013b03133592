"""Which linear layers have random weights that their outputs can stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Independent
from torch.func import functional_call

from bayesfuse.inference.guides import Guide
from bayesfuse.inference.lifting import LiftedModule
from bayesfuse.inference.local_params import with_local_params
from bayesfuse.inference.site_guides import SiteGuide


def first_layers(lifted: LiftedModule, guide: Guide, *args: Any) -> list[str]:
    """Return the linear layers with random weights that read nothing random, by name.

    Which these are autograd tells: an input that depends on a random weight would have a gradient.
    A layer counts if its weights are independent of each other under the guide, if it runs once on
    an item a row (steps of one item share its weights), and if nothing else reads its weights.

    Args:
        lifted: The lifted network.
        guide: Its guide.
        args: Any items.
    """
    calls, _ = _calls(lifted, guide, *args)
    found = [n for n, (given, _) in calls.items() if not given.requires_grad and given.dim() == 2]
    return [name for name in found if not _read_elsewhere(lifted, name, *args)]


def items_layers(lifted: LiftedModule, guide: Guide, *args: Any) -> list[str]:
    """Return the linear layers with random weights that read an item a row, by name.

    The logits of an item hear such a layer's row of that item and no other row, so that the
    item's own weights, independent of all others', could have made it. Beside that they count as
    in `first_layers`, but may read what is random.

    Args:
        lifted: The lifted network.
        guide: Its guide.
        args: Any items, two at least.
    """
    modes = {module: module.training for module in lifted.module.modules()}
    lifted.module.eval()  # in training, layers may drop what would tell
    try:
        calls, logits = _calls(lifted, guide, *args)
        own = {name for name in calls if not _read_elsewhere(lifted, name, *args)}
    finally:
        for module, training in modes.items():
            module.training = training
    found = []
    for name, (_, said) in calls.items():
        if name not in own or said.dim() != 2 or len(said) != len(logits):
            continue
        of_first = logits[0].sum()
        (heard,) = torch.autograd.grad(of_first, said, retain_graph=True, materialize_grads=True)
        if not bool(heard[1:].any()):
            found.append(name)
    return found


@contextmanager
def replaced_forwards(forwards: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Have modules return what these functions do, inside the `with` block."""
    for module, forward in forwards.items():
        module.__dict__["forward"] = forward
    try:
        yield
    finally:
        for module in forwards:
            module.__dict__.pop("forward", None)


def _calls(
    lifted: LiftedModule, guide: Guide, *args: Any
) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor]:
    """Return what each layer that counts read and said, if once, and what the network said."""
    module = lifted.module
    guides = {one.site_name: one for one in guide.site_guides}
    owners: dict[int, int] = {}
    for _, parameter in module.named_parameters(remove_duplicate=False):
        owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    calls: dict[str, list[tuple[Tensor, Tensor]]] = {}
    hooks = []
    for name, layer in module.named_modules():
        weight = guides.get(f"{name}.weight")
        bias = guides.get(f"{name}.bias")
        # a subclass may do something else with its weights
        if type(layer) is not nn.Linear or weight is None or owners[id(layer.weight)] > 1:
            continue
        if not all(_independent(one) for one in (weight, bias) if one is not None):
            continue

        def look(_: nn.Module, given: tuple[Any, ...], said: Tensor, name: str = name) -> None:
            calls.setdefault(name, []).append((given[0], said))

        hooks.append(layer.register_forward_hook(look))
    try:
        logits = _run(lifted, set(guides), *args)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: given[0] for name, given in calls.items() if len(given) == 1}, logits


def _run(lifted: LiftedModule, traced: set[str], *args: Any) -> Tensor:
    """Run the network so that what depends on the traced parameters has a gradient."""
    values = {
        name: parameter.detach().requires_grad_(name in traced)
        for name, parameter in lifted.module.named_parameters()
    }
    with torch.enable_grad():
        found: Tensor = functional_call(lifted.module, values, args)
    return found


def _read_elsewhere(lifted: LiftedModule, name: str, *args: Any) -> bool:
    """Return whether anything but the layer itself reads its weights."""
    layer = lifted.module.get_submodule(name)
    own = {f"{name}.{parameter}" for parameter, _ in layer.named_parameters()}
    units: int = layer.out_features  # type: ignore[assignment]  # a linear layer's

    def nothing(x: Tensor) -> Tensor:
        return x.new_zeros(*x.shape[:-1], units)

    with replaced_forwards({layer: nothing}):
        return _run(lifted, own, *args).requires_grad


@with_local_params
def _independent(guide: SiteGuide) -> bool:
    """Return whether the elements of a site are independent of each other under its guide."""
    return isinstance(guide.distribution(), Independent)
