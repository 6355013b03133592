from __future__ import annotations

import dataclasses

import pytest
import torch

from bayesfuse.errors import TrainingError
from bayesfuse.inference.self_supervision import train_without_labels
from bayesfuse.inference.svi import SVISettings
from bayesfuse.models import FusionNetwork
from bayesfuse.models.auxiliary.settings import AuxiliarySettings

SETTINGS = SVISettings(
    epochs=20, batch_size=20, classifier_learning_rate=0.02, warmup_epochs=0.0, seed=3
)


def network(**losses: float) -> FusionNetwork:
    torch.manual_seed(0)
    settings = AuxiliarySettings(**losses)
    return FusionNetwork({"text": 3, "image": 2}, 4, hidden=5, auxiliary=settings)


@pytest.mark.parametrize(
    "losses", [{"refiner": 1.0}, {"contrastive": 1.0, "refiner": 0.1}], ids=str
)
def test_it_lowers_the_losses_and_leaves_the_classifier(make_batches, losses) -> None:
    trained, before = network(**losses), network(**losses)
    history = train_without_labels(trained, make_batches(labelled=False), SETTINGS)
    assert len(history) == 20
    assert history[-1] < 0.8 * history[0]
    for name, value in before.named_parameters():
        moved = not torch.equal(value, trained.get_parameter(name))
        assert moved == (name.startswith(("fusion.", "auxiliary.")) and "absent.text" not in name)


def test_labels_are_not_looked_at(make_batches) -> None:
    losses = {"refiner": 1.0, "multi_similarity": 1.0}
    one, two = network(**losses), network(**losses)
    first = train_without_labels(one, make_batches(labelled=True), SETTINGS)
    second = train_without_labels(two, make_batches(labelled=False), SETTINGS)
    assert first == second


def test_settings_count(make_batches) -> None:
    found = [
        train_without_labels(network(refiner=1.0), make_batches(), settings)[-1]
        for settings in (
            SETTINGS,
            dataclasses.replace(SETTINGS, modality_dropout=0.5),
            dataclasses.replace(SETTINGS, classifier_learning_rate=0.001),
            dataclasses.replace(SETTINGS, precision=torch.bfloat16),
        )
    ]
    assert len(set(found)) == 4


def test_a_loss_that_is_not_finite_is_told(make_batches) -> None:
    broken = network(refiner=1.0)
    with torch.no_grad():
        broken.fusion.get_parameter("text.weight")[0, 0] = torch.nan
    with pytest.raises(TrainingError, match=r"epoch 1\. Try a lower learning rate"):
        train_without_labels(broken, make_batches(), SETTINGS)
