"""A student comes near its teacher, by every method, and nearer than one that hears no teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bayesfuse import FeatureTable, FusionClassifier
from bayesfuse.config.distilling import DISTILL_METHODS, VIEW_WEIGHTS, DistillConfig
from bayesfuse.data.batches import Batches
from bayesfuse.errors import ConfigError, TrainingError
from bayesfuse.estimator.distilling import Distillation, Items, student_fusion
from bayesfuse.estimator.teaching import teach

SMALL: dict[str, Any] = {
    "hidden": 8,
    "classifier_hidden": 8,
    "epochs": 2,
    "batch_size": 32,
    "draws": 4,
    "learning_rate": 0.01,
}
NUM = 160
WAYS = [{"method": method} for method in DISTILL_METHODS]
WAYS += [{"view_weights": how} for how in VIEW_WEIGHTS[1:]]


@pytest.fixture(scope="module")
def items() -> tuple[FeatureTable, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = {"text": rng.normal(size=(NUM, 5)), "image": rng.normal(size=(NUM, 4))}
    both = arrays["text"][:, :2] + arrays["image"][:, :2]
    labels = (both + 0.5 * rng.normal(size=(NUM, 2)) > 0).astype(np.float32)
    return FeatureTable.from_arrays(arrays, observed={"image": np.arange(NUM) % 5 > 0}), labels


@pytest.fixture(scope="module")
def teacher(items: tuple[FeatureTable, np.ndarray]) -> FusionClassifier:
    made = FusionClassifier(hidden=8, epochs=6, annealing_epochs=2, learning_rate=0.01, draws=4)
    return made.fit(*items)


def task(
    teacher: FusionClassifier, items: tuple[FeatureTable, np.ndarray], **settings: Any
) -> Distillation:
    features, labels = items
    known = np.arange(NUM) % 2 == 0
    some, rest = np.arange(120), np.arange(120, NUM)
    return Distillation(
        teacher,
        Items(features.take(some), np.where(known[:, None], labels, 0)[some], known[some]),
        Items(features.take(rest), labels[rest], np.ones(len(rest), np.bool_)),
        DistillConfig(**{**SMALL, **settings}),
    )


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(way.values()))
def test_every_method_learns(
    way: dict[str, str], teacher: FusionClassifier, items: tuple[FeatureTable, np.ndarray]
) -> None:
    made = task(teacher, items, **way)
    seen: list[int] = []
    network = made.run(seen.append)
    assert (seen, len(made.history), network.training) == ([1, 2], 2, False)
    assert min(made.history) < 0.69  # nats: what a coin has
    assert made._val_nll() == pytest.approx(min(made.history), rel=1e-6)  # the best epoch is kept


def test_it_hears_its_teacher_where_there_are_no_labels(
    teacher: FusionClassifier, items: tuple[FeatureTable, np.ndarray]
) -> None:
    features = items[0].take(np.arange(120))
    lesson = teach(teacher, features, draws=4, seed=0, single=False, without=False, fused=False)

    def apart(hard_weight: float) -> list[float]:
        made = task(teacher, items, method="kd", epochs=25, hard_weight=hard_weight, seed=1)
        made.train.known[:] = False
        batch = Batches(features).read(slice(None))
        student = made.run()
        with torch.no_grad():
            said = student(batch.inputs, batch.observed)
        pairs = ((said.logits, lesson.mean[0]), (said.share_logits, lesson.share[0]))
        return [float((torch.sigmoid(z) - torch.from_numpy(p)).abs().mean()) for z, p in pairs]

    # the control hears labels alone, of which there are none
    taught, alone = apart(0.0), apart(1.0)
    assert taught[0] < 0.6 * alone[0]
    assert taught[1] < 0.7 * alone[1]


def test_the_same_seed_is_the_same_student(
    teacher: FusionClassifier, items: tuple[FeatureTable, np.ndarray]
) -> None:
    histories = []
    for seed in (0, 0, 1):
        made = task(teacher, items, seed=seed, epochs=1)
        made.run()
        histories.append(made.history)
    assert histories[0] == histories[1] != histories[2]


def test_what_fits_no_teacher_is_refused(
    teacher: FusionClassifier, items: tuple[FeatureTable, np.ndarray]
) -> None:
    with pytest.raises(ConfigError, match="--method kd has one view"):
        task(teacher, items, method="kd", view_weights="learned")
    one = FeatureTable.from_arrays({"text": items[0].batch(slice(None))[0]["text"]})
    lonely = FusionClassifier(hidden=4, epochs=1, annealing_epochs=1, draws=2).fit(one, items[1])
    with pytest.raises(ConfigError, match="reads text alone"):
        task(lonely, (one, items[1]))
    assert student_fusion(lonely) == "gmu"
    for rule, own in (("mult-gmu", "gmu"), ("mmbt", "gmu"), ("moe", "moe")):
        lonely.config_ = lonely.config_.model_copy(update={"fusion": rule})
        assert student_fusion(lonely) == own
    with pytest.raises(TrainingError, match="Lower --learning-rate"):
        task(teacher, items, learning_rate=1e30).run()
