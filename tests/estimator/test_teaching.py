from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesfuse import FeatureTable, FusionClassifier, summarise
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.teaching import teach, teachable

HOW = {"draws": 5, "seed": 3}


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    rng = np.random.default_rng(0)
    arrays = {"text": rng.normal(size=(40, 4)), "image": rng.normal(size=(40, 3))}
    return FeatureTable.from_arrays(arrays, observed={"image": np.arange(40) % 4 > 0})


@pytest.fixture(scope="module")
def teacher(table: FeatureTable) -> FusionClassifier:
    labels = (np.random.default_rng(1).random((40, 2)) < 0.5).astype(int)
    return FusionClassifier(hidden=6, epochs=2, annealing_epochs=1).fit(table, labels)


def test_it_is_asked_of_each_modality_alone(table: FeatureTable, teacher: FusionClassifier) -> None:
    found = teach(teacher, table, **HOW, single=True, without=True, fused=False)
    assert found.views.tolist() == [[True] * 40, [True] * 40, (np.arange(40) % 4 > 0).tolist()]
    said = summarise(teacher.sample_proba(table, draws=5, seed=3))
    np.testing.assert_allclose(found.mean[0], said.mean, rtol=1e-6)
    np.testing.assert_allclose(found.share[0], said.epistemic / said.total, rtol=1e-4, atol=1e-6)
    values, observed = table.batch(slice(None))
    alone = {"text": values["text"], "text_observed": observed[:, 0]}
    alone |= {"image": values["image"], "image_observed": np.zeros(40, bool)}
    by_hand = teacher.sample_proba(alone, draws=5, seed=3).mean(0)
    np.testing.assert_allclose(found.mean[1], by_hand, rtol=1e-5)
    np.testing.assert_allclose(found.without[1], by_hand, rtol=1e-5)  # of two, the other is left
    assert not np.allclose(found.mean[1], found.mean[0], atol=1e-3)
    assert found.fused.shape == (0, 0)


def test_fused_vectors_are_what_enters_the_classifier(
    table: FeatureTable, teacher: FusionClassifier
) -> None:
    found = teach(teacher, table, **HOW, single=False, without=False, fused=True)
    assert (found.views.shape, found.without.shape) == ((1, 40), (0, 40, 2))
    network = teacher.model_.network.eval()
    values, observed = table.batch(slice(None))
    inputs = {name: torch.from_numpy(array) for name, array in values.items()}
    with torch.no_grad():
        logits = network(inputs, torch.from_numpy(observed))
        again = network.classifier(torch.from_numpy(found.fused))
    torch.testing.assert_close(again, logits)


def test_who_reads_words_cannot_teach(teacher: FusionClassifier, table: FeatureTable) -> None:
    assert teachable(teacher) == ("text", "image")

    class Reads:
        transformer = object()

    class Other:
        network = Reads()

    class Tokens:
        model_ = Other()

    with pytest.raises(ConfigError, match="word by word"):
        teachable(Tokens())  # type: ignore[arg-type]  # a stand-in
