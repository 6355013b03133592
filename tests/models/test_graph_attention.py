from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from bayesfuse.errors import ConfigError, MissingExtraError
from bayesfuse.graph.attention_graph import AttentionGraph
from bayesfuse.graph.csr import Adjacency
from bayesfuse.graph.libraries import import_dgl
from bayesfuse.graph.sampling import NeighbourSampler
from bayesfuse.inference.guides import make_guide
from bayesfuse.inference.lifting import lift
from bayesfuse.models.graph_attention import GraphAttention
from bayesfuse.models.graph_attention_layer import VERSIONS

IN = 5


def random_graph(nodes: int = 12) -> AttentionGraph:
    dense = torch.rand(nodes, nodes) < 0.3
    dense[3] = False
    indptr = torch.cat([torch.zeros(1, dtype=torch.long), dense.sum(1).cumsum(0)])
    return AttentionGraph(indptr, dense.nonzero()[:, 1])


def make(layers: int = 2, **options: Any) -> GraphAttention:
    return GraphAttention(IN, layers=layers, heads=2, width=3, **options)


def draw_weights(gat: GraphAttention, draws: int) -> dict[str, Tensor]:
    return {
        name: parameter.detach() + 0.3 * torch.randn(draws, *parameter.shape)
        for name, parameter in gat.named_parameters()
    }


def test_parameters_are_named_by_layer() -> None:
    names = {name: tuple(p.shape) for name, p in make().named_parameters()}
    assert names == {
        "0.weight": (6, 5),
        "0.attn_src": (2, 3),
        "0.attn_dst": (2, 3),
        "0.bias": (6,),
        "0.residual.weight": (6, 5),
        "1.weight": (6, 6),
        "1.attn_src": (2, 3),
        "1.attn_dst": (2, 3),
        "1.bias": (6,),
    }
    assert {name for name, _ in make(1, version="v2", residual=False).named_parameters()} == {
        "0.weight",
        "0.target_weight",
        "0.attn",
        "0.bias",
    }


def test_layers_follow_each_other_with_elu_between() -> None:
    gat, graph, x = make(3, average_last=True), random_graph(), torch.randn(12, IN)
    first, second, third = gat.layers
    inside = second(nn.functional.elu(first(x, graph)), graph)
    out = gat(x, graph)
    torch.testing.assert_close(out, third(nn.functional.elu(inside), graph))
    assert out.shape == (12, gat.out_features) == (12, 3)


def test_blocks_of_whole_neighbourhoods_give_what_the_whole_graph_gives() -> None:
    gat, graph, x = make(), random_graph(), torch.randn(12, IN)
    adjacency = Adjacency(graph.indptr.numpy(), graph.indices.numpy())
    wanted = np.array([7, 3, 0])

    def on_blocks(fan_out: int | None) -> Tensor:
        blocks = NeighbourSampler(adjacency, [fan_out] * 2, seed=0).sample(wanted)
        parts = [graph.part(b.indptr, b.indices, b.edges, len(b.nodes)) for b in blocks]
        found: Tensor = gat(x[blocks[0].nodes], parts)
        return found

    whole = gat(x, graph)[wanted]
    torch.testing.assert_close(on_blocks(None), whole)
    assert not torch.allclose(on_blocks(1), whole)
    with pytest.raises(ConfigError, match="1 blocks for 2 layers"):
        gat(x, [graph])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("memory_budget", [0, 2**30])
