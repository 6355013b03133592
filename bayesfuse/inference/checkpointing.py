"""The state of a training between two epochs: what it takes to go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from bayesfuse.inference.history import Epoch
from bayesfuse.inference.seeding import generator_states, set_generator_states

if TYPE_CHECKING:
    from bayesfuse.inference.svi import TrainingRun

Keep = Callable[[int, Callable[[], dict[str, Any]]], None]
"""Told the number of epochs done, and what tells the state of the training."""


def training_state(run: TrainingRun) -> dict[str, Any]:
    """Return all that changes from one epoch to the next.

    Parameters and buffers of network, guide, priors and front; the best epoch and its tensors;
    both optimisers and their learning-rate curves; the history; and every generator: torch's (Pyro
    and the compiled kernels take their seeds from it), that of the order of the items, that of
    hidden modalities, and those that the items themselves draw from (neighbours, augmentation). β
    and the curves go by the number of steps.

    Args:
        run: A training that is not inside an epoch.

    Returns:
        Dicts and lists of tensors, numbers, texts and None. Tensors are shared, not copied.
    """
    return {
        "step": run.step,
        "history": [list(epoch) for epoch in run.history],
        "modules": run.state(),
        "best": run.best.state_dict(),
        "optimisers": run.optimisers.state_dict(),
        "generators": {
            "torch": generator_states(run.train.device),
            "order": run.order.bit_generator.state,
            "masks": run.masks.get_state(),
            "items": {n: g.bit_generator.state for n, g in run.train.generators.items()},
        },
    }


def restore_training(run: TrainingRun, state: Mapping[str, Any]) -> None:
    """Make a training that has just begun what another was when `training_state` was asked.

    Torch's generators are set, too: it is for inside of `bayesfuse.inference.seeding.seeded`.

    Args:
        run: A training of the same network, items and settings.
        state: What `training_state` returned.

    Raises:
        KeyError, ValueError, RuntimeError: If it is that of another training.
    """
    load_tensors(run.state(), state["modules"])
    run.best.load_state_dict(state["best"])
    run.optimisers.load_state_dict(state["optimisers"])
    run.step = int(state["step"])
    run.history[:] = [Epoch(*row) for row in state["history"]]
    generators = state["generators"]
    if set(generators["items"]) != set(run.train.generators):
        raise ValueError("the items draw from other generators")
    set_generator_states(generators["torch"], run.train.device)
    run.order.bit_generator.state = generators["order"]
    run.masks.set_state(generators["masks"])
    for name, generator in run.train.generators.items():
        generator.bit_generator.state = generators["items"][name]


def load_tensors(
    now: list[dict[str, torch.Tensor]], kept: list[Mapping[str, torch.Tensor]]
) -> None:
    """Copy tensors by name into those of the same names and shapes.

    Raises:
        ValueError: If a name or a shape is another one; then nothing was copied.
    """
    if len(now) != len(kept):
        raise ValueError(f"{len(kept)} modules were kept; there are {len(now)}")
    for own, other in zip(now, kept, strict=True):
        if set(own) != set(other):
            name = min(set(own) ^ set(other))
            raise ValueError(f"the tensor {name} is in one of the two only")
        for name, value in own.items():
            if value.shape != other[name].shape:
                raise ValueError(
                    f"{name} has the shape {tuple(other[name].shape)}, not {tuple(value.shape)}"
                )
    with torch.no_grad():
        for own, other in zip(now, kept, strict=True):
            for name, value in own.items():
                value.copy_(other[name])
