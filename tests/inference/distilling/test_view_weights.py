from __future__ import annotations

import numpy as np
import torch

from bayesfuse.inference.distilling.view_weights import (
    ViewWeigher,
    correctness_weights,
    importance_weights,
    population_weights,
)

VIEWS = torch.tensor([[True, True, True], [True, True, False], [True, False, True]])
RNG = np.random.default_rng(0)
TEACHER = torch.tensor(RNG.uniform(0.05, 0.95, (3, 3, 4)), dtype=torch.float32)


def test_population_is_one_constant() -> None:
    found = population_weights(VIEWS, 0.25)
    assert found.tolist() == [[1, 1, 1], [0.25, 0.25, 0], [0.25, 0, 0.25]]


def test_importance_is_what_a_modality_changes() -> None:
    whole, without = TEACHER[0], TEACHER[1:].clone()
    without[0, 0] = whole[0]  # nothing changes without the first modality of the first item
    found = importance_weights(VIEWS, whole, without)
    t, s = whole.double().numpy(), without.double().numpy()
    kl = (t * np.log(t / s) + (1 - t) * np.log((1 - t) / (1 - s))).sum(-1)
    assert found[0].tolist() == [1, 1, 1]
    np.testing.assert_allclose(found[1:], np.tanh(kl) * VIEWS[1:].numpy(), atol=1e-5)
    assert float(found[1, 0]) < 1e-5


def test_correctness_goes_by_the_labels() -> None:
    labels = torch.tensor(RNG.integers(0, 2, (3, 4)), dtype=torch.float32)
    known = torch.tensor([True, True, False])
    found = correctness_weights(VIEWS, TEACHER, labels, known)
    p, y = TEACHER.double().numpy(), labels.numpy()
    wrong = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum(-1)
    right = np.where(VIEWS.numpy(), 1 / wrong, 0)
    np.testing.assert_allclose(found[:, :2], (right / right.sum(0))[:, :2], rtol=1e-5)
    assert found[:, 2].tolist() == [0.5, 0, 0.5]  # nothing is known of the third
    np.testing.assert_allclose(found.sum(0), 1, rtol=1e-6)


def test_learned_weights_are_between_0_and_1() -> None:
    torch.manual_seed(0)
    weigher = ViewWeigher(3, 4)
    found = weigher(VIEWS, TEACHER)
    assert found.shape == (3, 3)
    assert bool((found[VIEWS] > 0).all())
    assert bool((found < 1).all())
    assert not bool(found[~VIEWS].any())
    changed = TEACHER.clone()
    changed[~VIEWS] = 0.5  # a view that is not there is not read
    torch.testing.assert_close(weigher(VIEWS, changed), found)
