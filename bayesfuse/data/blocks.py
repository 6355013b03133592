"""Whom the items of a batch hear: the other nodes of a graph, and who listens to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Blocks:
    """What a network of graph layers reads beside the items of a batch.

    The nodes of a batch are its items, in order, and then the others. Features of the items are
    in the batch itself.

    Attributes:
        inputs: Modality to values of the others, each `others x features`, 0 where unobserved;
            only modalities that nodes hear of each other.
        observed: `others x modalities`, bool, columns in the order of `inputs`.
        graphs: A graph a layer (`bayesfuse.graph.attention_graph.AttentionGraph`). The columns of
            the first are the nodes; the rows of each are the columns of the next, and its first
            ones; the rows of the last are the items.
    """

    inputs: dict[str, Tensor]
    observed: Tensor
    graphs: tuple[Any, ...]

    def to(self, device: torch.device | str) -> Blocks:
        """Return the same on a device."""
        return Blocks(
            {name: values.to(device) for name, values in self.inputs.items()},
            self.observed.to(device),
            tuple(graph.to(device) for graph in self.graphs),
        )
