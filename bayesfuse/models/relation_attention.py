"""A graph a relation: graph attention in each, joined as the item's own features ask."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from bayesfuse.errors import ConfigError, FeatureError, unknown_option
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.batching import full_precision
from bayesfuse.graph.relations import has_relation, relation_rows
from bayesfuse.models.graph_attention import DRAWS_BUDGET, GraphAttention, Graphs

OVER = "relations"
"""What the part of the attention over relations is called."""


@final
class RelationAttention(nn.Module):
    r"""Hears the neighbours of each relation by a GAT of its own, and attends over relations.

    .. math:: h_{ir} = \text{GAT}_r(x, G_r)_i, \qquad
        o_i = \sum_{r \in R_i} p_{ir} h_{ir}, \qquad
        p_{ir} = \text{softmax}_{r \in R_i} \Big( \tfrac{1}{\sqrt d}\,
            (W_q q_i + c) \cdot (W_k h_{ir} + e_r) + b_r \Big)

    where q are features of the item itself that ask, such as those of its text, and R_i are the
    relations in which it has a neighbour: any other has exactly no attention. An item without
    neighbours hears the mean of what the GATs make of its own row (of itself, if it has a
    self-loop), and attends to no relation.

    The GATs start from the same weights and part in training.

    The children are named after the relations (see `part_names`) but for `relations`, the
    attention over them, so that in a network that calls this `gat` there are the parameters
    `gat.director.0.weight`, `gat.director.0.attn_src`, ..., `gat.relations.query.weight`,
    `gat.relations.query.bias`, `gat.relations.key.weight`, `gat.relations.embedding` and
    `gat.relations.bias`.

    Args:
        in_features: Features of a node.
        relations: Relation to its bit in the graph's relation mask; other bits are left alone.
        query_features: Features of an item that ask.
        width: Features of a head, and the size d of queries and keys.
        loop_isolated: Whether a node without neighbours in a relation hears itself there.
        options: What `GraphAttention` takes beside these, for every relation.

    Attributes:
        names: The relations, in order.
        out_features: See `GraphAttention`.

    Raises:
        ConfigError: If there is no relation, a name is unknown or a number out of range.
        MissingExtraError: If the backend is not installed.

    Example:
        >>> graph = AttentionGraph([0, 2, 3, 4], [1, 2, 0, 0], relation_mask=[1, 2, 1, 2])
        >>> heard = RelationAttention(5, {"director": 0, "writer": 1}, 4, heads=2, width=3)
        >>> heard(torch.zeros(3, 5), graph, torch.zeros(3, 4)).shape
        torch.Size([3, 6])
        >>> heard(torch.zeros(3, 5), graph, torch.zeros(3, 4), explain=True).tolist()
        [[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]

    Reference: Lee et al. 2021, Learning to Select Question-Relevant Relations for Visual Question
    Answering (doi:10.18653/v1/2021.maiworkshop-1.13), equations 14 to 16: one encoder a relation,
    and attention over them by the question. Liang et al. 2021, GraphVQA
    (doi:10.18653/v1/2021.maiworkshop-1.12), equations 5, 8 and 9: messages that depend on the
    language. We change: the question is the item's own text; the scores are
    scaled dot products, not a tanh layer (14), so that text and relation multiply; what is
    weighted are the GATs' outputs, not joint vectors with the question (4), since the fusion joins
    them with the text afterwards; relations without neighbours are masked; the instruction enters
    the attention over relations, not every node (5).
    """

    def __init__(
        self,
        in_features: int,
        relations: Mapping[str, int],
        query_features: int,
        *,
        width: int = 64,
        loop_isolated: bool = True,
        **options: Any,
    ) -> None:
        super().__init__()
        if not relations:
            raise ConfigError("There is no relation to hear; expected at least one.")
        if query_features < 1:
            raise ConfigError(f"query_features is {query_features}; expected at least 1.")
        self.names, self.bits = tuple(relations), tuple(relations.values())
        self.loop_isolated = loop_isolated
        self.parts = part_names(self.names)
        for part in self.parts:
            self.add_module(part, GraphAttention(in_features, width=width, **options))
        # features then mean the same in all, as in one graph: from elsewhere, posteriors more often
        # gave up before attention was learned
        for gat in self.gats[1:]:
            gat.load_state_dict(self.gats[0].state_dict())
        self.in_features, self.out_features = in_features, self.gats[0].out_features
        self.query_features = query_features
        over = _OverRelations(len(self.names), query_features, self.out_features, width)
        self.add_module(OVER, over)

    @property
    def gats(self) -> list[GraphAttention]:
        """Return the layers of each relation, in order."""
        return [self.get_submodule(part) for part in self.parts]  # type: ignore[misc]

    def forward(
        self, features: Tensor, graph: Graphs, query: Tensor, explain: bool = False
    ) -> Tensor:
        """Return what each item hears.

        Args:
            features: `nodes x features`.
            graph: One graph for all layers, or a block for each (see `GraphAttention`), with
                relation masks.
            query: Features of the items that ask, `items x features`; the items are the rows of
                the graph, or of the last block.
            explain: Whether to return the attention over relations instead.

        Returns:
            `items x out_features`, or `items x relations`.

        Raises:
            FeatureError: If the features do not fit the graph, or it knows no relations.
            ConfigError: If there are not as many blocks as layers.
        """
        graphs, neighbours = self._graphs(graph, query)
        heard = torch.stack(
            [gat(features, rows) for gat, rows in zip(self.gats, graphs, strict=True)]
        )
        found: Tensor = self.get_submodule(OVER)(heard, query, neighbours, explain)
        return found

    def forward_draws(
        self,
        weights: Mapping[str, Tensor],
        features: Tensor,
        graph: Graphs,
        query: Tensor,
        explain: bool = False,
        *,
        memory_budget: int = DRAWS_BUDGET,
    ) -> Tensor:
        """Return the same under several draws of the weights, batched.

        Args:
            weights: Parameter name (`director.0.weight`) to its draws, `draws x ...`; those that
                are left out are the module's own.
            features: See `forward`.
            graph: See `forward`.
            query: See `forward`.
            explain: See `forward`.
            memory_budget: Bytes that draws which run together may take beside the result, without
                what autograd keeps; one runs in any case.

        Returns:
            `draws x items x out_features`, or `draws x items x relations`.

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
        graphs, neighbours = self._graphs(graph, query)
        outputs = len(self.names) * len(query) * self.out_features
        together = max(1, memory_budget // (1 + 2 * features.element_size() * outputs))
        over = self.get_submodule(OVER)

        def join(draw: dict[str, Tensor], heard: Tensor) -> Tensor:
            found: Tensor = functional_call(over, draw, (heard, query, neighbours, explain))
            return found

        results = []
        for some in _cut(weights, counts.pop(), together):
            heard = [
                self._heard(part, some, features, rows, memory_budget)
                for part, rows in zip(self.parts, graphs, strict=True)
            ]
            results.append(vmap(join)(_inside(some, OVER), torch.stack(heard, dim=1)))
        return torch.cat(results)

    def _heard(
        self,
        part: str,
        weights: Mapping[str, Tensor],
        features: Tensor,
        graph: Graphs,
        memory_budget: int,
    ) -> Tensor:
        """Return what one relation says under some draws, `draws x items x out_features`."""
        gat, inside = self.get_submodule(part), _inside(weights, part)
        assert isinstance(gat, GraphAttention)
        if inside:
            return gat.forward_draws(inside, features, graph, memory_budget=memory_budget)
        heard: Tensor = gat(features, graph)
        return heard.expand(len(next(iter(weights.values()))), *heard.shape)

    def _graphs(self, graph: Graphs, query: Tensor) -> tuple[list[Graphs], Tensor]:
        """Return the graphs of each relation, and who has neighbours, `items x relations`."""
        blocks = [graph] if isinstance(graph, AttentionGraph) else list(graph)
        wanted = (blocks[-1].num_rows, self.query_features)
        if query.shape != wanted:
            raise FeatureError(
                f"What asks has shape {tuple(query.shape)}; expected {wanted[0]} items x "
                f"{wanted[1]} features."
            )
        rows: list[Graphs] = []
        for bit in self.bits:
            found = [relation_rows(b, bit, loop_isolated=self.loop_isolated) for b in blocks]
            rows.append(found[0] if isinstance(graph, AttentionGraph) else found)
        neighbours = [has_relation(blocks[-1], bit) for bit in self.bits]
        return rows, torch.stack(neighbours, dim=1)


class _OverRelations(nn.Module):
    """Weighs what the relations say of an item; its equation is `RelationAttention`'s."""

    def __init__(self, relations: int, query_features: int, heard_features: int, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_features, size)
        self.key = nn.Linear(heard_features, size, bias=False)
        self.embedding = nn.Parameter(torch.zeros(relations, size))
        self.bias = nn.Parameter(torch.zeros(relations))
        nn.init.xavier_uniform_(self.query.weight)
        nn.init.zeros_(self.query.bias)
        nn.init.xavier_uniform_(self.key.weight)

    def forward(self, heard: Tensor, query: Tensor, neighbours: Tensor, explain: bool) -> Tensor:
        """Return what is heard in all, `items x features`, or `items x relations`.

        Args:
            heard: `relations x items x features`.
            query: `items x features`.
            neighbours: Which items have neighbours in which relations, `items x relations`.
            explain: Whether to return the attention.
        """
        full = torch.promote_types(heard.dtype, torch.float32)
        with full_precision(heard.device):  # half precision is too coarse for what is exponentiated
            keys = F.linear(heard.to(full), self.key.weight.to(full)) + self.embedding[:, None]
            asked = F.linear(query.to(full), self.query.weight.to(full), self.query.bias.to(full))
            scores = torch.einsum("if,rif->ir", asked, keys) / math.sqrt(asked.shape[1])
            scores = (scores + self.bias).masked_fill(~neighbours, torch.finfo(full).min)
            attention = torch.where(neighbours, scores.softmax(1), 0.0)
            if explain:
                return attention
            alone = ~neighbours.any(dim=1, keepdim=True)
            shares = torch.where(alone, 1 / neighbours.shape[1], attention)
            joined = torch.einsum("ir,rif->if", shares, heard.to(full))
        return joined.to(heard.dtype)


def part_names(relations: Sequence[str]) -> list[str]:
    """Return the name of each relation's part of a network, and so of its sites.

    A character that is no letter, digit or underscore becomes an underscore (a dot would divide
    a site's name), and a name that is taken gets one more at its end.

    Example:
        >>> part_names(["director", "lead.actor", "lead actor", "relations", "train"])
        ['director', 'lead_actor', 'lead_actor_', 'relations_', 'train_']
    """
    taken = {*dir(nn.Module()), *_ATTRIBUTES, *dir(RelationAttention)}
    found = []
    for relation in relations:
        name = re.sub(r"\W", "_", relation) or "_"
        while name in taken:
            name += "_"
        taken.add(name)
        found.append(name)
    return found


_ATTRIBUTES = (
    *(OVER, "names", "bits", "parts", "loop_isolated"),
    *("in_features", "out_features", "query_features", "smart_apply"),  # the last of transformers
)


def _inside(weights: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the weights of a part by their names in it."""
    return {n.removeprefix(f"{part}."): w for n, w in weights.items() if n.startswith(f"{part}.")}


def _cut(weights: Mapping[str, Tensor], draws: int, together: int) -> Iterator[dict[str, Tensor]]:
    """Yield so many draws at a time."""
    for start in range(0, draws, together):
        yield {name: values[start : start + together] for name, values in weights.items()}
