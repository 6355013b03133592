from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bayesfuse.inference.auxiliary import mean_term, request, total
from bayesfuse.inference.class_weights import ClassWeights
from bayesfuse.inference.elbo import ELBOS, MultiLabelModel, Objective
from bayesfuse.inference.losses import Loss
from bayesfuse.inference.svi import SVI, SVISettings
from bayesfuse.models.auxiliary.settings import AuxiliarySettings

EVERY = AuxiliarySettings(refiner=0.5, multi_similarity=0.5, contrastive=0.5)


def test_a_network_without_such_losses_is_asked_for_none(make_fused) -> None:
    assert request(nn.Linear(2, 2), torch.ones(3, 2)) == {}
    assert request(make_fused().network, torch.ones(3, 4)) == {}
    assert total({}, torch.zeros(2)).item() == 0


def test_a_mean_term_is_weighted_and_summed_over_labels() -> None:
    labels, logits = torch.tensor([[1.0, 0], [0, 0]]), torch.tensor([[1.0, 2], [3, 4]])
    terms = F.binary_cross_entropy_with_logits(logits, labels, reduction="none").double()
    assert mean_term(Loss(), logits, labels, None).item() == pytest.approx(terms.sum().item() / 2)
    weights = ClassWeights(torch.tensor([10.0, 1]), torch.tensor([1.0, 2]))
    counted = (10 * terms[0, 0] + 2 * terms[0, 1] + terms[1, 0] + 2 * terms[1, 1]).item() / 2
    assert mean_term(Loss(), logits, labels, weights).item() == pytest.approx(counted)


@pytest.mark.parametrize("weighted", [False, True])
def test_other_logits_are_scored_as_the_network_s_own(make_fused, weighted: bool) -> None:
    network = make_fused(fusion="centralnet").network
    labels = torch.tensor([[1.0, 0, 1, 0]] * 3)
    tagged = torch.tensor([2.0, 2, 2, 3])
    weights = ClassWeights(tagged, tagged / 2) if weighted else None
    loss = Loss("focal")
    (asked,) = request(network, labels, loss, weights).values()
    logits = torch.randn(3, 4)
    expected = loss(logits, labels) * (1 if weights is None else weights.of(labels))
    assert asked.of_logits(logits).item() == pytest.approx(expected.sum().item() / 3)


@pytest.mark.parametrize("elbo", ELBOS)
def test_the_elbo_has_them_beside_the_likelihood(make_fused, make_batches, elbo: str) -> None:
    """The loss of the same draw, once with and once without them, differs by their sum."""
    found = []
    for settings in (AuxiliarySettings(), EVERY):
        lifted, guide = make_fused(auxiliary=settings)[1:]
        objective = Objective(MultiLabelModel(lifted, 40), guide, elbo)
        inputs, observed, labels, _ = make_batches().read(slice(0, 10))
        torch.manual_seed(3)
        loss = objective.loss(inputs, observed, labels, beta=0.5)
        found.append((loss.item(), objective.nll.item(), objective.auxiliary))
    (plain, nll, nothing), (more, same_nll, beside) = found
    assert nothing == 0
    assert nll == pytest.approx(same_nll)
    assert beside > 0.1
    assert more - plain == pytest.approx(beside, rel=1e-4)


def test_their_gradient_reaches_the_posterior_of_the_fusion(make_fused, make_batches) -> None:
    fused = make_fused(auxiliary=EVERY)
    inputs, observed, labels, _ = make_batches().read(slice(0, 10))
    with torch.no_grad():  # the labels' own gradient ends here
        for parameter in fused.network.classifier.parameters():
            parameter.zero_()
    objective = Objective(MultiLabelModel(fused.lifted, 40), fused.guide, "meanfield")
    objective.loss(inputs, observed, labels, beta=1e-8).backward()
    for name, parameter in fused.guide.named_parameters():
        if "text" in name and "weight" in name and "gate" not in name:
            assert parameter.grad.abs().max() > 1e-4, name


@pytest.mark.parametrize("noise", [None, "weights", "local", "flipout"])
def test_training_lowers_them(make_fused, make_batches, noise: str | None) -> None:
    """And the control: without them they stay where they are, or nearly."""
    lifted = noise is not None
    after = {}
    for weight in (0.0, 2.0):
        fused = make_fused(auxiliary=AuxiliarySettings(refiner=2.0), init_scale=0.01)
        settings = SVISettings(
            elbo="meanfield" if lifted else "none",
            noise=noise or "weights",
            epochs=20,
            batch_size=20,
            learning_rate=0.03,
            classifier_learning_rate=0.03,
            warmup_epochs=0.0,
        )
        fused.network.auxiliary["refiner"].weights = dict.fromkeys(("text", "image"), weight)
        if not lifted:
            for parameter in fused.network.parameters():
                parameter.requires_grad_(True)
        parts = (fused.lifted, fused.guide) if lifted else (None, None)
        train = make_batches()
        SVI(fused.network, *parts, settings).fit(train)
        fused.network.auxiliary["refiner"].weights = {"text": 1.0, "image": 1.0}
        inputs, observed, labels, _ = train.read(slice(None))
        asked = request(fused.network.eval(), labels)
        logits = fused.network(inputs, observed, **asked)
        after[weight] = total(asked, logits).item()
    assert after[2.0] < 0.5 * after[0.0]


def test_the_kl_that_a_step_tells_is_without_them(make_fused, make_batches) -> None:
    kls = []
    for settings in (AuxiliarySettings(), EVERY):
        fused = make_fused(auxiliary=settings)
        steps = []
        how = SVISettings(elbo="meanfield", epochs=1, batch_size=20, warmup_epochs=0.0)
        SVI(fused.network, fused.lifted, fused.guide, how).fit(make_batches(), on_step=steps.append)
        kls.append(steps[0].kl)
    assert kls[0] == pytest.approx(kls[1], rel=1e-3)


def test_the_loss_of_the_mean_item_is_what_is_added() -> None:
    logits, labels = torch.randn(6, 3), (torch.rand(6, 3) < 0.5).float()
    expected = F.binary_cross_entropy_with_logits(logits, labels, reduction="none").sum(1).mean()
    assert mean_term(Loss(), logits, labels, None).item() == pytest.approx(expected.item())
    assert np.isfinite(expected.item())
