"""Layers of graph attention, one on the other, on a whole graph or on sampled blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.models.graph_attention_layer import GraphAttentionLayer

Graphs = AttentionGraph | Sequence[AttentionGraph]

DRAWS_BUDGET = 2**27
"""Bytes that the draws which run together may take; with more, caches help less."""


@final
class GraphAttention(nn.Module):
    r"""Mixes into each node what others say that are up to `layers` steps away.

    .. math:: x^{(k)} = \text{layer}_k(\text{ELU}(x^{(k - 1)}))

    without ELU before the first layer and after the last. The layers are the children `0`, `1`,
    ..., so that in a network that calls this `gat` there are the parameters `gat.0.weight`,
    `gat.0.attn_src`, `gat.0.attn_dst`, `gat.0.bias` and `gat.0.residual.weight`.

    Args:
        in_features: Features of a node.
        layers: Number of layers.
        heads: Heads of each.
        width: Features of a head.
        average_last: Whether the last layer's heads are averaged rather than put side by side.
        options: What `GraphAttentionLayer` takes beside these, for every layer.

    Attributes:
        out_features: `heads * width`, or `width` if averaged.

    Raises:
        ConfigError: If a name is unknown or a number out of range.
        MissingExtraError: If the backend is not installed.

    Example:
        >>> graph = AttentionGraph([0, 2, 2, 3], [0, 2, 1])
        >>> gat = GraphAttention(5, layers=2, heads=2, width=4)
        >>> gat(torch.zeros(3, 5), graph).shape
        torch.Size([3, 8])
        >>> [name for name, _ in gat.named_parameters()][:3]
        ['0.weight', '0.attn_src', '0.attn_dst']
    """

    def __init__(
        self,
        in_features: int,
        *,
        layers: int = 1,
        heads: int = 4,
        width: int = 64,
        average_last: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ConfigError(f"layers is {layers}; expected at least 1.")
        self.in_features = self.out_features = in_features
        for number in range(layers):
            layer = GraphAttentionLayer(
                self.out_features,
                heads=heads,
                width=width,
                average=average_last and number == layers - 1,
                **options,
            )
            self.add_module(str(number), layer)
            self.out_features = layer.out_features

    @property
    def layers(self) -> list[GraphAttentionLayer]:
        """Return the layers in order."""
        return [cast(GraphAttentionLayer, layer) for layer in self.children()]

    def forward(self, features: Tensor, graph: Graphs) -> Tensor:
        """Return the new features of each node.

        Args:
            features: `nodes x features`.
            graph: One graph for all layers, or a sampled block for each: the columns of the first
                are the nodes, and the rows of each the columns of the next.

        Returns:
            `nodes x out_features`; of blocks, for the rows of the last.

        Raises:
            FeatureError: If the features do not fit the graph, or the graph lacks the relations or
                features of edges that the layers need.
            ConfigError: If there are not as many blocks as layers.
        """
        for number, (layer, block) in enumerate(self._pairs(graph)):
            features = layer(F.elu(features) if number else features, block)
        return features

    def forward_draws(
        self,
        weights: Mapping[str, Tensor],
        features: Tensor,
        graph: Graphs,
        *,
        memory_budget: int = DRAWS_BUDGET,
    ) -> Tensor:
        """Return the new features under several draws of the weights, as one batched call.

        Args:
            weights: Parameter name (`0.weight`) to its draws, `draws x ...`; those that are left
                out are the module's own.
            features: See `forward`.
            graph: See `forward`.
            memory_budget: Bytes that draws which run together may take beside the result, without
                what autograd keeps; one runs in any case.

        Returns:
            `draws x nodes x out_features`. In training, each draw drops what is its own.

        Raises:
            FeatureError: See `forward`.
            ConfigError: If a name is unknown, or the draws are not of one number.
        """
        own = dict(self.named_parameters())
        for name in weights:
            if name not in own:
                raise ConfigError(unknown_option("parameter", name, own))
        counts = {len(draws) for draws in weights.values()}
        if len(counts) != 1:
            got = ", ".join(map(str, sorted(counts))) or "no"
            raise ConfigError(f"Got weights of {got} draws; expected one number of draws.")

        def one(draw: dict[str, Tensor]) -> Tensor:
            result: Tensor = functional_call(self, draw, (features, graph))
            return result

        if not all(layer.backend.batched for layer in self.layers):
            draws = range(counts.pop())
            return torch.stack([one({n: w[draw] for n, w in weights.items()}) for draw in draws])
        widest = max(
            block.num_columns * (layer.in_features + 4 * layer.heads * layer.width)
            for layer, block in self._pairs(graph)
        )
        together = max(1, memory_budget // (1 + features.element_size() * widest))
        chunk_size = together if together < counts.pop() else None  # joining chunks is a copy
        batched = vmap(one, randomness="different", chunk_size=chunk_size)
        return batched(dict(weights))

    @torch.no_grad()
    def attention(
        self, features: Tensor, graph: Graphs, weights: Mapping[str, Tensor] | None = None
    ) -> list[Tensor]:
        """Return who is heard how much, to explain an output.

        Args:
            features: See `forward`.
            graph: See `forward`.
            weights: Parameter name (`0.weight`) to what takes its place, such as one draw.

        Returns:
            The attention of each layer without dropout, `edges x heads`, in the order of the
            graph's edges.
        """
        training = self.training
        self.eval()
        try:
            found: list[Tensor] = []
            for number, (layer, block) in enumerate(self._pairs(graph)):
                own = f"{number}."
                inside = {
                    name.removeprefix(own): weight
                    for name, weight in (weights or {}).items()
                    if name.startswith(own)
                }
                found.append(functional_call(layer, inside, (features, block), {"explain": True}))
                features = F.elu(functional_call(layer, inside, (features, block)))
            return found
        finally:
            self.train(training)

    def _pairs(self, graph: Graphs) -> list[tuple[GraphAttentionLayer, AttentionGraph]]:
        """Return each layer with its graph."""
        layers = self.layers
        blocks = [graph] * len(layers) if isinstance(graph, AttentionGraph) else list(graph)
        if len(blocks) != len(layers):
            raise ConfigError(f"Got {len(blocks)} blocks for {len(layers)} layers; expected each.")
        return list(zip(layers, blocks, strict=True))
