"""A graph a relation: values against a plain loop, masks, draws, names; and that it learns."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn import functional as F

from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.relations import relation_rows
from bayesfuse.inference.lifting import lift
from bayesfuse.models.graph_attention import GraphAttention
from bayesfuse.models.relation_attention import RelationAttention, part_names

RELATIONS = {"director": 0, "writer": 2}  # bit 1 is of a relation that is left out
# 0 has both relations, 1 directors only, 2 the relation that is left out, 3 nobody but itself
GRAPH = AttentionGraph(
    [0, 3, 5, 6, 7, 9], [1, 2, 4, 0, 4, 1, 3, 0, 1], relation_mask=[1, 5, 6, 1, 1, 2, 0, 4, 5]
)
NODES, FEATURES, ASKING = 5, 3, 4


def build(dtype: torch.dtype = torch.float64, seed: int = 0, **options) -> RelationAttention:
    torch.manual_seed(seed)
    options = {"heads": 2, "width": 3, "residual": False, **options}
    made = RelationAttention(FEATURES, RELATIONS, ASKING, **options).to(dtype).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith(("bias", "embedding", "attn_src", "attn_dst")):
                parameter.normal_()
    return made


def inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(NODES, FEATURES, generator=generator, dtype=dtype)
    return features, torch.randn(NODES, ASKING, generator=generator, dtype=dtype)


def lists(graph: AttentionGraph, bit: int) -> list[list[int]]:
    """Return the neighbours of each row in one relation."""
    found: list[list[int]] = [[] for _ in range(graph.num_rows)]
    edges = zip(graph.rows.tolist(), graph.indices.tolist(), strict=True)
    for (row, column), mask in zip(edges, graph.relation_mask.tolist(), strict=True):
        if mask >> bit & 1:
            found[row].append(column)
    return found


def plain_gat(p: Mapping[str, np.ndarray], part: str, x: np.ndarray, heard: list[list[int]]):
    """Return what one layer of version 1 says, node by node, head by head."""
    heads, width = p[f"{part}.0.attn_src"].shape
    values = (x @ p[f"{part}.0.weight"].T).reshape(len(x), heads, width)
    out = np.zeros((len(heard), heads, width))
    for i, nodes in enumerate(heard):
        for h in range(heads):
            scores = []
            for j in nodes:
                score = values[j, h] @ p[f"{part}.0.attn_src"][h]
                score += values[i, h] @ p[f"{part}.0.attn_dst"][h]
                scores.append(score if score > 0 else 0.2 * score)
            powers = [math.exp(s) for s in scores]
            for j, power in zip(nodes, powers, strict=True):
                out[i, h] += power / sum(powers) * values[j, h]
    return out.reshape(len(heard), -1) + p[f"{part}.0.bias"]


def plain(made: RelationAttention, x: np.ndarray, q: np.ndarray, loops: bool):
    """Return what is heard and the attention over relations, item by item."""
    p = {name: value.detach().numpy() for name, value in made.named_parameters()}
    said, has = [], []
    for part, bit in zip(made.parts, made.bits, strict=True):
        others = lists(GRAPH, bit)
        has.append([bool(nodes) for nodes in others])
        rows = [nodes or ([i] if loops or i == 3 else []) for i, nodes in enumerate(others)]
        said.append(plain_gat(p, part, x, rows))
    out, attention = np.zeros_like(said[0]), np.zeros((len(x), len(said)))
    for i in range(len(x)):
        asked = p["relations.query.weight"] @ q[i] + p["relations.query.bias"]
        powers = {}
        for r, heard in enumerate(said):
            if has[r][i]:
                key = p["relations.key.weight"] @ heard[i] + p["relations.embedding"][r]
                score = asked @ key / math.sqrt(len(asked)) + p["relations.bias"][r]
                powers[r] = math.exp(score)
        for r, heard in enumerate(said):
            attention[i, r] = powers.get(r, 0.0) / sum(powers.values()) if powers else 0.0
            out[i] += (attention[i, r] if powers else 1 / len(said)) * heard[i]
    return out, attention


@pytest.mark.parametrize("loops", [True, False])
def test_values_are_those_of_a_plain_loop(loops):
    made, (features, query) = build(loop_isolated=loops), inputs()
    out, attention = plain(made, features.numpy(), query.numpy(), loops)
    found = made(features, GRAPH, query).detach().numpy()
    np.testing.assert_allclose(found, out, rtol=0, atol=1e-12)
    told = made(features, GRAPH, query, explain=True).detach().numpy()
    np.testing.assert_allclose(told, attention, rtol=0, atol=1e-12)
    assert 0.05 < told[0, 0] < 0.95


def test_no_neighbour_is_exactly_no_attention():
    made, (features, query) = build(), inputs()
    told = made(features, GRAPH, 50 * query, explain=True)
    assert told[1].tolist() == [1.0, 0.0]
    assert told[[2, 3]].tolist() == [[0.0, 0.0]] * 2
    torch.testing.assert_close(told.sum(1), torch.tensor([1, 1, 0, 0, 1.0], dtype=told.dtype))


def test_an_item_without_neighbours_hears_the_mean_of_what_gats_make_of_it():
    made, (features, query) = build(), inputs()
    found = made(features, GRAPH, query)
    itself = AttentionGraph([0, 1], [0])
    for item in (2, 3):
        alone = torch.stack([gat(features[[item]], itself) for gat in made.gats]).mean(0)
        torch.testing.assert_close(found[[item]], alone)
    assert torch.equal(found[[2, 3]], made(features, GRAPH, -query)[[2, 3]])


def test_one_relation_is_its_gat_whatever_asks():
    torch.manual_seed(0)
    made = RelationAttention(FEATURES, {"writer": 2}, ASKING, heads=2, width=3).double()
    gat = made.get_submodule("writer")
    assert isinstance(gat, GraphAttention)
    features, query = inputs()
    expected = gat(features, relation_rows(GRAPH, 2))
    torch.testing.assert_close(made(features, GRAPH, query), expected)


def test_the_text_of_an_item_moves_its_attention_and_no_others():
    made, (features, query) = build(), inputs()
    before = made(features, GRAPH, query, explain=True).detach()
    moved = query.clone()
    moved[0] += 2.0
    after = made(features, GRAPH, moved, explain=True).detach()
    assert abs(float(after[0, 0] - before[0, 0])) > 1e-3
    assert torch.equal(after[1:], before[1:])


def test_blocks_of_two_layers_say_what_the_whole_graph_says():
    made, (features, query) = build(layers=2, residual=True), inputs()
    torch.testing.assert_close(
        made(features, [GRAPH, GRAPH], query), made(features, GRAPH, query), rtol=0, atol=1e-12
    )
    last = AttentionGraph([0, 3], [1, 2, 4], 5, [1, 5, 6])
    torch.testing.assert_close(
        made(features, [GRAPH, last], query[:1]), made(features, GRAPH, query)[:1]
    )


def test_gradients_are_finite_and_reach_every_part():
    made, (features, query) = build(), inputs()
    query = (1e3 * query).requires_grad_()  # attention saturates
    made(features, GRAPH, query).square().sum().backward()
    assert torch.isfinite(query.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in made.parameters())
    fresh, (features, query) = build(), inputs()
    fresh(features, GRAPH, query).square().sum().backward()
    assert [n for n, p in fresh.named_parameters() if not p.grad.abs().sum() > 0] == []


def test_gradients_are_those_of_differences():
    made, (features, query) = build(), inputs()
    names = [name for name, _ in made.named_parameters()]

    def run(features: Tensor, query: Tensor, *values: Tensor) -> Tensor:
        weights = dict(zip(names, values, strict=True))
        return functional_call(made, weights, (features, GRAPH, query))

    given = [features, query, *(p.detach() for p in made.parameters())]
    assert torch.autograd.gradcheck(run, [g.clone().requires_grad_() for g in given])


# ---- draws


def draws_of(made: RelationAttention, draws: int = 3, only: str = "") -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {
        name: torch.randn(draws, *p.shape, generator=generator, dtype=p.dtype)
        for name, p in made.named_parameters()
        if name.startswith(only)
    }


@pytest.mark.parametrize("backend", ["torch", "dgl"])
@pytest.mark.parametrize("budget", [1, 2**27])
@pytest.mark.parametrize("only", ["", "writer", "relations", "director.0.attn_src"])
@pytest.mark.parametrize("explain", [False, True])
def test_draws_in_one_call_are_draws_one_by_one(backend, budget, only, explain):
    if backend == "dgl":
        pytest.importorskip("dgl")
    made, (features, query) = build(torch.float32, backend=backend), inputs(torch.float32)
    weights = draws_of(made, only=only)
    arguments = (features, GRAPH, query, explain)
    found = made.forward_draws(weights, *arguments, memory_budget=budget)
    for draw in range(3):
        one = {name: values[draw] for name, values in weights.items()}
        torch.testing.assert_close(
            found[draw], functional_call(made, one, arguments), rtol=1e-4, atol=1e-5
        )


def test_vmap_over_the_whole_is_the_same():
    made, (features, query) = build(), inputs()
    weights = draws_of(made)
    found = vmap(lambda w: functional_call(made, w, (features, GRAPH, query)))(weights)
    torch.testing.assert_close(found, made.forward_draws(weights, features, GRAPH, query))


def test_relations_start_alike_and_part_in_training():
    made, (features, query) = build(), inputs()
    first, second = made.gats
    assert torch.equal(first.layers[0].weight, second.layers[0].weight)
    made(features, GRAPH, query).square().sum().backward()
    assert not torch.allclose(first.layers[0].weight.grad, second.layers[0].weight.grad)


def test_every_parameter_can_be_random():
    made = torch.nn.Module()
    made.gat = build()
    sites = {site.name for site in lift(made, parts=["gat"]).sites}
    one_of_each = {f"gat.{name}.0.{w}" for name in RELATIONS for w in ("weight", "attn_src")}
    own = {f"gat.relations.{w}" for w in ("query.weight", "key.weight", "embedding", "bias")}
    assert one_of_each | own <= sites
    assert sites == {name for name, _ in made.named_parameters()}


def test_half_precision_keeps_its_type_and_attends_in_full():
    made, (features, query) = build(torch.float32), inputs(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        told = made(features, GRAPH, query, explain=True)
        found = made(features, GRAPH, query)
    assert told.dtype == torch.float32
    torch.testing.assert_close(found.float(), made(features, GRAPH, query), rtol=0.1, atol=0.1)


# ---- names, mistakes


def test_names_of_parts_are_names_of_modules():
    odd = ["a.b", "a b", "a_b", "forward", "type", "", "Regie: Ö", "0", "names", "smart_apply"]
    parts = part_names(odd)
    assert parts[:3] == ["a_b", "a_b_", "a_b__"]
    assert parts[3:] == [
        *("forward_", "type_", "_", "Regie__Ö", "0", "names_", "smart_apply_"),
    ]
    made = RelationAttention(2, {name: bit for bit, name in enumerate(odd)}, 1, heads=1, width=2)
    assert made.names == tuple(odd)
    assert {n.partition(".")[0] for n, _ in made.named_parameters()} == {*parts, "relations"}


def test_what_does_not_fit_is_told():
    with pytest.raises(ConfigError, match=r"no relation to hear"):
        RelationAttention(2, {}, 1)
    with pytest.raises(ConfigError, match=r"query_features is 0"):
        RelationAttention(2, RELATIONS, 0)
    made, (features, query) = build(), inputs()
    with pytest.raises(FeatureError, match=r"asks has shape \(5, 3\); expected 5 items x 4"):
        made(features, GRAPH, query[:, :3])
    unknown = AttentionGraph(GRAPH.indptr, GRAPH.indices)
    with pytest.raises(FeatureError, match=r"does not know the relations"):
        made(features, unknown, query)
    with pytest.raises(ConfigError, match=r'"directr.0.weight".*Did you mean'):
        made.forward_draws({"directr.0.weight": torch.zeros(2)}, features, GRAPH, query)
    weights = {**draws_of(made, 1), **draws_of(made, 2, "relations")}
    with pytest.raises(ConfigError, match=r"Got weights of 1, 2 draws"):
        made.forward_draws(weights, features, GRAPH, query)
    with pytest.raises(ConfigError, match=r"Got 2 blocks for 1 layers"):
        made(features, [GRAPH, GRAPH], query)


# ---- it learns which relation matters


def planted(num_items: int = 240) -> tuple[AttentionGraph, Tensor, Tensor, Tensor]:
    """Return a graph of two relations, features, texts and labels of items.

    Of items with one kind of text the label is what the neighbours by directors look like; of the
    others, what those by writers do. Neither text nor own features tell the label.
    """
    rng = np.random.default_rng(0)
    looks = rng.choice([-1.0, 1.0], num_items)
    kind = rng.integers(2, size=num_items)
    wanted = rng.integers(2, size=(num_items, 2))  # what neighbours look like, by relation
    indptr, indices, masks = [0], [], []
    for item in range(num_items):
        edges: dict[int, int] = {}
        for bit in (0, 1):
            alike = np.flatnonzero((looks > 0) == wanted[item, bit])
            for other in rng.choice(alike[alike != item], 3, replace=False).tolist():
                edges[other] = edges.get(other, 0) | 1 << bit
        indices += sorted(edges)
        masks += [edges[other] for other in sorted(edges)]
        indptr.append(len(indices))
    noise = rng.normal(size=(num_items, 2))
    features = torch.tensor(np.column_stack([looks, noise]), dtype=torch.float32)
    text = torch.tensor(np.column_stack([2.0 * kind - 1, noise[:, :1]]), dtype=torch.float32)
    labels = torch.tensor(wanted[np.arange(num_items), kind], dtype=torch.float32)
    return AttentionGraph(indptr, indices, None, masks), features, text, labels


def loss_on_others(model: torch.nn.Module, labels: Tensor, *arguments: object) -> float:
    """Train on half of the items, and return the loss of the others in nats."""
    train = torch.arange(len(labels)) < len(labels) // 2
    torch.manual_seed(0)
    out = torch.nn.Linear(model.out_features, 1)
    optimiser = torch.optim.Adam([*model.parameters(), *out.parameters()], lr=0.03)
    for _ in range(120):
        optimiser.zero_grad()
        logits = out(F.elu(model(*arguments)))[:, 0]
        F.binary_cross_entropy_with_logits(logits[train], labels[train]).backward()
        optimiser.step()
    with torch.no_grad():
        logits = out(F.elu(model(*arguments)))[:, 0]
        return float(F.binary_cross_entropy_with_logits(logits[~train], labels[~train]))


@pytest.mark.slow
def test_the_relation_that_matters_is_learned_from_the_text():
    graph, features, text, labels = planted()

    def made() -> RelationAttention:
        torch.manual_seed(1)
        relations = {"director": 0, "writer": 1}
        return RelationAttention(3, relations, 2, heads=2, width=4, residual=False)

    model = made()
    loss = loss_on_others(model, labels, features, graph, text)
    assert loss < 0.15
    told = model(features, graph, text, explain=True).detach()
    others = torch.arange(len(text)) >= len(text) // 2
    assert told[others & (text[:, 0] < 0), 0].mean() > 0.9
    assert told[others & (text[:, 0] > 0), 1].mean() > 0.9
    # controls: nothing asks, and all relations are one graph
    unasked = loss_on_others(made(), labels, features, graph, torch.zeros_like(text))
    torch.manual_seed(1)
    union = GraphAttention(3, heads=2, width=4, residual=False)
    assert unasked > 0.4
    assert loss_on_others(union, labels, features, graph) > 0.4
