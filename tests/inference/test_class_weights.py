"""Class weights: their numbers, and the likelihood that they weigh."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
import torch.nn.functional as F
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceGraph_ELBO, TraceMeanField_ELBO
from sklearn.utils.class_weight import compute_class_weight

from bayesfuse.config import CLASS_WEIGHTS as NAMES
from bayesfuse.data.batches import Batches
from bayesfuse.errors import ConfigError
from bayesfuse.inference.class_weights import CLASS_WEIGHTS, ClassWeights
from bayesfuse.inference.elbo import MultiLabelModel, Objective
from bayesfuse.inference.history import SVISettings
from bayesfuse.inference.local_params import with_local_params
from bayesfuse.inference.losses import Loss
from bayesfuse.inference.svi import SVI, TrainingRun

MakeFused = Callable[..., Any]
MakeBatches = Callable[..., Batches]

PYRO = {"meanfield": TraceMeanField_ELBO, "trace": Trace_ELBO, "rao-blackwell": TraceGraph_ELBO}


def of(kind: str, positives: list[int], num_items: int) -> ClassWeights:
    found = ClassWeights.of_counts(kind, torch.tensor(positives), num_items)
    assert found is not None
    return found


def test_the_kinds_are_those_of_the_configuration() -> None:
    assert CLASS_WEIGHTS == NAMES
    assert ClassWeights.of_counts("none", torch.tensor([1]), 3) is None
    with pytest.raises(ConfigError, match=r'Unknown class weights "invers".*"inverse"'):
        ClassWeights.of_counts("invers", torch.tensor([1]), 3)


def test_weights_of_two_kinds_have_mean_one_and_are_each_others_reciprocals() -> None:
    share = torch.tensor([1.5, 4.5, 7.5]) / 10
    frequency, inverse = of("frequency", [1, 4, 7], 9), of("inverse", [1, 4, 7], 9)
    torch.testing.assert_close(frequency.tagged, share / share.mean())
    torch.testing.assert_close(inverse.tagged, (1 / share) / (1 / share).mean())
    assert torch.equal(inverse.tagged, inverse.untagged)
    positive = of("positive", [1, 4, 7], 9)
    torch.testing.assert_close(positive.tagged, 1 / share)
    assert positive.untagged.tolist() == [1, 1, 1]


def test_effective_weights_lie_between_alike_and_inverse() -> None:
    counts, num_items, beta = [2, 20, 700], 1000, 0.99
    kept = torch.tensor([(1 - beta) / (1 - beta**k) for k in counts])  # Cui et al. 2019, eq. 4
    found = ClassWeights.of_counts("effective", torch.tensor(counts), num_items, beta)
    assert found is not None
    torch.testing.assert_close(found.tagged, kept / kept.mean())
    assert torch.equal(found.tagged, found.untagged)
    # all alike at 0; one over the count near 1
    flat = ClassWeights.of_counts("effective", torch.tensor(counts), num_items, 0.0)
    steep = ClassWeights.of_counts("effective", torch.tensor(counts), num_items, 1 - 1e-9)
    assert flat is not None
    assert steep is not None
    assert flat.tagged.tolist() == [1, 1, 1]
    over = 1 / torch.tensor(counts, dtype=torch.float32)
    torch.testing.assert_close(steep.tagged, over / over.mean(), rtol=1e-4, atol=0)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    counts, num_items = [30, 150, 480], 600
    found = of("balanced", counts, num_items)
    for column, count in enumerate(counts):
        y = np.arange(num_items) < count
        away, there = compute_class_weight("balanced", classes=np.array([False, True]), y=y)
        # half an item of each kind is ours
        assert float(found.tagged[column]) == pytest.approx(there, rel=0.02)
        assert float(found.untagged[column]) == pytest.approx(away, rel=0.02)
    share = (torch.tensor(counts) + 0.5) / (num_items + 1)
    torch.testing.assert_close(found.rates(share), torch.full((3,), 0.5))


def test_weights_given_by_label_count_for_both_terms() -> None:
    found = ClassWeights.of_labels({"War": 3.0, "Drama": 0.5}, ["Drama", "Horror", "War"])
    assert found.tagged.tolist() == found.untagged.tolist() == [0.5, 1.0, 3.0]
    rates = torch.tensor([0.1, 0.2, 0.3])
    torch.testing.assert_close(found.rates(rates), rates)  # the best is the label's probability
    with pytest.raises(ConfigError, match=r'Unknown label "war".*"War"'):
        ClassWeights.of_labels({"war": 1.0}, ["Drama", "War"])


@pytest.mark.parametrize("kind", ["frequency", "inverse", "effective", "positive", "balanced"])
def test_a_label_that_is_not_learned_takes_no_weight_from_the_others(kind: str) -> None:
    alone, beside = of(kind, [1, 4], 9), of(kind, [0, 1, 4, 9], 9)
    torch.testing.assert_close(beside.tagged[1:3], alone.tagged)
    assert beside.tagged[[0, 3]].tolist() == [1, 1]
    assert torch.isfinite(of(kind, [0, 9], 9).tagged).all()


def test_the_best_constant_is_where_the_weighted_loss_is_least() -> None:
    weights, rates = of("positive", [1, 3], 9), torch.tensor([1 / 9, 3 / 9])
    labels = torch.zeros(9, 2)
    labels[0, 0] = labels[:3, 1] = 1
    best = weights.rates(rates).requires_grad_()
    terms = F.binary_cross_entropy(best.expand(9, 2), labels, weights.of(labels))
    (gradient,) = torch.autograd.grad(terms, best)
    torch.testing.assert_close(gradient, torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(of("inverse", [1, 3], 9).rates(rates), rates)


@pytest.mark.parametrize("elbo", PYRO)
@pytest.mark.parametrize("kind", ["effective", "balanced"])
def test_the_objective_is_pyros_with_each_term_scaled(
    elbo: str, kind: str, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, train = make_fused(), make_batches()
    batch = train.read(np.arange(10))
    assert batch.labels is not None
    counts = torch.from_numpy(np.asarray(train.labels).sum(axis=0))
    weights = ClassWeights.of_counts(kind, counts, len(train))
    assert weights is not None
    each = torch.where(batch.labels == 1, weights.tagged, weights.untagged)

    def by_hand() -> None:
        logits = made.lifted(batch.inputs, batch.observed)
        items, labels = logits.shape
        rows = torch.arange(items)
        with pyro.plate("rows", len(train), subsample=rows, dim=-2), pyro.plate("tags", labels):
            fn = dist.Bernoulli(logits=logits)
            with poutine.scale(scale=each):
                pyro.sample("y", fn, obs=batch.labels)

    @with_local_params
    def expected() -> float:
        torch.manual_seed(3)
        return float(PYRO[elbo]().loss(by_hand, made.guide)) / len(train)

    def loss(model: MultiLabelModel) -> tuple[float, float]:
        objective = Objective(model, made.guide, elbo)
        torch.manual_seed(3)
        value = objective.loss(batch.inputs, batch.observed, batch.labels)
        return float(value.detach()), float(objective.nll)

    found, nll = loss(MultiLabelModel(made.lifted, len(train), weights))
    assert found == pytest.approx(expected(), rel=1e-5)
    plain, plain_nll = loss(MultiLabelModel(made.lifted, len(train)))
    assert found - plain == pytest.approx(nll - plain_nll, rel=1e-3)  # the KL is what it was
    assert abs(found - plain) > 1e-3


def test_training_without_posterior_has_the_same_weights(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    train = make_batches()
    counts = torch.from_numpy(np.asarray(train.labels).sum(axis=0))
    weights = ClassWeights.of_counts("positive", counts, len(train))
    assert weights is not None
    settings = SVISettings(elbo="none", epochs=1, batch_size=len(train), warmup_epochs=0)
    network = make_fused().network.requires_grad_(True)
    batch = train.read(slice(None))
    assert batch.labels is not None
    terms = F.binary_cross_entropy_with_logits(
        network.train()(batch.inputs, batch.observed), batch.labels, weights.of(batch.labels)
    )
    (epoch,) = SVI(network, None, None, settings, weights=weights).fit(train).history
    assert epoch.nll == pytest.approx(float(terms.detach()) * batch.labels.shape[1], rel=1e-5)


def test_they_weigh_the_focal_loss_alike(make_fused: MakeFused, make_batches: MakeBatches) -> None:
    train, focal = make_batches(), Loss("focal", label_smoothing=0.1)
    counts = torch.from_numpy(np.asarray(train.labels).sum(axis=0))
    weights = ClassWeights.of_counts("balanced", counts, len(train))
    assert weights is not None
    network = make_fused().network.requires_grad_(True)
    batch = train.read(slice(None))
    assert batch.labels is not None
    settings = SVISettings(elbo="none", epochs=1, batch_size=len(train), loss=focal)
    run = TrainingRun(SVI(network, None, None, settings, weights=weights), train)
    found = run.scored(batch, 0.0, None)
    logits = network(batch.inputs, batch.observed).detach()
    terms = focal(logits, batch.labels) * weights.of(batch.labels)
    assert float(found.loss.detach()) == pytest.approx(float(terms.sum(dim=1).mean()), rel=1e-5)


def test_draws_of_labels_have_no_weights(make_fused: MakeFused, make_batches: MakeBatches) -> None:
    made, train = make_fused(), make_batches()
    weights = of("positive", [3] * np.asarray(train.labels).shape[1], len(train))
    batch = train.read(np.arange(4))
    trace = poutine.trace(MultiLabelModel(made.lifted, 4, weights)).get_trace(
        batch.inputs, batch.observed
    )
    assert trace.nodes["y"]["scale"] == 1.0


@pytest.mark.parametrize("kind", ["positive", "balanced", "effective"])
def test_weighted_shares_are_the_weighted_likelihood_of_the_sources(kind: str) -> None:
    weights = of(kind, [1, 4, 7], 9)
    shares, logits = torch.rand(5, 3).double(), torch.randn(5, 3).double()
    found = F.binary_cross_entropy_with_logits(logits, weights.targets(shares), reduction="none")
    there, away = -F.logsigmoid(logits), -F.logsigmoid(-logits)
    expected = weights.tagged * shares * there + weights.untagged * (1 - shares) * away
    torch.testing.assert_close(found * weights.of(shares), expected)
    hard = (shares > 0.5).float()
    assert torch.equal(weights.targets(hard), hard)
