"""The last layer's Gaussian: its mean, curvature and precision against independent numbers."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats
from scipy.special import expit

from bayesfuse.estimator.competitors import laplace, twin
from bayesfuse.estimator.competitors.laplace import best_precision, curvature, last_units


def test_the_last_units_and_weights_give_the_twins_probabilities(bench, catalog):
    fitted = laplace.fit(bench, 0)
    units, probability = last_units(fitted.network, catalog, bench.val)
    ours = expit(units @ fitted.weights.T)
    np.testing.assert_allclose(ours[:, :3], probability[:, :3], atol=1e-5)
    expected = twin.fit(bench, 0).draws(catalog, bench.val)[0]
    np.testing.assert_allclose(probability, expected)
    draws = fitted.draws(catalog, bench.val)
    assert (draws.std(axis=0)[:, :3] > 0).all()
    np.testing.assert_allclose(draws[:, :, 3], expected[None, :, 3].repeat(6, 0))


def test_curvature_is_the_hessian_of_the_loss():
    rng = np.random.default_rng(0)
    units, weights = rng.normal(size=(30, 4)), rng.normal(size=(2, 4))
    labels = torch.from_numpy(rng.integers(0, 2, (30, 2)).astype(float))
    h = torch.from_numpy(units)

    def loss(w):
        logits = h @ w.reshape(2, 4).T
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")

    hessian = torch.autograd.functional.hessian(loss, torch.from_numpy(weights.ravel()))
    values, vectors = curvature(units, expit(units @ weights.T))
    for label in range(2):
        block = hessian.numpy()[4 * label : 4 * label + 4, 4 * label : 4 * label + 4]
        found = vectors[label] @ np.diag(values[label]) @ vectors[label].T
        np.testing.assert_allclose(found, block, atol=1e-10)
    # no label's weights curve another's: a block a label is all there is
    np.testing.assert_allclose(hessian.numpy()[:4, 4:], 0, atol=1e-12)


def test_the_precision_maximises_the_marginal_likelihood_of_a_linear_model():
    rng = np.random.default_rng(1)
    design, noise = rng.normal(size=(60, 5)), 0.5
    target = design @ rng.normal(0, 0.3, 5) + rng.normal(0, noise, 60)
    grid = np.exp(np.linspace(-3, 6, 400))
    hessian = design.T @ design / noise**2
    values = np.linalg.eigvalsh(hessian)

    def evidence(precision):
        covariance = design @ design.T / precision + noise**2 * np.eye(60)
        return stats.multivariate_normal(np.zeros(60), covariance).logpdf(target)

    exact = grid[np.argmax([evidence(precision) for precision in grid])]
    # Laplace's method is exact here if its mode is that of the precision: iterate (MacKay 1992)
    precision = 1.0
    for _ in range(100):
        mode = np.linalg.solve(hessian + precision * np.eye(5), design.T @ target / noise**2)
        precision = best_precision(mode[None], values[None])
    assert abs(np.log(precision / exact)) < 0.05


def test_fewer_items_leave_more_spread(bench, catalog):
    fitted = laplace.fit(bench, 0)
    units, probability = last_units(fitted.network, catalog, bench.train)

    def spread(share):
        values, vectors = curvature(units[::share], probability[::share])
        roots = vectors / np.sqrt(values + fitted.precision)[:, None, :]
        return np.square(roots).sum()

    assert spread(4) > spread(1)
