"""Commands that several processes run together, as torchrun starts them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import wraps
from pathlib import Path
from typing import Any

from bayesfuse.errors import ConfigError
from bayesfuse.inference.distributed import num_started, process_group

SHARED = ("fit", "encode", "predict")
"""These commands."""


def shared(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command run in all processes that were started together; the first one prints.

    Args:
        command: Takes `flags`, among which is the device, and shares its work out by itself.
    """

    @wraps(command)
    def wrapped(**given: Any) -> None:
        with process_group(given["flags"].get("device", "auto")) as own:
            if own.rank == 0:
                command(**given)
                return
            with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
                command(**given)

    return wrapped


def refuse_processes(command: str | None) -> None:
    """Say that a command is for one process, where several were started.

    Raises:
        ConfigError: If it is.
    """
    if num_started() > 1 and command not in SHARED:
        raise ConfigError(
            f"{num_started()} processes were started together, and {command or 'this'} is for one; "
            f"{', '.join(SHARED)} are what several can share. Leave torchrun out."
        )
