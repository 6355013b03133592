"""Whether items hear those that they share people with, and how."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bayesfuse.config.base import Config, Names, one_of

GRAPHS = ("none", "people")
GRAPH_RELATIONS = ("each", "union")
EDGE_BIASES = ("none", "relation")
GRAPH_VERSIONS = ("v1", "v2")
GRAPH_BACKENDS = ("dgl", "torch")
SELF_LOOPS = ("all", "isolated", "none")


def _fan_out(value: Any) -> Any:
    """Read `"20,10"`: a number of neighbours a layer, or all."""
    if isinstance(value, str | int):
        value = [part.strip() for part in str(value).split(",")]
    if value is None or not isinstance(value, list | tuple):
        return value
    try:
        found = tuple(part if part == "all" else int(part) for part in value)
    except (TypeError, ValueError):
        found = (0,)
    if not found or any(part != "all" and part < 1 for part in found):
        raise ValueError(
            f"{','.join(map(str, value))!r}: expected a number of at least 1 a layer, or all, such "
            "as 20 or 20,10."
        )
    return found


FanOut = Annotated[tuple[int | str, ...], BeforeValidator(_fan_out)]


class GraphConfig(Config):
    """The graph of who shares whom; nothing of it counts while `graph` is `none`."""

    graph: Annotated[str, one_of("graph", GRAPHS)] = Field(
        "none", description="Items hear those that they share people with: people, or none."
    )
    graph_features: Names = Field(
        ("image",), description="Modalities that items hear of each other, as text,image; or all."
    )
    graph_relations: Annotated[str, one_of("choice of relations", GRAPH_RELATIONS)] = Field(
        "union",
        description="One graph of all relations (union), or one of each (each), to which an item "
        "attends as its own features ask.",
    )
    graph_query: Names | None = Field(
        None,
        description="Modalities of an item that ask which relation it attends to, or all; text, "
        "if there is one, if left out.",
    )
    graph_edge_bias: Annotated[str, one_of("edge bias", EDGE_BIASES)] = Field(
        "none",
        description="What of an edge adds to its attention: relation (a learned number for each "
        "of its relations) or none.",
    )
    graph_layers: int = Field(1, ge=1, description="Layers of graph attention.")
    graph_heads: int = Field(4, ge=1, description="Heads of a layer.")
    graph_width: int = Field(32, ge=1, description="Features of a head.")
    graph_dropout: float = Field(
        0.0, ge=0, lt=1, description="Dropout of what a layer of graph attention reads."
    )
    attention_dropout: float = Field(
        0.0, ge=0, lt=1, description="Dropout of the attention to a neighbour."
    )
    neighbour_thinning: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of items seen with few neighbours or none in training, drawn anew each "
        "epoch: for items that come later, or have no links.",
    )
    max_group: int | None = Field(
        None, ge=2, description="Most items that one name joins; a name in more joins none."
    )
    pretrain_graph: int = Field(
        0,
        ge=0,
        description="Epochs for which graph attention first learns the labels alone, to start from "
        "there.",
    )
    self_loops: Annotated[str, one_of("choice of self-loops", SELF_LOOPS)] | None = Field(
        None,
        description="Items that hear themselves, too: isolated, all or none. If left out, isolated "
        "of --model gat and mm-gatbt; else none, so that the graph is missing of who hears nobody.",
    )
    fan_out: FanOut | None = Field(
        None,
        description="Most neighbours of an item, drawn at random, layer by layer, as 20,10; all "
        "if left out.",
    )
    neighbour_shrinkage: float = Field(
        1.0,
        ge=0,
        description="What n neighbours say counts for n / (n + this), and for the rest the item is "
        "as one without any.",
    )
    neighbour_labels: bool = Field(
        False,
        description="One more modality: how often neighbours in train have each label, never those "
        "of the item itself.",
    )
    graph_version: Annotated[str, one_of("version of graph attention", GRAPH_VERSIONS)] = Field(
        "v1", description="Attention: v1 (GAT) or v2 (GATv2)."
    )
    graph_backend: Annotated[str, one_of("graph backend", GRAPH_BACKENDS)] = Field(
        "torch", description="Kernels of graph attention: torch or dgl."
    )
