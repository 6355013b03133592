"""Starts a function in several processes, as torchrun would, and collects what they return."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.multiprocessing.spawn import start_processes

from bayesfuse.inference.distributed import TIMEOUT, process_group


def in_processes(
    function: Callable[..., Any], folder: Path, *args: Any, size: int = 2, common: bool = False
) -> list[Any]:
    """Return what a function of a module returns in each of some processes that run together.

    Args:
        function: Called with `args`; what it returns can be pickled.
        folder: Where the results go on their way.
        args: Its arguments.
        size: How many processes there are.
        common: Whether they draw the same noise.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start_processes(_run, (function, folder, args, size, port, common), size, start_method="spawn")
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(size)]


def _run(
    rank: int,
    function: Callable[..., Any],
    folder: Path,
    args: tuple[Any, ...],
    size: int,
    port: int,
    common: bool,
) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), TIMEOUT: "60"}
    with process_group("cpu", common_noise=common):
        torch.save(function(*args), folder / f"{rank}.pt")
