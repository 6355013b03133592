"""How many fits go on at once: as many as there are cores and free memory for."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from bayesfuse.errors import ConfigError

LIBRARIES = 700 * 2**20
"""Bytes of memory that a process takes for libraries and a small network."""

COPIES = 3
"""How often a fit has the features in memory, at most: read, as float32, and on its way."""

MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Capacity:
    """How many processes, and why so many.

    Attributes:
        jobs: Processes at once.
        reason: What that was chosen from, in words.
    """

    jobs: int
    reason: str


def choose_jobs(
    asked: int | None, fits: int, numbers: int, device: str, free: int | None = None
) -> Capacity:
    """Return how many processes to fit in, of one thread each.

    Args:
        asked: What the user said; None to choose.
        fits: Fits that are to do.
        numbers: Numbers that all features of the catalogue are.
        device: The kind of device; fits share none but the CPU.
        free: Bytes of free memory; what the system says if None.

    Raises:
        ConfigError: If fewer than one was asked for.

    Example:
        >>> choose_jobs(None, 1, 1000, "cpu").jobs
        1
        >>> choose_jobs(3, 10, 1000, "cpu").reason
        'as --jobs says'
    """
    if asked is not None:
        if asked < 1:
            raise ConfigError(f"--jobs is {asked}; expected at least 1.")
        return Capacity(asked, "as --jobs says")
    if device != "cpu":
        return Capacity(1, f"they share one {device} device; --jobs 2 has two share it at once")
    cores = usable_cores()
    free = free_memory() if free is None else free
    need = LIBRARIES + COPIES * 4 * numbers
    told = f"{cores} core{'s' if cores > 1 else ''}"
    jobs = min(cores, max(fits, 1))
    if free is None:
        return Capacity(jobs, f"{told}; how much memory is free is not known here")
    gib = 2**30
    told += f", {free / gib:.1f} GiB free, about {need / gib:.1f} GiB a fit"
    return Capacity(max(1, min(jobs, int(0.9 * free) // need)), told)


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int | None:
    """Return the bytes of memory that can be taken without swapping; None where nothing tells."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", MEMINFO.read_text(), re.M)
    except OSError:
        return None
    return None if found is None else 1024 * int(found[1])
