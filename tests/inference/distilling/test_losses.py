"""Each loss against its equation in numpy, and at 0 where a student is as its teacher."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import expit, logit

from bayesfuse.inference.distilling.losses import (
    ANGLES,
    hint_loss,
    relation_loss,
    similarity_loss,
    soft_kl,
)

RNG = np.random.default_rng(0)
TEACHER, STUDENT = RNG.normal(size=(6, 5)), RNG.normal(size=(6, 3))


def huber(x: np.ndarray) -> float:
    return float(np.where(abs(x) < 1, x**2 / 2, abs(x) - 0.5).mean())


def test_soft_kl_is_that_of_bernoulli_variables() -> None:
    p, z, tau = RNG.uniform(0.01, 0.99, (4, 3)), RNG.normal(size=(4, 3)), 2.5
    t, s = expit(logit(p) / tau), expit(z / tau)
    by_hand = tau**2 * (t * np.log(t / s) + (1 - t) * np.log((1 - t) / (1 - s))).sum(1)
    found = soft_kl(torch.tensor(p), torch.tensor(z), tau)
    np.testing.assert_allclose(found, by_hand, rtol=1e-9)
    np.testing.assert_allclose(soft_kl(torch.tensor(p), torch.tensor(logit(p))), 0, atol=1e-12)
    assert bool(torch.isfinite(soft_kl(torch.tensor([[0.0, 1.0]]), torch.tensor([[9.0, 9.0]]))))


def test_relations_are_distances_and_angles() -> None:
    def distances(v: np.ndarray) -> np.ndarray:
        far = np.array([[np.linalg.norm(a - b) for b in v] for a in v])
        return far / far.sum() * (len(v) * (len(v) - 1))

    def angles(v: np.ndarray) -> np.ndarray:
        found = np.zeros((len(v),) * 3)
        for j in range(len(v)):
            for i in range(len(v)):
                for k in range(len(v)):
                    if j not in (i, k):
                        a, b = v[i] - v[j], v[k] - v[j]
                        found[j, i, k] = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        return found

    by_hand = huber(distances(STUDENT) - distances(TEACHER))
    by_hand += ANGLES * huber(angles(STUDENT) - angles(TEACHER))
    teacher, student = torch.tensor(TEACHER), torch.tensor(STUDENT)
    np.testing.assert_allclose(relation_loss(teacher, student), by_hand, rtol=1e-9)
    # neither turning nor stretching a space changes relations in it
    turn, _ = np.linalg.qr(RNG.normal(size=(5, 5)))
    moved = torch.tensor(3 * TEACHER @ turn + 1)
    np.testing.assert_allclose(relation_loss(teacher, moved), 0, atol=1e-12)
    same = torch.zeros(4, 3, requires_grad=True)  # items that all agree have no angle
    (slope,) = torch.autograd.grad(relation_loss(torch.tensor(TEACHER[:4]), same), same)
    assert bool(slope.isfinite().all())


def test_similarities_are_rows_of_the_gram_matrix() -> None:
    def gram(v: np.ndarray) -> np.ndarray:
        found = v @ v.T
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    by_hand = ((gram(TEACHER) - gram(STUDENT)) ** 2).sum() / 36
    teacher = torch.tensor(TEACHER)
    np.testing.assert_allclose(similarity_loss(teacher, torch.tensor(STUDENT)), by_hand)
    np.testing.assert_allclose(similarity_loss(teacher, 2 * teacher), 0, atol=1e-12)


def test_a_hint_is_a_square() -> None:
    teacher = torch.tensor(TEACHER)
    np.testing.assert_allclose(hint_loss(teacher, teacher + 0.5), 0.25)
