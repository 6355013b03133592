r"""One training on several processes: each takes its share of every batch, and all take one step.

The loss of a batch of B items is a mean over them, plus terms that do not depend on the items: the
KL and the penalties. Process r, with B_r of the items, has the gradient g_r of the same loss of its
share. The step is that of

.. math:: g = \sum_r \frac{B_r}{B}\, g_r

in which each item counts 1/B, and the KL, whose weights B_r/B sum to 1, counts once. With the noise
of a single process this is that process's gradient, to rounding. With noise of its own on each
process (`bayesfuse.inference.distributed.own_seed`) it is an average over as many draws: unbiased,
and of less variance.

Batch normalisation takes the statistics of the whole batch. Losses that compare the items of a
batch with each other (auxiliary ones of contrast and similarity) compare those of a share.

Reference: Li et al. 2020 (arXiv:2006.15704), data parallel training; Ioffe & Szegedy 2015
(arXiv:1502.03167), algorithm 1, and Chan, Golub & LeVeque 1979 for statistics of parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bayesfuse.data.batches import num_batches
from bayesfuse.errors import ConfigError
from bayesfuse.inference.distributed import copy_first_, processes, sum_
from bayesfuse.inference.linear_layers import replaced_forwards


class OfBatch(NamedTuple):
    """Numbers of a whole batch.

    Attributes:
        num_items: B.
        means: Means over its items.
    """

    num_items: int
    means: tuple[float, ...]


class DataParallel:
    """What the processes of a training do together; nothing, in a process that is alone.

    Args:
        modules: All that is trained, whose tensors are to be alike everywhere.
        num_items: N, the number of training items.
        batch_size: The most items of a batch, over all processes.

    Attributes:
        rank: Which process this is.
        size: How many there are.

    Raises:
        ConfigError: If a process would get less than two items of a batch.
    """

    def __init__(self, modules: Sequence[nn.Module], num_items: int, batch_size: int) -> None:
        self.rank, self.size = processes().rank, processes().size
        self._modules = list(modules)
        if self.size == 1:
            return
        smallest = num_items // num_batches(num_items, batch_size)
        if smallest < 2 * self.size:
            raise ConfigError(
                f"--batch-size {batch_size}: batches have {smallest} of the {num_items:,} training "
                f"items, and {self.size} processes share each; expected at least two items a "
                f"process. Take --batch-size {2 * self.size} or more, or fewer processes."
            )
        for tensor in self._tensors():
            copy_first_(tensor)

    @property
    def share(self) -> tuple[int, int]:
        """(k, n): this process's of n shares of every batch."""
        return self.rank, self.size

    def _tensors(self) -> Iterator[Tensor]:
        """Yield every tensor that is trained or counted, each once."""
        seen = set[int]()
        for module in self._modules:
            for tensor in module.state_dict().values():
                if tensor.data_ptr() not in seen and tensor.numel():
                    seen.add(tensor.data_ptr())
                    yield tensor

    @contextmanager
    def normalising(self) -> Iterator[None]:
        """Inside the block, let batch normalisation in training see the whole batch."""
        norms = [
            module
            for parent in self._modules
            for module in parent.modules()
            if isinstance(module, _BatchNorm) and self.size > 1
        ]
        with replaced_forwards({norm: _whole_batch(norm, self.rank, self.size) for norm in norms}):
            yield

    def step(
        self,
        loss: Tensor,
        parameters: Sequence[nn.Parameter],
        num_items: int,
        numbers: Sequence[float],
    ) -> OfBatch:
        """Give parameters their gradients of the whole batch's loss.

        Args:
            loss: Of this process's share, in nats an item.
            parameters: What is trained.
            num_items: Items of the share.
            numbers: Means over them.

        Returns:
            What they are over the whole batch.
        """
        if self.size == 1:
            loss.backward()  # type: ignore[no-untyped-call]  # torch's
            return OfBatch(num_items, tuple(numbers))
        (loss * num_items).backward()  # type: ignore[no-untyped-call]  # torch's
        known = [0.0 if p.grad is None else 1.0 for p in parameters]
        told = torch.tensor([num_items, *(n * num_items for n in numbers), *known]).double()
        sum_(told)
        total, rest = float(told[0]), (told[1:] / told[0]).tolist()
        # a parameter that no process has a gradient of keeps none, and takes no step
        used = [p for p, n in zip(parameters, told[1 + len(numbers) :].tolist(), strict=True) if n]
        for some in _by_type(used):
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in some]
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            sum_(flat).div_(total)
            parts = torch.split(flat, [gradient.numel() for gradient in gradients])
            for parameter, part in zip(some, parts, strict=True):
                parameter.grad = part.view_as(parameter)
        return OfBatch(round(total), tuple(rest[: len(numbers)]))

    def mean(self, number: float) -> float:
        """Return the mean of a number over the processes."""
        if self.size == 1:
            return number
        return float(sum_(torch.tensor(number, dtype=torch.float64))) / self.size


def _by_type(parameters: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Return the parameters of each type together, in an order that all processes share."""
    kinds: dict[tuple[torch.dtype, torch.device], list[nn.Parameter]] = {}
    for parameter in parameters:
        kinds.setdefault((parameter.dtype, parameter.device), []).append(parameter)
    return list(kinds.values())


def _whole_batch(norm: _BatchNorm, rank: int, size: int) -> Callable[[Tensor], Tensor]:
    """Return what a batch norm does where each process has a share of the batch.

    Each tells its number of rows, its mean and its sum of squares about that mean, a row a process
    of an array that is 0 elsewhere; so one sum, through which gradients flow, brings all to all.
    """
    import torch.distributed.nn.functional as together

    alone = norm.forward
    sum_over: Any = together.all_reduce

    def forward(x: Tensor) -> Tensor:
        if not norm.training:
            said: Tensor = alone(x)
            return said
        dims = [0, *range(2, x.dim())]
        shape = [1, -1] + [1] * (x.dim() - 2)
        values = x.float()
        mean = values.mean(dims)
        spread = (values - mean.view(shape)).square().sum(dims)
        rows = values.new_tensor([values.numel() / len(mean)])
        mine = torch.cat([rows, mean, spread])
        every: Tensor = sum_over(nn.functional.pad(mine[None], (0, 0, rank, size - rank - 1)))
        counts, means, spreads = torch.split(every, [1, len(mean), len(mean)], dim=1)
        count = counts.sum()
        mean = (counts * means).sum(0) / count
        variance = (spreads + counts * (means - mean).square()).sum(0) / count
        with torch.no_grad():
            _remember(norm, mean, variance * (count / (count - 1)))
        found = (values - mean.view(shape)) * torch.rsqrt(variance + norm.eps).view(shape)
        if norm.affine:
            found = found * norm.weight.view(shape) + norm.bias.view(shape)
        return found.to(x.dtype)

    return forward


def _remember(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics on, as torch does."""
    if norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    share = norm.momentum
    if share is None:
        share = 1 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean.to(norm.running_mean), share)
    norm.running_var.lerp_(variance.to(norm.running_var), share)
