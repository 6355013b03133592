"""The state of a training between two epochs: what it takes to go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bayesfuse.errors import RunFolderError
from bayesfuse.inference.distributed import from_each, processes
from bayesfuse.inference.history import Epoch
from bayesfuse.inference.seeding import generator_states, set_generator_states

if TYPE_CHECKING:
    from bayesfuse.inference.svi import SVI, TrainingRun

Keep = Callable[[int, "TrainingRun"], None]
"""Told between epochs how many are done, and the training."""


def training_state(run: TrainingRun) -> dict[str, Any]:
    """Return all that changes from one epoch to the next.

    Parameters and buffers of network, guide, priors and front; the best epoch and its tensors;
    both optimisers and their learning-rate curves; the history; and every generator: torch's (Pyro
    and the compiled kernels take their seeds from it), that of the order of the items, that of
    hidden modalities, and those that the items themselves draw from (neighbours, augmentation). Of
    several processes, which all have to ask, the generators of each. β and the curves go by the
    number of steps.

    Args:
        run: A training that is not inside an epoch.

    Returns:
        Dicts and lists of tensors, numbers, texts and None. Tensors are shared, not copied.
    """
    own = {
        "torch": generator_states(run.train.device),
        "order": run.order.bit_generator.state,
        "masks": run.masks.get_state(),
        "items": {n: g.bit_generator.state for n, g in run.train.generators.items()},
    }
    first, *others = from_each(own)
    return {
        "step": run.step,
        "history": [list(epoch) for epoch in run.history],
        "modules": run.state(),
        "best": run.best.state_dict(),
        "optimisers": run.optimisers.state_dict(),
        "generators": first,
        "others": others,
    }


def restore_training(run: TrainingRun, state: Mapping[str, Any]) -> None:
    """Make a training that has just begun what another was when `training_state` was asked.

    Torch's generators are set, too: it is for inside of `bayesfuse.inference.seeding.seeded`.

    Args:
        run: A training of the same network, items and settings.
        state: What `training_state` returned.

    Raises:
        RunFolderError: If it is that of another training.
    """
    try:
        _restore(run, state)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise _another(error) from error


def _restore(run: TrainingRun, state: Mapping[str, Any]) -> None:
    load_tensors(run.state(), state["modules"])
    run.best.load_state_dict(state["best"])
    run.optimisers.load_state_dict(state["optimisers"])
    run.step = int(state["step"])
    run.history[:] = [Epoch(*row) for row in state["history"]]
    each = [state["generators"], *state.get("others", [])]
    if len(each) != processes().size:
        raise ValueError(f"it is of {len(each)} processes, and there are {processes().size}")
    generators = each[processes().rank]
    if set(generators["items"]) != set(run.train.generators):
        raise ValueError("the items draw from other generators")
    set_generator_states(generators["torch"], run.train.device)
    run.order.bit_generator.state = generators["order"]
    run.masks.set_state(generators["masks"])
    for name, generator in run.train.generators.items():
        generator.bit_generator.state = generators["items"][name]


def module_states(owner: SVI | TrainingRun) -> list[dict[str, Tensor]]:
    """Return every tensor that training changes, of one module after the other (shared)."""
    priors = owner.lifted.priors if owner.lifted else None
    modules = [owner.network, owner.guide, priors, owner.front]
    return [module.state_dict() for module in modules if module is not None]


def load_tensors(now: Sequence[dict[str, Tensor]], kept: Sequence[Mapping[str, Tensor]]) -> None:
    """Copy tensors by name into those of the same names and shapes.

    Raises:
        RunFolderError: If a name or a shape is another one; then nothing was copied.
    """
    if len(now) != len(kept):
        raise _another(f"{len(kept)} modules were kept; there are {len(now)}")
    for own, other in zip(now, kept, strict=True):
        if set(own) != set(other):
            raise _another(f"the tensor {min(set(own) ^ set(other))} is in one of the two only")
        for name, value in own.items():
            if value.shape != other[name].shape:
                shapes = f"{tuple(other[name].shape)}, not {tuple(value.shape)}"
                raise _another(f"{name} has the shape {shapes}")
    with torch.no_grad():
        for own, other in zip(now, kept, strict=True):
            for name, value in own.items():
                value.copy_(other[name])


def _another(reason: object) -> RunFolderError:
    if isinstance(reason, RunFolderError):
        return reason
    return RunFolderError(
        f"The checkpoint is of another model, or of other settings: {reason}. Remove it and fit "
        "again."
    )
