"""Where a model is, and in what precision it computes."""

from __future__ import annotations

import torch

from bayesfuse.config import ModelConfig
from bayesfuse.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """Return the device of a name; `auto` is CUDA where there is one, then MPS, then the CPU.

    Raises:
        ConfigError: If there is no such device on this machine.

    Example:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    here = {"cpu": True, "cuda": cuda, "mps": mps}
    if not here.get(device.type, False) or (
        device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    ):
        have = ", ".join(kind for kind, there in here.items() if there)
        raise ConfigError(
            f'There is no device "{name}" on this machine; it has {have} '
            f"({torch.cuda.device_count()} CUDA). Use --device auto."
        )
    return device


def choose_precision(config: ModelConfig, device: torch.device) -> torch.dtype:
    """Return the dtype of the network's products: `auto` is bfloat16 on CUDA that has it.

    Draws, KL, probabilities and the loss are float32 in any case.
    """
    if config.precision != "auto":
        return torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if fast else torch.float32
