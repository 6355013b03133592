"""How precisely the networks of encoders reckon."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from bayesfuse.errors import ConfigError, unknown_option

PRECISIONS = ("auto", "bfloat16", "float16", "float32")


def resolve_precision(precision: str, device: str) -> str:
    """Return the precision that is meant on a device.

    Args:
        precision: One of `PRECISIONS`; auto is bfloat16 on a GPU that has it, float16 on an older
            one, and float32 elsewhere.
        device: A device, as torch names it.

    Raises:
        ConfigError: If there is no such precision, or the device cannot reckon in it.

    Example:
        >>> resolve_precision("auto", "cpu")
        'float32'
    """
    if precision not in PRECISIONS:
        raise ConfigError(unknown_option("precision", precision, PRECISIONS))
    kind = torch.device(device).type
    if precision == "auto":
        if kind != "cuda":
            return "float32"
        return "bfloat16" if torch.cuda.get_device_capability(device)[0] >= 8 else "float16"
    if precision == "float16" and kind == "cpu":
        raise ConfigError(
            "An encoder's precision is float16, which a CPU does not reckon in; expected float32 "
            "or bfloat16 there. An encoder that was fitted with float16 needs a GPU; for both, fit "
            "it with precision float32."
        )
    return precision


def autocast(precision: str, device: str) -> AbstractContextManager[object]:
    """Return the context in which a network of float32 weights reckons in a precision."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=getattr(torch, precision))
