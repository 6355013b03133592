"""How much an item attends to each of those that it hears, in a network with a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bayesfuse.data.blocks import Blocks
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.relations import relation_rows
from bayesfuse.models.graph_attention import GraphAttention
from bayesfuse.models.network import FusionNetwork
from bayesfuse.models.relation_attention import RelationAttention


@torch.no_grad()
def neighbour_attention(
    network: FusionNetwork,
    weights: Sequence[Mapping[str, Tensor]],
    inputs: Mapping[str, Tensor],
    observed: Tensor,
    blocks: Blocks,
) -> Tensor:
    r"""Return how much each item attends to each of those that it hears, under several draws.

    It is the attention of the last layer, the mean over its heads,

    .. math:: a_{ij} = \frac1K \sum_k \alpha^k_{ij}, \qquad
        a_{ij} = \sum_r p_{ir} \frac1K \sum_k \alpha^{kr}_{ij}

    the second with a graph a relation, of which :math:`p_{ir}` is the item's attention to it. So
    it is at least 0, and 1 in all for an item that hears anyone.

    Args:
        network: A network with a graph.
        weights: For each draw, parameter name (`gat.0.weight`) to its value.
        inputs: Modality to its features, each `items x features`.
        observed: Boolean, `items x modalities`.
        blocks: Whom the items hear.

    Returns:
        `draws x edges`, in the order of the edges of the last of `blocks.graphs`.

    Raises:
        FeatureError: If the inputs do not fit, or the network has no graph.

    Reference: Veličković et al. 2018 (GAT), equation 3, whose coefficients these are.
    """
    gat, reads = network.gat, network.reads(inputs, observed, blocks)
    found = []
    for draw in weights:
        inside = {n.removeprefix("gat."): w for n, w in draw.items() if n.startswith("gat.")}
        if isinstance(gat, RelationAttention):
            found.append(_by_relations(gat, inside, *reads))
        else:
            assert isinstance(gat, GraphAttention)
            nodes, graphs = reads
            found.append(gat.attention(nodes, graphs, inside)[-1].mean(dim=1))
    return torch.stack(found)


def _by_relations(
    gat: RelationAttention,
    weights: Mapping[str, Tensor],
    nodes: Tensor,
    graphs: Sequence[AttentionGraph],
    query: Tensor,
) -> Tensor:
    """Return the attention of one draw, over all relations together, `edges`."""
    last = graphs[-1]
    own = {name: value[None] for name, value in weights.items()}
    if own:
        share = gat.forward_draws(own, nodes, graphs, query, True)[0]
    else:
        share = gat(nodes, graphs, query, True)
    alone = share.sum(dim=1) == 0
    share = torch.where(alone[:, None], 1 / share.shape[1], share)  # who hears nobody but itself
    keys = last.rows * last.num_columns + last.indices
    order = torch.argsort(keys)
    total = torch.zeros(last.num_edges, dtype=share.dtype, device=share.device)
    for place, (part, bit) in enumerate(zip(gat.parts, gat.bits, strict=True)):
        rows = [relation_rows(g, bit, loop_isolated=gat.loop_isolated) for g in graphs]
        inside = {
            name.removeprefix(f"{part}."): value
            for name, value in weights.items()
            if name.startswith(f"{part}.")
        }
        heard = gat.gats[place].attention(nodes, rows, inside)[-1].mean(dim=1)
        told = rows[-1].rows * last.num_columns + rows[-1].indices
        position = torch.searchsorted(keys[order], told).clamp(max=max(0, last.num_edges - 1))
        edge = order[position]
        # a loop that one relation adds for a row is of that relation alone, and weighs nothing
        there = keys[edge] == told
        weighed = share[rows[-1].rows, place] * heard
        total.index_add_(0, edge[there], weighed[there].to(total.dtype))
    return total
