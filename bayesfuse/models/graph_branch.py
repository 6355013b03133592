"""The graph as one more modality: which features nodes have, and how they hear each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bayesfuse.data.blocks import Blocks
from bayesfuse.errors import ConfigError, FeatureError, unknown_option
from bayesfuse.graph.relations import num_heard
from bayesfuse.models.graph_attention import GraphAttention
from bayesfuse.models.relation_attention import RelationAttention
from bayesfuse.models.standardise import Standardise

GRAPH = "graph"
"""What the modality of what an item hears is called."""


@dataclass(frozen=True)
class GraphSettings:
    """How items hear their neighbours.

    Attributes:
        features: The modalities that make up a node's features.
        layers: Number of layers of graph attention.
        heads: Heads of each.
        width: Features of a head.
        feature_dropout: Probability in [0, 1) of dropping a feature of a node in training.
        attention_dropout: Probability in [0, 1) of dropping an edge for a head in training.
        version: `v1` (GAT) or `v2` (GATv2).
        backend: `torch` or `dgl`.
        shrinkage: m >= 0: what an item hears of n nodes counts for n / (n + m), and what stands
            for a missing graph for the rest (see `presence_of`).
        relations: Relation to its bit in the graph's relation mask, of those that count.
        each: Whether each of them is a graph of its own, to which an item attends more or less.
        query: With `each`: the modalities of an item that ask which relation it attends to.
        loop_isolated: With `each`: whether a node that has no neighbour in a relation hears itself.
        edge_bias: Without `each`: whether an edge's relations add to its attention.
    """

    features: tuple[str, ...] = ("image",)
    layers: int = 1
    heads: int = 4
    width: int = 32
    feature_dropout: float = 0.0
    attention_dropout: float = 0.0
    version: str = "v1"
    backend: str = "torch"
    shrinkage: float = 0.0
    relations: Mapping[str, int] = field(default_factory=dict)
    each: bool = False
    query: tuple[str, ...] = ()
    loop_isolated: bool = True
    edge_bias: bool = False


def build_gat(
    settings: GraphSettings, widths: Mapping[str, int]
) -> GraphAttention | RelationAttention:
    """Return the layers of graph attention of a network, of one graph or of one a relation.

    There are residuals where there is more than one layer. A single one has none: what a node
    would add of itself, the fusion has already.

    Args:
        settings: How.
        widths: Modality to its number of features, of the network.

    Raises:
        ConfigError: If a modality is unknown, comes twice or has the graph's own name, or a
            number is out of range.
        MissingExtraError: If the backend is not installed.
    """
    if GRAPH in widths:
        raise ConfigError(
            f'There is a modality "{GRAPH}", which is what the network calls what an item hears '
            f'of its neighbours; rename that modality, for example to "{GRAPH}_".'
        )
    in_features = _width(settings.features, widths, "the graph's nodes")
    options: dict[str, Any] = {
        "layers": settings.layers,
        "heads": settings.heads,
        "width": settings.width,
        "residual": settings.layers > 1,
        "version": settings.version,
        "feature_dropout": settings.feature_dropout,
        "attention_dropout": settings.attention_dropout,
        "backend": settings.backend,
    }
    if not settings.each:
        count = 1 + max(settings.relations.values()) if settings.edge_bias else 0
        return GraphAttention(in_features, num_relations=count, **options)
    return RelationAttention(
        in_features,
        settings.relations,
        _width(settings.query, widths, "the graph's query"),
        loop_isolated=settings.loop_isolated,
        **options,
    )


def joined(names: Sequence[str], items: Mapping[str, Tensor]) -> Tensor:
    """Return modalities of the same items side by side, `items x features`."""
    return torch.cat([items[name] for name in names], dim=1)


def node_features(
    standardise: Standardise,
    features: Sequence[str],
    items: Mapping[str, Tensor],
    blocks: Blocks,
) -> Tensor:
    """Return the features of the nodes of a batch: its items, then the others.

    Args:
        standardise: The network's own.
        features: The modalities that make them up.
        items: Modality to standardised features of the items, each `items x features`.
        blocks: The others.

    Returns:
        `nodes x features`, 0 where a modality is not observed.

    Raises:
        FeatureError: If the modalities of the others, or their widths, are not those.
    """
    widths = {name: standardise.widths[name] for name in features}
    got = {name: values.shape[-1] for name, values in blocks.inputs.items()}
    if got != widths or blocks.observed.shape[1] != len(got):
        told, wanted = (", ".join(f"{n} ({w})" for n, w in all_.items()) for all_ in (got, widths))
        raise FeatureError(
            f"The neighbours have the modalities {told or 'none'}; expected {wanted}, each with "
            "its number of features."
        )
    columns = {name: column for column, name in enumerate(blocks.inputs)}
    parts = []
    for name in features:
        seen = blocks.observed[:, columns[name]]
        others = standardise.one(name, blocks.inputs[name], seen)
        parts.append(torch.cat([items[name], others.to(items[name].dtype)]))
    return torch.cat(parts, dim=1)


def _width(names: Sequence[str], widths: Mapping[str, int], what: str) -> int:
    """Return how many features these modalities have together."""
    for name in names:
        if name not in widths:
            raise ConfigError(unknown_option(f"modality for {what}", name, widths))
    if not names or len(set(names)) < len(names):
        raise ConfigError(
            f"The modalities for {what} are {', '.join(names) or 'none'}; expected at least one, "
            "each once."
        )
    return sum(widths[name] for name in names)


def presence_of(
    settings: GraphSettings | None, blocks: Blocks | None
) -> tuple[Tensor, dict[str, Tensor]]:
    r"""Return which items hear anybody, and how far what they hear counts.

    .. math:: w_i = \frac{n_i}{n_i + m}

    for an item that hears n nodes, with the shrinkage m. The rest of the weight is that of what
    stands for a graph that is missing, whose posterior is wide where training has seen little of
    it: so what is said of an item becomes less certain with each neighbour that it loses, and not
    only with the last.

    Args:
        settings: How items hear.
        blocks: Whom.

    Returns:
        `items`, bool; and w by name of the modality, `items`, or nothing without shrinkage.

    Reference: ours. So weigh n observations beside the m pseudo-observations of a conjugate prior.
    """
    assert settings is not None, "only who has a graph hears"
    assert blocks is not None
    last = blocks.graphs[-1]
    # of relations that training never heard, nothing is heard now
    count = num_heard(last, settings.relations.values()) if settings.each else last.indptr.diff()
    if settings.shrinkage == 0:
        return count > 0, {}
    return count > 0, {GRAPH: count / (count + settings.shrinkage)}


def entering_beside(
    model: str, widths: Mapping[str, int], graph: GraphSettings | None
) -> dict[str, int]:
    """Return the modalities that enter a fusion beside what items hear, name to width.

    Args:
        model: `fusion`, `mm-gatbt` or `gat`.
        widths: Modality to its number of features, of the network.
        graph: How items hear their neighbours; None if they do not.

    Raises:
        ConfigError: If the model is about a graph that there is not, or leaves a modality unread.
    """
    if model == "fusion":
        return dict(widths)
    if graph is None:
        raise ConfigError(
            f'The model "{model}" is about what items hear of each other, and there is no graph; '
            "give it one: --graph people."
        )
    unheard = {name: width for name, width in widths.items() if name not in graph.features}
    unread = [name for name in unheard if not graph.each or name not in graph.query]
    if model == "gat" and unread:
        raise ConfigError(
            f'The model "gat" reads what items hear alone ({", ".join(graph.features)}), so it '
            f"would leave {', '.join(unread)} unread. Leave that out "
            f"(--modalities {','.join(graph.features)}), or have it heard (--graph-features)."
        )
    return unheard
