"""Seeds that leave torch's generators as they were, and what those generators are at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from bayesfuse.inference.local_params import TURNS


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed torch's generator of the CPU, and of a CUDA or MPS device, inside the block.

    Unlike `torch.manual_seed` it touches no other device, so that thousands of seeds do not pile
    up for a CUDA that is never used. Threads take turns: what draws is one for all of them.

    Args:
        seed: The seed, in [0, 2⁶³).
        device: The device that is going to draw.

    Example:
        >>> with seeded(3):
        ...     first = torch.rand(2)
        >>> with seeded(3):
        ...     bool((torch.rand(2) == first).all())
        True
    """
    with TURNS, _seeded(seed, torch.device(device)):
        yield


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    cpu = torch.default_generator
    before = cpu.get_state()
    on_device = device.type in {"cuda", "mps"}
    module = getattr(torch, device.type)
    arguments = (device,) if device.type == "cuda" else ()
    device_before = module.get_rng_state(*arguments) if on_device else None
    cpu.manual_seed(seed)
    if on_device:
        module.manual_seed(seed)
    try:
        yield
    finally:
        cpu.set_state(before)
        if on_device:
            module.set_rng_state(device_before, *arguments)


def generator_states(device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Return the state of torch's generator of the CPU, and of a CUDA or MPS device.

    Args:
        device: The device that draws.

    Example:
        >>> before = generator_states()
        >>> first = torch.rand(2)
        >>> set_generator_states(before)
        >>> bool((torch.rand(2) == first).all())
        True
    """
    device = torch.device(device)
    found = {"cpu": torch.default_generator.get_state()}
    if device.type == "cuda":
        found["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        found["mps"] = torch.mps.get_rng_state()
    return found


def set_generator_states(states: Mapping[str, Tensor], device: torch.device | str = "cpu") -> None:
    """Set them; a kind of device that is not among the states stays as it is.

    Args:
        states: What `generator_states` returned, perhaps on another kind of device.
        device: The device that draws.
    """
    device = torch.device(device)
    torch.default_generator.set_state(states["cpu"].cpu())
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"].cpu(), device)
    elif device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"].cpu())