def test_draws_in_one_call_are_a_loop_over_draws(version: str, memory_budget: int) -> None:
    gat, graph, x = make(version=version), random_graph(), torch.randn(12, IN)
    weights = draw_weights(gat, 5)
    expected = torch.stack(
        [functional_call(gat, {n: w[k] for n, w in weights.items()}, (x, graph)) for k in range(5)]
    )
    found = gat.forward_draws(weights, x, graph, memory_budget=memory_budget)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    plain = vmap(lambda draw: functional_call(gat, draw, (x, graph)))(weights)
    torch.testing.assert_close(plain, expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(found[0], found[1])


@pytest.mark.parametrize("version", VERSIONS)
def test_gradients_through_draws_in_one_call(version: str) -> None:
    gat, graph, x = make(version=version), random_graph(), torch.randn(12, IN)
    weights = {name: draws.requires_grad_() for name, draws in draw_weights(gat, 3).items()}
    cotangent = torch.randn(3, 12, gat.out_features)
    found = torch.autograd.grad(
        gat.forward_draws(weights, x, graph), list(weights.values()), cotangent
    )
    looped = torch.stack(
        [functional_call(gat, {n: w[k] for n, w in weights.items()}, (x, graph)) for k in range(3)]
    )
    expected = torch.autograd.grad(looped, list(weights.values()), cotangent)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_draws_of_some_weights_share_the_others() -> None:
    gat, graph, x = make(), random_graph(), torch.randn(12, IN)
    some = {"1.attn_src": torch.randn(4, 2, 3)}
    found = gat.forward_draws(some, x, graph)
    for draw, out in zip(some["1.attn_src"], found, strict=True):
        torch.testing.assert_close(out, functional_call(gat, {"1.attn_src": draw}, (x, graph)))


def test_each_draw_drops_its_own_in_training() -> None:
    gat, graph, x = make(attention_dropout=0.5), random_graph(), torch.randn(12, IN)
    same = {name: p.detach().expand(2, *p.shape) for name, p in gat.named_parameters()}
    out = gat.forward_draws(same, x, graph)
    assert not torch.equal(out[0], out[1])
    out = gat.eval().forward_draws(same, x, graph)
    torch.testing.assert_close(out[0], out[1])


def test_draws_that_do_not_fit_are_refused() -> None:
    gat, graph, x = make(), random_graph(), torch.randn(12, IN)
    with pytest.raises(
        ConfigError, match=r'Unknown parameter "0.atn_src".*Did you mean "0.attn_src'
    ):
        gat.forward_draws({"0.atn_src": torch.zeros(2, 2, 3)}, x, graph)
    with pytest.raises(ConfigError, match="weights of 2, 3 draws"):
        gat.forward_draws({"0.bias": torch.zeros(2, 6), "1.bias": torch.zeros(3, 6)}, x, graph)
    with pytest.raises(ConfigError, match="weights of no draws"):
        gat.forward_draws({}, x, graph)


def test_dgl_runs_the_same_network_and_the_same_draws() -> None:
    try:
        import_dgl()
    except MissingExtraError as error:
        pytest.skip(str(error))
    ours, theirs = make(), make(backend="dgl")
    theirs.load_state_dict(ours.state_dict())
    graph, x = random_graph(), torch.randn(12, IN)
    torch.testing.assert_close(ours(x, graph), theirs(x, graph), rtol=1e-5, atol=1e-5)
    weights = draw_weights(ours, 3)
    torch.testing.assert_close(
        ours.forward_draws(weights, x, graph),
        theirs.forward_draws(weights, x, graph),
        rtol=1e-5,
        atol=1e-5,
    )


def test_attention_of_each_layer_under_own_weights_and_a_draw() -> None:
    gat, graph, x = make(attention_dropout=0.5), random_graph(), torch.randn(12, IN)
    found = gat.attention(x, graph)
    assert gat.training
    gat.eval()
    first, second = gat.layers
    assert torch.equal(found[0], first(x, graph, explain=True))
    assert torch.equal(found[1], second(nn.functional.elu(first(x, graph)), graph, explain=True))
    draw = {name: weights[0] for name, weights in draw_weights(gat, 1).items()}
    drawn = gat.attention(x, graph, draw)
    gat.load_state_dict(draw)
    for one, other in zip(drawn, gat.attention(x, graph), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(drawn[1], found[1])


def test_no_layers_are_refused() -> None:
    with pytest.raises(ConfigError, match="layers is 0"):
        make(0)


class Tagger(nn.Module):
    """Node features through graph attention to one logit a node."""

    def __init__(self) -> None:
        super().__init__()
        self.gat = make(1)
        self.classifier = nn.Linear(self.gat.out_features, 1)

    def forward(self, x: Tensor, graph: AttentionGraph) -> Tensor:
        out: Tensor = self.classifier(self.gat(x, graph)).squeeze(-1)
        return out


def test_lifting_makes_weights_and_both_attention_vectors_random() -> None:
    network, graph, x = Tagger(), random_graph(), torch.randn(12, IN)
    lifted = lift(network, parts=["gat"])
    assert lifted.latent == [
        "gat.0.weight",
        "gat.0.attn_src",
        "gat.0.attn_dst",
        "gat.0.bias",
        "gat.0.residual.weight",
    ]
    assert [site.fan_in for site in lifted.sites] == [5, 3, 3, 5, 5]
    assert not torch.allclose(lifted(x, graph), lifted(x, graph))
    guide = make_guide(lifted, "laplace", init_scale=0.1)
    first, second = guide(), guide()
    for name in lifted.latent:
        assert not torch.equal(first[name], second[name])
    assert not torch.allclose(lifted.run(first, x, graph), lifted.run(second, x, graph))


def test_a_step_of_variational_inference_moves_the_guide_towards_the_data() -> None:
    network, graph, x = Tagger(), random_graph(), torch.randn(12, IN)
    lifted = lift(network, parts=["gat"])
    guide = make_guide(lifted, "laplace", init_scale=0.01)
    y = (x.sum(1) > 0).float()

    def nll() -> Tensor:
        logits = lifted.run(guide(), x, graph)
        return nn.functional.binary_cross_entropy_with_logits(logits, y)

    before = {name: p.detach().clone() for name, p in guide.named_parameters()}
    optimiser = torch.optim.Adam(guide.parameters(), lr=0.05)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = nll()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    moved = {name for name, p in guide.named_parameters() if not torch.equal(p, before[name])}
    assert moved == set(before)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
