"""Items that hear others, through objective, training and posterior draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bayesfuse.data.batches import Batches
from bayesfuse.graph.csr import Adjacency
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.inference.annealing import AnnealingSchedule
from bayesfuse.inference.elbo import ELBOS, MultiLabelModel, Objective
from bayesfuse.inference.history import SVISettings
from bayesfuse.inference.predictive import PosteriorPredictive
from bayesfuse.inference.svi import SVI
from bayesfuse.models.graph_branch import GraphSettings

MakeFused = Callable[..., Any]
MakeBatches = Callable[..., Batches]

PARTS = ("fusion", "gat")


def ring(num_nodes: int) -> Adjacency:
    """Return the graph in which each node hears the next one and the one before."""
    nodes = np.arange(num_nodes)
    heard = np.sort(np.stack([(nodes - 1) % num_nodes, (nodes + 1) % num_nodes], axis=1), axis=1)
    return Adjacency(2 * np.arange(num_nodes + 1), heard.ravel())


@pytest.fixture
def linked(make_batches: MakeBatches) -> Batches:
    batches = make_batches()
    features = batches.features
    table = LinkedFeatures(features, features.select(["image"]), ring(len(features)))
    return Batches(table, batches.labels)


@pytest.fixture
def made(make_fused: MakeFused) -> Any:
    return make_fused(parts=PARTS, graph=GraphSettings(heads=2, width=3))


def loss_and_nll(objective: Objective, batches: Batches, beta: float) -> tuple[float, float]:
    batch = batches.read(slice(None))
    assert batch.labels is not None
    torch.manual_seed(0)
    loss = objective.loss(batch.inputs, batch.observed, batch.labels, batch.blocks, beta=beta)
    return float(loss.detach()), float(objective.nll)


@pytest.mark.parametrize("elbo", ELBOS)
def test_the_objective_is_nll_and_kl_over_the_items(made, linked, elbo):
    objective = Objective(MultiLabelModel(made.lifted, 40), made.guide, elbo)
    loss, nll = loss_and_nll(objective, linked, 0.5)
    torch.manual_seed(0)
    weights = made.guide()
    batch = linked.read(slice(None))
    logits = made.lifted.run(weights, batch.inputs, batch.observed, batch.blocks).detach()
    bce = F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="sum") / 40
    assert nll == pytest.approx(float(bce), rel=1e-5)
    if elbo in {"meanfield", "annealed"}:
        assert loss == pytest.approx(float(bce + 0.5 * objective.kl().detach()), rel=1e-5)


def test_the_neighbours_count_in_the_objective(made, linked):
    objective = Objective(MultiLabelModel(made.lifted, 40), made.guide)
    _, nll = loss_and_nll(objective, linked, 1.0)
    nodes = linked.features.nodes
    elsewhere = Adjacency(np.arange(41), (np.arange(40) + 20) % 40)
    others = Batches(LinkedFeatures(linked.features, nodes, elsewhere), linked.labels)
    assert loss_and_nll(objective, others, 1.0)[1] != pytest.approx(nll, rel=1e-4)


def fit(made: Any, train: Batches, **changes: Any) -> list[float]:
    short = AnnealingSchedule("linear", 0.2, 1.0, epochs=2)
    given: dict[str, Any] = {"epochs": 3, "batch_size": 10, "annealing": short} | changes
    settings = SVISettings(**given)
    result = SVI(made.network, made.lifted, made.guide, settings).fit(train)
    return [row.nll for row in result.history]


def test_training_moves_the_graphs_guide_and_lowers_the_nll(made, linked):
    before = {n: v.detach().clone() for n, v in made.guide.locations().items()}
    cold = AnnealingSchedule("linear", 0.01, 0.01, epochs=1)
    history = fit(made, linked, epochs=10, learning_rate=0.02, annealing=cold)
    assert history[-1] < 0.97 * history[0]
    moved = [n for n, v in made.guide.locations().items() if not torch.equal(v, before[n])]
    assert {n for n in before if n.startswith("gat.")} <= set(moved)


@pytest.mark.parametrize("share", [0.0, 0.7])
def test_the_same_seed_is_the_same_training(make_fused, linked, share):
    def run(seed: int) -> list[float]:
        model = make_fused(parts=PARTS, graph=GraphSettings(heads=2, width=3))
        return fit(model, Batches(linked.features.thinned(share, seed), linked.labels))

    assert run(1) == run(1)
    assert (run(1) == run(2)) == (share == 0)


def test_the_twin_trains_too(make_fused, linked):
    model = make_fused(graph=GraphSettings(heads=2, width=3))
    model.network.requires_grad_(True)
    settings = SVISettings(epochs=2, batch_size=10, elbo="none")
    before = model.network.gat.layers[0].weight.detach().clone()
    SVI(model.network, None, None, settings).fit(linked)
    assert not torch.equal(model.network.gat.layers[0].weight, before)
    found = PosteriorPredictive(model.network, None, None, num_items=40)
    assert found.mean(linked, 5).shape == (40, 4)
    assert next(iter(found.chunks(linked, 5))).shape == (1, 40, 4)


# ---- posterior draws ----


def predictive(made: Any, seed: int = 0) -> PosteriorPredictive:
    return PosteriorPredictive(made.network, made.lifted, made.guide, num_items=40, seed=seed)


def test_a_draw_is_one_network_for_all_items(made, linked):
    found = next(iter(predictive(made).chunks(linked, 20)))
    batch = linked.read(slice(None))
    made.network.eval()
    for draw in (0, 15, 16, 19):
        weights = predictive(made).weights(draw)
        logits = made.lifted.run(weights, batch.inputs, batch.observed, batch.blocks)
        expected = torch.sigmoid(logits).detach().numpy()
        np.testing.assert_allclose(found[draw], expected, rtol=0, atol=1e-6)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_chunks_share_their_draws(made, linked):
    whole = np.concatenate(list(predictive(made).chunks(linked, 3)), axis=1)
    parts = list(predictive(made).chunks(linked, 3, memory_budget=1))
    assert len(parts) == 3
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=0, atol=1e-6)


def test_only_the_fusion_may_be_random(make_fused, linked):
    model = make_fused(graph=GraphSettings(heads=2, width=3))
    assert not [name for name in model.lifted.latent if name.startswith("gat")]
    found = next(iter(predictive(model).chunks(linked, 4)))
    assert found.shape == (4, 40, 4)
    assert np.isfinite(found).all()
