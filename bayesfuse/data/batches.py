"""From a feature table to minibatches of tensors on a device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesfuse.data.blocks import Blocks
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import FeatureError


class Batch(NamedTuple):
    """What one step sees.

    Attributes:
        inputs: Modality to values, each `items x features`, 0 where unobserved.
        observed: `items x modalities`, bool.
        labels: `items x labels`, 0 or 1; None where no labels are known.
        blocks: Whom the items hear; None where there is no graph.
    """

    inputs: dict[str, Tensor]
    observed: Tensor
    labels: Tensor | None
    blocks: Blocks | None = None

    def part(self, some: slice) -> Batch:
        """Return some of the items, of a batch whose items hear nobody.

        Raises:
            FeatureError: If they do: whom an item hears is known of the whole batch.
        """
        if self.blocks is not None:
            raise FeatureError(
                "A part was asked of a batch whose items hear others; read a smaller batch."
            )
        labels = None if self.labels is None else self.labels[some]
        inputs = {name: values[some] for name, values in self.inputs.items()}
        return Batch(inputs, self.observed[some], labels)


class Batches:
    """A feature table and its labels, read a minibatch at a time.

    Args:
        features: The features of the items.
        labels: `items x labels`, 0 or 1; None for items to predict.
        device: Where the tensors go.

    Attributes:
        generators: What reading draws from, by name; they move on from batch to batch.

    Raises:
        FeatureError: If features and labels differ in their number of items.
    """

    def __init__(
        self,
        features: FeatureTable,
        labels: NDArray[np.float32] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if labels is not None and len(labels) != features.num_items:
            raise FeatureError(
                f"{features.num_items} items have features but {len(labels)} have labels; "
                "give one row of labels an item, in the same order."
            )
        self.features = features
        self.labels = labels
        self.device = torch.device(device)
        self.generators: dict[str, np.random.Generator] = {}

    def __len__(self) -> int:
        """Return the number of items."""
        return self.features.num_items

    def read(self, rows: NDArray[np.int64] | slice) -> Batch:
        """Return the batch of these rows, float32, on the device."""
        values, observed = self.features.batch(rows)
        inputs = {name: torch.from_numpy(array).to(self.device) for name, array in values.items()}
        labels = None
        if self.labels is not None:
            labels = torch.from_numpy(np.asarray(self.labels[rows], np.float32)).to(self.device)
        blocks = self.features.blocks(rows)
        if blocks is not None:
            blocks = blocks.to(self.device)
        return Batch(inputs, torch.from_numpy(observed).to(self.device), labels, blocks)

    def shuffled(
        self, batch_size: int, generator: np.random.Generator, share: tuple[int, int] = (0, 1)
    ) -> Iterator[Batch]:
        """Yield every item once, in a random order, in batches that differ in size by 1 at most.

        Equal batches keep each item's weight in the objective equal, and never leave a last batch
        of a single item, of which batch normalisation can make nothing.

        Args:
            batch_size: The most items of a batch, >= 2.
            generator: The source of the order.
            share: (k, n): the k-th of n shares of every batch only, from 0.
        """
        number, shares = share
        order = generator.permutation(len(self))
        for rows in np.array_split(order, num_batches(len(self), batch_size)):
            yield self.read(rows if shares == 1 else np.array_split(rows, shares)[number])

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Yield every item once, in order, in batches of `batch_size`."""
        for start in range(0, len(self), batch_size):
            yield self.read(slice(start, min(start + batch_size, len(self))))


def cut(count: int, size: int) -> Iterator[slice]:
    """Yield the slices that cut so many things into pieces of one size, but for the last.

    Example:
        >>> list(cut(5, 3))
        [slice(0, 3, None), slice(3, 5, None)]
    """
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def num_batches(num_items: int, batch_size: int) -> int:
    """Return how many batches an epoch has: each of at most `batch_size`, and at least 2, items.

    Example:
        >>> num_batches(10, 4)
        3
        >>> num_batches(3, 2)  # not 2 + 1: a batch of one item has no variance to normalise by
        1
    """
    wanted = -(-num_items // batch_size)
    return max(1, min(wanted, num_items // 2))


def drop_modalities(observed: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Return the mask with modalities hidden at random, always leaving one that was observed.

    Args:
        observed: `items x modalities`, bool.
        probability: Chance in [0, 1) that an observed modality of an item is hidden.
        generator: The source of the randomness, on the CPU.

    Returns:
        `items x modalities`, bool, nowhere True where `observed` is not.
    """
    draws = torch.rand(observed.shape, generator=generator).to(observed.device)
    kept = observed & (draws >= probability)
    # an item that would lose everything keeps the observed modality with the largest draw
    best = torch.where(observed, draws, -1.0).argmax(dim=1, keepdim=True)
    rescue = torch.zeros_like(observed).scatter_(1, best, True) & observed
    return torch.where(kept.any(dim=1, keepdim=True), kept, rescue)
