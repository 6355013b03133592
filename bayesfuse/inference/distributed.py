"""The processes of one run: which of them this is, and what they tell each other.

torchrun, or whatever else sets `RANK` and `WORLD_SIZE`, starts the processes; torch.distributed
carries what they say, by gloo between CPUs and by nccl between GPUs. In a process that is alone
every function here gives back what it was given, and torch.distributed is never started.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from bayesfuse.errors import BayesfuseError, ConfigError, UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

TIMEOUT = "BAYESFUSE_DISTRIBUTED_TIMEOUT"
"""Environment variable: seconds that a process waits for the others before all end."""

WAITS = 1800.0
"""Those seconds if it is not set."""

_LOST = ("closed by peer", "reset by peer", "timed out", "timeout", "gloo", "nccl", "broken pipe")

T = TypeVar("T")


class ProcessesError(BayesfuseError):
    """Another process of the run has ended, or does not answer."""


@dataclass(frozen=True)
class Processes:
    """The processes of a run, as one of them sees it.

    Attributes:
        rank: Which one this is, from 0.
        size: How many there are.
        common_noise: Whether all draw the same noise in training; for tests, and nothing else.
    """

    rank: int = 0
    size: int = 1
    common_noise: bool = False


_ALONE = Processes()
_now = _ALONE


def processes() -> Processes:
    """Return the processes of this run; outside of `process_group` this one, alone."""
    return _now


def is_first() -> bool:
    """Return whether this is the process that tells and writes."""
    return _now.rank == 0


def num_started(environment: Mapping[str, str] = os.environ) -> int:
    """Return how many processes were started together, as torchrun tells; 1 without it."""
    return int(environment.get("WORLD_SIZE", 1)) if "RANK" in environment else 1


@contextmanager
def process_group(device: str = "auto", *, common_noise: bool = False) -> Iterator[Processes]:
    """Join the processes that were started together, inside the block; a lone one stays alone.

    Args:
        device: `auto`, `cpu` or `cuda`: with GPUs, each process of a machine has one of its own.
        common_noise: See `Processes`.

    Raises:
        ConfigError: If a machine has more processes than GPUs, or the environment is incomplete.
        ProcessesError: If another process ended or does not answer.

    Example:
        >>> with process_group() as alone:
        ...     alone.size
        1
    """
    global _now
    size = num_started()
    if size == 1 or _now.size > 1:
        yield _now
        return
    import torch
    import torch.distributed as dist

    lacking = [n for n in ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK") if n not in os.environ]
    if lacking:
        raise ConfigError(
            f"WORLD_SIZE is {size}, but {', '.join(lacking)} "
            f"{'are' if len(lacking) > 1 else 'is'} not set. Start the processes with torchrun "
            f"--nproc-per-node {size} -m bayesfuse ..., or set what it sets."
        )
    with_gpus = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    if with_gpus:
        local, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= gpus:
            raise ConfigError(
                f"This machine has {gpus} GPU{'s' if gpus != 1 else ''} and at least {local + 1} "
                f"processes. Start one a GPU (--nproc-per-node {gpus}), or give --device cpu."
            )
        torch.cuda.set_device(local)
    seconds = float(os.environ.get(TIMEOUT, WAITS))
    whole = False
    try:
        # gloo is there in both cases, for what lies in the memory of the CPU
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if with_gpus else "gloo", timeout=timedelta(seconds=seconds)
        )
        _now = Processes(dist.get_rank(), dist.get_world_size(), common_noise)
        yield _now
        whole = True
    except RuntimeError as error:
        if _is_lost(error):
            raise ProcessesError(
                f"Process {os.environ['RANK']} of {size} lost the others: one of them has ended "
                f"(then it says why), or has not answered for {seconds:g} seconds. "
                f"({' '.join(str(error).split())[:200]})"
            ) from error
        raise
    finally:
        _now = _ALONE
        # after a failure nccl would wait here for what will never come
        if dist.is_initialized() and (whole or not with_gpus):
            dist.destroy_process_group()


def own_seed(seed: int) -> int:
    """Return the seed of this process's own noise: the first process's is the run's own.

    Example:
        >>> own_seed(3)
        3
    """
    if _now.rank == 0 or _now.common_noise:
        return seed
    import numpy as np

    # as `bayesfuse.inference.predictive` does of draws, with another length of the entropy
    return int(np.random.SeedSequence([seed, 0, _now.rank]).generate_state(1, np.uint64)[0] >> 1)


def share_of(count: int, block: int = 1) -> slice:
    """Return which of so many things are this process's: a run of them, in whole blocks.

    Args:
        count: How many things there are.
        block: How many stay together.

    Example:
        >>> share_of(10)
        slice(0, 10, None)
    """
    return part_of(count, _now.rank, _now.size, block)


def part_of(count: int, number: int, parts: int, block: int = 1) -> slice:
    """Return which of so many things are in one of equal parts, as far as blocks stay together.

    Args:
        count: How many things there are.
        number: Which part, from 0.
        parts: How many parts.
        block: How many things stay together.

    Example:
        >>> [part_of(10, number, 3, block=2) for number in range(3)]
        [slice(0, 2, None), slice(2, 6, None), slice(6, 10, None)]
    """
    blocks = -(-count // block)
    bounds = [min(count, blocks * k // parts * block) for k in (number, number + 1)]
    return slice(*bounds)


def barrier() -> None:
    """Wait until all processes are here."""
    if _now.size > 1:
        import torch

        sum_(torch.zeros(1))


def sum_(tensor: Tensor) -> Tensor:
    """Replace a tensor by the sum over all processes, in place, and return it."""
    if _now.size > 1:
        import torch.distributed as dist

        dist.all_reduce(tensor)
    return tensor


def copy_first_(tensor: Tensor) -> None:
    """Give a tensor the values that it has in the first process, in place."""
    if _now.size > 1:
        import torch.distributed as dist

        dist.broadcast(tensor, src=0)


def from_first(value: T) -> T:
    """Return what the first process has; on the others the value is not looked at.

    Args:
        value: What can be pickled.
    """
    if _now.size == 1:
        return value
    import torch.distributed as dist

    told: list[Any] = [value]
    dist.broadcast_object_list(told, src=0)
    found: T = told[0]
    return found


def from_each(value: T) -> list[T]:
    """Return what each process has, in the order of their ranks.

    Args:
        value: What can be pickled.
    """
    if _now.size == 1:
        return [value]
    import torch.distributed as dist

    told: list[Any] = [None] * _now.size
    dist.all_gather_object(told, value)
    return told


def first_does(what: Callable[[], T]) -> T:
    """Return what the first process comes to, or raise what it raises, on all of them.

    Args:
        what: Called in the first process alone; what it returns can be pickled.
    """
    found: Any = None
    problem: BayesfuseError | None = None
    if _now.rank == 0:
        try:
            found = what()
        except BayesfuseError as error:
            problem = error
    # an error by its kind and words: those that take several arguments cannot be pickled
    told = None if problem is None else (type(problem), str(problem))
    found, told = from_first((found, told))
    if problem is not None:
        raise problem
    if told is not None:
        kind = UserError if issubclass(told[0], UserError) else BayesfuseError
        raise kind(told[1])
    whole: T = found
    return whole


def gathered(part: NDArray[np.float32], share: slice, count: int, axis: int = 0) -> Any:
    """Return the whole array, of which each process has made its share, on all of them.

    Args:
        part: This process's share.
        share: Where in the whole it lies, along the axis.
        count: Length of the whole along the axis.
        axis: Which one.
    """
    if _now.size == 1:
        return part
    import numpy as np
    import torch

    shape = list(part.shape)
    shape[axis] = count
    whole = np.zeros(shape, part.dtype)
    whole[(slice(None),) * axis + (share,)] = part
    # every number is added to zeros alone, which leaves it what it is
    return sum_(torch.from_numpy(whole)).numpy()


def _is_lost(error: RuntimeError) -> bool:
    """Return whether an error is of the connection between processes."""
    said = f"{type(error).__module__}.{type(error).__name__} {error}".lower()
    return any(word in said for word in _LOST)
