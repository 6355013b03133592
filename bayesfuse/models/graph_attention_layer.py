"""One layer of graph attention in plain PyTorch, GAT's or GATv2's, on a graph or a block."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bayesfuse.errors import ConfigError, FeatureError, unknown_option
from bayesfuse.graph.attention import gat_weights, gatv2_weights
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.backends import backend as find_backend
from bayesfuse.graph.batching import full_precision

VERSIONS = ("v1", "v2")
"""GAT (Veličković et al. 2018), and GATv2 (Brody et al. 2022), whose ranking of the neighbours can
differ from node to node."""

MAX_RELATIONS = 63
"""A relation is a bit of an int64 that is never negative."""


@final
class GraphAttentionLayer(nn.Module):
    r"""Mixes into each node what its neighbours say, each head with its own attention.

    .. math:: o_i = \Big\Vert_h \sum_j \alpha^h_{ij} W^h x_j + R x_i + c

    with the attention of version 1 or of version 2:

    .. math:: \alpha^h_{ij} = \text{softmax}_j\, \text{LeakyReLU}(
            a^h_{\text{src}} \cdot W^h x_j + a^h_{\text{dst}} \cdot W^h x_i + b^h_{ij}), \qquad
        \alpha^h_{ij} = \text{softmax}_j (
            a^h \cdot \text{LeakyReLU}(W^h x_j + W^h_{\text{target}} x_i) + b^h_{ij})

    where the bias of an edge b is the sum of one learned number for each relation that it is of,
    and of a learned linear function of its features. A node without edges has R x + c.

    Args:
        in_features: Features of a node.
        heads: Number of heads.
        width: Features of a head.
        version: `v1` or `v2`.
        average: Whether the heads are averaged rather than put side by side.
        residual: Whether to add R x: a learned projection, or x itself where the widths agree.
        attention_dropout: Probability in [0, 1) of dropping an edge for a head in training.
        feature_dropout: Probability in [0, 1) of dropping a feature of a node in training.
        num_relations: Number of relations whose bits are read from the graph's relation mask; 0
            to leave them alone.
        edge_features: Number of features of an edge that are read from the graph; 0 for none.
        negative_slope: The rectifier's, in [0, 1].
        backend: A name in `bayesfuse.graph.backends.BACKENDS`.

    Attributes:
        out_features: `width` if averaged, else `heads * width`.
        weight: W, `heads * width x in_features`.
        attn_src: Version 1: `heads x width`.
        attn_dst: Version 1: `heads x width`.
        target_weight: Version 2: `heads * width x in_features`.
        attn: Version 2: `heads x width`.
        relation_bias: `heads x relations`, if there are any.
        edge_weight: `heads x edge features`, if there are any.
        bias: c, `out_features`.
        residual: The projection R, the identity, or None.

    Raises:
        ConfigError: If a name is unknown or a number out of range.
        MissingExtraError: If the backend is not installed.

    Reference: Veličković et al. 2018 (arXiv:1710.10903), equations 1 to 6; Brody et al. 2022
    (arXiv:2105.14491), equation 7. We add residuals and the bias of edges.
    """

    def __init__(
        self,
        in_features: int,
        *,
        heads: int = 4,
        width: int = 64,
        version: str = "v1",
        average: bool = False,
        residual: bool = True,
        attention_dropout: float = 0.0,
        feature_dropout: float = 0.0,
        num_relations: int = 0,
        edge_features: int = 0,
        negative_slope: float = 0.2,
        backend: str = "torch",
    ) -> None:
        super().__init__()
        if version not in VERSIONS:
            raise ConfigError(unknown_option("version of graph attention", version, VERSIONS))
        sizes = {"in_features": in_features, "heads": heads, "width": width}
        for name, size in sizes.items():
            if size < 1:
                raise ConfigError(f"{name} is {size}; expected at least 1.")
        for name, size in {"num_relations": num_relations, "edge_features": edge_features}.items():
            if size < 0:
                raise ConfigError(f"{name} is {size}; expected 0 or more.")
        if num_relations > MAX_RELATIONS:
            raise ConfigError(
                f"num_relations is {num_relations}; expected {MAX_RELATIONS} at most."
            )
        dropouts = {"attention_dropout": attention_dropout, "feature_dropout": feature_dropout}
        for name, rate in dropouts.items():
            if not 0 <= rate < 1:
                raise ConfigError(f"{name} is {rate}; expected a probability in [0, 1).")
        if not 0 <= negative_slope <= 1:
            raise ConfigError(f"negative_slope is {negative_slope}; expected a number in [0, 1].")
        self.in_features, self.heads, self.width = in_features, heads, width
        self.version, self.average, self.negative_slope = version, average, negative_slope
        self.attention_dropout, self.feature_dropout = attention_dropout, feature_dropout
        self.num_relations, self.edge_features = num_relations, edge_features
        self.backend = find_backend(backend)
        self.out_features = width if average else heads * width
        self.weight = nn.Parameter(torch.empty(heads * width, in_features))
        if version == "v1":
            self.attn_src = nn.Parameter(torch.empty(heads, width))
            self.attn_dst = nn.Parameter(torch.empty(heads, width))
        else:
            self.target_weight = nn.Parameter(torch.empty(heads * width, in_features))
            self.attn = nn.Parameter(torch.empty(heads, width))
        if num_relations:
            self.relation_bias = nn.Parameter(torch.empty(heads, num_relations))
        if edge_features:
            self.edge_weight = nn.Parameter(torch.empty(heads, edge_features))
        self.bias = nn.Parameter(torch.empty(self.out_features))
        self.residual: nn.Module | None = None
        if residual:
            same = in_features == self.out_features
            linear = nn.Linear(in_features, self.out_features, bias=False)
            self.residual = nn.Identity() if same else linear
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew (Glorot); biases, those of edges too, start at 0."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias") or name == "edge_weight":
                nn.init.zeros_(parameter)
            else:
                nn.init.xavier_uniform_(parameter)

    def forward(self, features: Tensor, graph: AttentionGraph, explain: bool = False) -> Tensor:
        """Return the new features of the graph's rows.

        Args:
            features: `columns x features`.
            graph: Who listens to whom; of a block, row i is column i.
            explain: Whether to return the attention instead: without dropout, `edges x heads`.

        Returns:
            `rows x out_features`.

        Raises:
            FeatureError: If the features do not fit the graph, or the graph does not know the
                relations or features of its edges that the layer needs.
        """
        self._check(features, graph)
        options: dict[str, Any] = {
            "negative_slope": self.negative_slope,
            "edge_bias": self._edge_bias(graph),
        }
        if explain:
            return self._attention(features, graph, options)
        features = F.dropout(features, self.feature_dropout, self.training)
        options["dropout"] = self.attention_dropout if self.training else 0.0
        if self.version == "v1":
            values = self._heads(features, self.weight)
            heard = self.backend.gat(values, *self._scores(features, graph), graph, **options)
        else:
            heard = self.backend.gatv2(*self._sides(features, graph), self.attn, graph, **options)
        out = (heard.mean(1) if self.average else heard.flatten(1)) + self.bias
        if self.residual is not None:
            out = out + self.residual(features[: graph.num_rows])
        return out

    def extra_repr(self) -> str:
        """Return what tells the layer from others."""
        return f"{self.in_features}, heads={self.heads}, width={self.width}, {self.version}"

    def _attention(
        self, features: Tensor, graph: AttentionGraph, options: dict[str, Any]
    ) -> Tensor:
        if self.version == "v1":
            return gat_weights(*self._scores(features, graph), graph, **options)
        return gatv2_weights(*self._sides(features, graph), self.attn, graph, **options)

    def _heads(self, features: Tensor, weight: Tensor) -> Tensor:
        return F.linear(features, weight).reshape(len(features), self.heads, self.width)

    def _scores(self, features: Tensor, graph: AttentionGraph) -> tuple[Tensor, Tensor]:
        """Return the scores of version 1 of columns and rows, both `nodes x heads`."""
        # a·(W x) = (aᵀW)·x needs no array as large as the values; half precision is too coarse
        # for what is exponentiated
        with full_precision(features.device):
            weight = self.weight.view(self.heads, self.width, self.in_features)
            sides = torch.stack([self.attn_src, self.attn_dst])
            vectors = torch.einsum("hfi,shf->shi", _full(weight), _full(sides)).flatten(0, 1)
            # one product for both: narrow ones take about as long as wide ones
            scores = F.linear(_full(features), vectors)
            return scores[:, : self.heads], scores[: graph.num_rows, self.heads :]

    def _sides(self, features: Tensor, graph: AttentionGraph) -> tuple[Tensor, Tensor]:
        """Return what version 2 adds: W x of columns and of rows, `nodes x heads x width`."""
        target = self._heads(features[: graph.num_rows], self.target_weight)
        return self._heads(features, self.weight), target

    def _edge_bias(self, graph: AttentionGraph) -> Tensor | None:
        """Return the bias of each edge, `edges x heads`, or None."""
        bias = None
        if self.num_relations:
            masks, kinds = graph.relation_kinds
            bits = torch.arange(self.num_relations, device=masks.device)
            if masks.numel() and int((masks >> self.num_relations).max()):
                raise FeatureError(
                    f"The graph has edges of more than {self.num_relations} relations, of which "
                    "the layer was made."
                )
            present = (masks[:, None] >> bits & 1).to(self.relation_bias.dtype)
            bias = (present @ self.relation_bias.t()).index_select(0, kinds)
        if self.edge_features:
            known = graph.edge_features
            if known is None or known.shape[1] != self.edge_features:
                got = "no" if known is None else str(known.shape[1])
                raise FeatureError(
                    f"The graph has {got} features of edges; expected {self.edge_features}."
                )
            linear = F.linear(known.to(self.edge_weight.dtype), self.edge_weight)
            bias = linear if bias is None else bias + linear
        return bias

    def _check(self, features: Tensor, graph: AttentionGraph) -> None:
        if features.shape != (graph.num_columns, self.in_features):
            raise FeatureError(
                f"Features have shape {tuple(features.shape)}; expected {graph.num_columns} nodes "
                f"of the graph x {self.in_features} features."
            )
        if graph.num_rows > graph.num_columns:
            raise FeatureError(
                f"The graph has {graph.num_rows} rows and {graph.num_columns} columns; expected "
                "the rows to be the first of the columns."
            )


def _full(tensor: Tensor) -> Tensor:
    """Return half precision as float32, and any other as it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
